"""The history of entrants: what is compared with what, drift taken out, what changed, and what is left out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.analysis.timeline import find_runs, read_runs, rows_of, series
from harness.commands import history as history_module
from harness.commands.history import choose_machine, history
from harness.errors import InputError
from harness.results.changes import UNKNOWN_PACKAGES
from harness.results.folder import RunFolder, frame_of
from harness.results.schema import HISTORY, SCHEMA_VERSION
from harness.runs.machine import Machine

PACKAGES = ["numpy==2.4.6", "torch==2.12.1"]
SPEEDS = {"torch": 1000.0, "jax": 500.0}
Write = Callable[..., Path]


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def launch(run: str, number: int, backend: str, speed: float | None, **changes: Any) -> dict[str, Any]:
    """A launch as `rounds` writes it, with the fields that the history reads."""
    row = {
        "schema_version": SCHEMA_VERSION, "run": run, "round": number, "backend": backend,
        "position": 1 + ("torch", "jax", "mxnet").index(backend),
        "framework_version": "2.12.1", "network": "lenet5", "data_set": "mnist", "mode": "eager", "feed": "host",
        "device": "cpu", "dtype": "float32", "threads": 1, "batch_size": 64, "environment": "controlled",
        "machine": "AMD EPYC, 2 CPUs, 24 GiB", "machine_sha256": "a" * 64, "data_sha256": "d", "recipe": "lenet5",
        "python_version": "3.11.7", "packages_sha256": digest(PACKAGES), "status": "ok", "steady": True, "seed": number,
        "train_images_per_s": speed,
    }  # fmt: skip
    return row | changes


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    """Return a function that writes a run of torch and jax on a day, at speeds that differ by round and launch."""

    def write(
        name: str, day: int, *, speeds: dict[str, float] | None = None, drift: float = 1.0, spread: float = 0.001,
        rounds: int = 6, environment: dict[str, Any] | None = None, changes: dict[str, dict[str, Any]] | None = None,
        **of_all: Any,
    ) -> Path:  # fmt: skip
        noise = random.Random(name)
        rows = []
        for number in range(1, rounds + 1):
            of_round = drift * math.exp(noise.gauss(0, 0.02))
            for backend, speed in (SPEEDS if speeds is None else speeds).items():
                value = speed * of_round * math.exp(noise.gauss(0, spread))
                started = {"started_utc": f"2026-11-{day:02d}T{9 + number:02d}:00:00+00:00"}
                rows.append(
                    launch(name, number, backend, value, **started, **of_all, **(changes or {}).get(backend, {}))
                )
        folder = RunFolder(tmp_path / "results" / name)
        folder.path.mkdir(parents=True)
        folder.append("launches", rows)
        plain = {"lenet_bench": "0.1.0", "packages": {"torch": PACKAGES}, "plan": {"steady_s": 2.0}}
        folder.write_environment(plain | (environment or {}))
        return folder.path

    return write


def rows_in(results: Path) -> pd.DataFrame:
    """The history of all runs in a folder, by entrant and run."""
    records, problems = read_runs(find_runs([results]))
    assert problems == []
    everyone = series(records)
    rows = [row for points in everyone for row in rows_of(points, everyone)]
    return frame_of(rows, HISTORY).set_index(["entrant", "run"])


def upgraded(backend: str, version: str, packages: list[str]) -> dict[str, dict[str, Any]]:
    return {backend: {"framework_version": version, "packages_sha256": digest(packages)}}


def test_drift_is_told_from_an_upgrade(write_run: Write, tmp_path: Path) -> None:
    """On a machine that became 30 % slower, the upgraded torch is 10 % faster against jax; jax has no judge."""
    newer = ["numpy==2.4.7", "setuptools==80", "torch==2.13.0+cpu"]
    write_run("before", 20)
    write_run(
        "after", 21, drift=0.7, speeds={"torch": 1100.0, "jax": 500.0}, environment={"packages": {"torch": newer}},
        changes=upgraded("torch", "2.13.0+cpu", newer),
    )  # fmt: skip

    rows = rows_in(tmp_path / "results")
    torch, jax = rows.loc[("torch eager", "after")], rows.loc[("jax eager", "after")]

    assert (torch["before"], torch["paired"]) == ("before", False)
    assert torch["ratio"] == pytest.approx(0.77, rel=0.05)
    assert torch["verdict"] == jax["verdict"] == "slower"
    assert torch["against"] == "jax eager"
    assert torch["against_ratio"] == pytest.approx(1.1, rel=0.005)
    assert torch["against_low"] < 1.1 < torch["against_high"]
    assert torch["against_high"] - torch["against_low"] < 0.01 < torch["ratio_high"] - torch["ratio_low"]
    assert torch["against_verdict"] == "faster"
    assert torch["changed"] == "torch 2.12.1 → 2.13.0+cpu; numpy 2.4.6 → 2.4.7; setuptools none → 80"
    assert pd.isna(jax["against"])
    assert jax["changed"] == ""


def test_several_judges_are_taken_together(write_run: Write, tmp_path: Path) -> None:
    """With two unchanged entrants, the ratio is to the geometric mean of their speeds, in rounds that have both."""
    speeds = SPEEDS | {"mxnet": 800.0}
    write_run("before", 20, speeds=speeds)
    write_run(
        "after", 21, speeds=speeds | {"jax": 500.0 * 1.21}, changes=upgraded("torch", "2.13.0", ["torch==2.13.0"])
    )

    row = rows_in(tmp_path / "results").loc[("torch eager", "after")]

    assert row["against"] == "jax eager, mxnet eager"
    assert row["against_ratio"] == pytest.approx(1 / 1.1, rel=0.005)


def test_runs_that_share_nothing_unchanged_have_no_judge(write_run: Write, tmp_path: Path) -> None:
    """A shared entrant whose Python, packages or version differ is no measure of the machine; nor an unknown one."""
    write_run("a", 20)
    write_run("b", 21, changes={"jax": {"python_version": "3.11.8"}})
    write_run("c", 22, changes={"jax": {"packages_sha256": None}})
    write_run("d", 23, changes={"jax": {"packages_sha256": None}})

    rows = rows_in(tmp_path / "results")

    assert rows.loc["torch eager"]["against"].isna().all()
    assert rows.loc[("jax eager", "b"), "changed"] == "Python 3.11.7 → 3.11.8"
    assert rows.loc[("jax eager", "c"), "changed"] == f"Python 3.11.8 → 3.11.7; {UNKNOWN_PACKAGES}"
    assert rows.loc[("jax eager", "d"), "changed"] == ""
    assert rows.loc[("jax eager", "d"), "against"] == "torch eager"


def test_two_versions_of_one_run_are_paired(write_run: Write, tmp_path: Path) -> None:
    """Within a run a version is held against the older one, by round; across runs against its own version."""
    results = tmp_path / "results"
    for name, day in (("first", 20), ("second", 21)):
        path = write_run(name, day, speeds={"torch": 1000.0})
        old = RunFolder(path).read("launches")
        speeds = old["train_images_per_s"] * 1.05
        new = old.assign(framework_version="2.13.0+cpu", variant="2.13.0", position=2, train_images_per_s=speeds)
        older = old.assign(framework_version="2.9.0", variant="2.9.0", position=3)
        RunFolder(path).append("launches", [*new.to_dict("records"), *older.to_dict("records")])

    rows = rows_in(results).reset_index()

    assert rows["framework_version"].tolist() == ["2.9.0", "2.12.1", "2.13.0+cpu"] * 2
    assert set(rows["entrant"]) == {"torch eager"}
    assert rows["paired"].tolist()[1:] == [True, True, False, True, True]
    assert rows["before"].tolist()[1:4] == ["2.9.0 in first", "2.12.1 in first", "first"]
    assert rows.loc[2, "ratio"] == pytest.approx(1.05)
    assert rows.loc[2, "ratio_high"] == pytest.approx(1.05)
    assert rows.loc[3, "changed"] == ""


def test_everything_on_record_that_differs_is_named(write_run: Write, tmp_path: Path) -> None:
    """lenet-bench's version, kernel, controls, CPUs, length of timing and number of entrants; not what is equal."""
    controls = {"environment": {"OMP_NUM_THREADS": "1", "OLD": "x"}, "cpus": [1]}
    write_run(
        "a", 20, environment={"controls": {"torch eager": controls}, "machine": {"kernel": "6.1", "libc": "2.36"}}
    )
    controls = {"environment": {"OMP_NUM_THREADS": "1", "NEW": "y"}, "cpus": [0, 1]}
    write_run(
        "b", 21, speeds={"torch": 1000.0},
        environment={
            "lenet_bench": "0.2.0", "controls": {"torch eager": controls}, "plan": {"steady_s": 1.0},
            "machine": {"kernel": "6.2", "libc": "2.36"},
        },
    )  # fmt: skip

    assert rows_in(tmp_path / "results").loc[("torch eager", "b"), "changed"] == (
        "lenet-bench 0.1.0 → 0.2.0; kernel 6.1 → 6.2; CPUs 1 → 0,1; OLD x → none; NEW none → y; steady_s 2.0 → 1.0; "
        "entrants in the run 2 → 1"
    )


def test_packages_without_their_list_are_not_guessed(write_run: Write, tmp_path: Path) -> None:
    """Digests that differ without a list of that digest are said to differ, and no more."""
    write_run("a", 20)
    write_run("b", 21, changes={"torch": {"packages_sha256": "0" * 64}})

    changed = rows_in(tmp_path / "results").loc[("torch eager", "b"), "changed"]

    assert changed == UNKNOWN_PACKAGES


def test_accuracies_without_speeds_are_followed(write_run: Write, tmp_path: Path) -> None:
    """A gate's run has no speeds: its accuracies are there, and nothing is compared."""
    write_run("timed", 20)
    gate = RunFolder(tmp_path / "results" / "gate")
    gate.path.mkdir()
    times = {"started_utc": "2026-11-21T10:00:00+00:00", "epochs": 2}
    accuracies = (0.98, 0.99)
    gate.append(
        "launches",
        [launch("gate", n, "torch", None, test_accuracy=a, **times) for n, a in enumerate(accuracies, start=1)],
    )
    gate.write_environment({})

    row = rows_in(tmp_path / "results").loc[("torch eager", "gate")]

    assert (row["test_accuracy"], row["epochs"], row["seeds"], row["launches"]) == (pytest.approx(0.985), 2, 2, 0)
    assert row[["train_images_per_s", "ratio", "verdict"]].isna().all()


def test_other_work_is_another_line(write_run: Write, tmp_path: Path) -> None:
    """Runs of another data set, recipe or batch size are not compared with each other."""
    write_run("a", 20)
    for number, other in enumerate(({"data_sha256": "e"}, {"recipe": "folk"}, {"batch_size": 128})):
        write_run(f"b{number}", 21 + number, **other)

    rows = rows_in(tmp_path / "results").reset_index()

    assert len(rows) == 8
    assert rows["entrant"].nunique() == 4
    assert rows["before"].isna().all()


def test_machines_are_not_mixed(
    write_run: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several machines this one's runs are shown, or the one asked for; the others are counted and named."""
    for name, day, key, text in (("mine", 20, "a", "AMD"), ("yours", 21, "b", "Intel"), ("hers", 22, "b", "Intel")):
        write_run(name, day, machine=text, machine_sha256=key * 64)
    results = tmp_path / "results"
    monkeypatch.setattr(history_module, "this_machine", lambda: Machine("AMD", "a" * 64, {}))

    history([results])
    found = capsys.readouterr()
    assert "1 run(s) on AMD" in found.out
    assert "Not shown: 2 run(s) of another machine, Intel (bbbbbbbbbbbb): yours, hers" in found.err
    assert "It differs from the one that is shown: " in found.err

    history([results], machine="intel", format_="csv")
    found = capsys.readouterr()
    assert {row["run"] for row in csv.DictReader(io.StringIO(found.out))} == {"yours", "hers"}
    assert "1 run(s) of another machine, AMD (aaaaaaaaaaaa): mine" in found.err


def test_a_machine_must_be_one(write_run: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that fit none or several machines, and no name where this machine is not among several, are refused."""
    write_run("one", 20, machine="EPYC 1", machine_sha256="a" * 64)
    write_run("two", 21, machine="EPYC 2", machine_sha256="b" * 64)
    records, _ = read_runs(find_runs([tmp_path / "results"]))
    monkeypatch.setattr(history_module, "this_machine", lambda: Machine("other", "c" * 64, {}))

    assert choose_machine(records, "bbb") == "b" * 64
    assert choose_machine(records[:1], "") == "a" * 64
    with pytest.raises(InputError, match=r"'epyc' could be any of these machines: a{12} EPYC 1; b{12} EPYC 2"):
        choose_machine(records, "epyc")
    with pytest.raises(InputError, match=r"'xyz' is none of the machines .* EPYC 1; .* EPYC 2"):
        choose_machine(records, "xyz")
    with pytest.raises(InputError, match=r"several machines, and this is none .* this one differs: .* --machine"):
        choose_machine(records, "")


def test_damaged_runs_are_named_and_left_out(
    write_run: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hand-edited cell, a cut file, a missing environment.json, a copy: a sentence each; the others are shown."""
    for number, name in enumerate(("good", "edited", "cut", "bare", "failed", "fine")):
        write_run(name, 20 + number, **({"status": "failed"} if name == "failed" else {}))
    results = tmp_path / "results"
    edited = (results / "edited" / "launches.csv").read_text()
    (results / "edited" / "launches.csv").write_text(edited.replace(",64,", ",sixty-four,", 1))
    (results / "cut" / "launches.csv").write_text(edited.splitlines()[0][:100])
    (results / "bare" / "environment.json").unlink()
    shutil.copytree(results / "good", results / "good copy")
    (results / "not a run").mkdir()

    history([results])
    found = capsys.readouterr()

    left_out = [line for line in found.err.splitlines() if line.startswith("Left out: ")]
    assert len(left_out) == 5
    assert "edited/launches.csv, row 2, column batch_size: 'sixty-four'" in found.err
    assert "good copy is the same run as good" in found.err
    assert "12 launches and none that succeeded" in found.err
    assert "2 run(s) on AMD EPYC" in found.out
    assert all(word not in found.out for word in ("edited", "cut", "bare", "copy"))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"backend": None}, "row 4, column backend"),
        ({"started_utc": None}, "row 4, column started_utc"),
        ({"train_images_per_s": 0.0}, "row 4, column train_images_per_s"),
        ({"train_images_per_s": -5.0}, "row 4, column train_images_per_s"),
        ({"train_images_per_s": math.inf}, "row 4, column train_images_per_s"),
        ({"round": 1, "position": 1}, "row 4: the same launch as row 2"),
    ],
)
def test_rows_that_no_run_writes_are_named(
    write_run: Write, tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    """Empty keys, speeds that are none, a row that is there twice: file, row and column."""
    path = write_run("edited", 20, speeds={"torch": 1000.0})
    rows = RunFolder(path).read("launches")
    (path / "launches.csv").unlink()
    edited = [{key: None if pd.isna(cell) else cell for key, cell in row.items()} for row in rows.to_dict("records")]
    edited[2] |= changed
    RunFolder(path).append("launches", edited)

    records, problems = read_runs([path])

    assert records == []
    assert "launches.csv" in problems[0]
    assert sentence in problems[0]


def test_nothing_left_is_an_error(write_run: Write, tmp_path: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    """No folder, no run, only damaged runs, a backend that no run has, no such format: exit code 2 and a sentence."""
    (tmp_path / "empty").mkdir()
    run = write_run("only", 20)

    for arguments, sentence in (
        (["nowhere"], "There is no folder nowhere"),
        (["empty"], "There is no run in empty"),
        (["results", "--backend", "paddle"], "No run has paddle. There are: jax, torch."),
        (["results", "--format", "xml"], "There is no format 'xml'. There are: csv, json, markdown, table."),
    ):
        code, out, err = cli("history", *arguments)
        assert (code, out) == (2, "")
        assert sentence in err
    (run / "environment.json").write_text("[]")
    code, out, err = cli("history", "results")
    assert (code, out) == (2, "")
    assert "environment.json is not a run's" in err
    assert "None of the 1 runs can be read" in err


def test_table_fits_a_terminal(write_run: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """80 columns with six runs, long names and markup in them; speeds as bars; what changed; why to doubt it."""
    newer = [*(f"package-{number}==2" for number in range(12)), "torch==2.13.0+cpu"]
    for number in range(5):
        write_run(
            f"run-{number}", 20 + number, speeds={"torch": 11000.0 * (number + 1), "jax": 500.0}, mode="channels-last"
        )
    write_run(
        "[bold]-with-a-name-that-is-longer-than-any-terminal-is-wide-and-goes-on-and-on", 26, mode="channels-last",
        environment={"packages": {"torch": newer}}, changes=upgraded("torch", "2.13.0+cpu", newer),
    )  # fmt: skip
    write_run("alone", 27, speeds={"mxnet": 700.0})

    history([tmp_path / "results"])
    out = capsys.readouterr().out

    assert max(map(len, out.splitlines())) <= 80
    assert "[bold]" in out
    assert "▂▄▅▆█▁" in out
    assert "torch 2.12.1 → 2.13.0+cpu" in " ".join(out.split())
    assert "and 6 more (--format csv)" in " ".join(out.split())
    assert "the machine drifts" in out
    assert "In one run only" in out


def test_formats_have_the_same_figures(write_run: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV and JSON have every column; Markdown has a line a row, and no name becomes HTML or another column."""
    write_run("a", 20)
    write_run("<script>|b", 21)

    outputs = {}
    for name in ("csv", "json", "markdown"):
        history([tmp_path / "results"], backend=["torch"], format_=name)
        outputs[name] = capsys.readouterr().out
    table = list(csv.DictReader(io.StringIO(outputs["csv"])))
    records = json.loads(outputs["json"])
    lines = [line for line in outputs["markdown"].splitlines() if line.startswith("|")]

    assert list(table[0]) == list(records[0]) == list(HISTORY)
    assert [float(row["train_images_per_s"]) for row in table] == [row["train_images_per_s"] for row in records]
    assert (table[0]["ratio"], records[0]["ratio"]) == ("", None)
    assert records[1]["against"] == "jax eager"
    assert len(lines) == 4
    assert {line.replace(r"\|", "").count("|") for line in lines} == {17}
    assert "<" not in outputs["markdown"]
    assert "the machine drifts" in outputs["markdown"]
