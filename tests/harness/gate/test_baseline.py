"""Baselines: read in both versions, bad ones refused with file, row and column, updated with the difference first."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from harness.commands import cli
from harness.errors import InputError
from harness.gate import baseline
from harness.gate.baseline import read_baseline
from harness.gate.parts import notes_on
from harness.proof import audit
from harness.results.folder import RunFolder, csv_of, frame_of, read_table, write_table
from harness.results.migrations import ADDED
from harness.results.schema import BASELINE, BASELINE_VERSION
from harness.runs import launch, preparation
from harness.runs.machine import this_machine
from harness.runs.training_run import train

COMMITTED = Path(__file__).parents[3] / "results" / "baselines" / "accuracy.csv"
ROW = {
    "schema_version": BASELINE_VERSION, "backend": "torch", "framework_version": "1.0", "network": "lenet5",
    "data_set": "mnist", "data_sha256": "f" * 64, "recipe": "lenet5", "batch_size": 64, "dtype": "float32", "epoch": 1,
    "seeds": 5, "test_accuracy_mean": 0.98, "test_accuracy_sd": 0.01, "test_accuracy_min": 0.97,
}  # fmt: skip


def text_of(*changes: dict[str, Any]) -> str:
    """A baseline with a row for each of the changes, epoch after epoch."""
    return csv_of(frame_of([ROW | {"epoch": n} | change for n, change in enumerate(changes, start=1)], BASELINE))


def as_version_1(text: str) -> str:
    """The same table as version 1 had it: without the last columns."""
    lines = [line.split(",") for line in text.splitlines()]
    cut = [line[: -len(ADDED["baseline"][2].split())] for line in lines]
    return "".join(",".join(["1", *line[1:]] if number else line) + "\n" for number, line in enumerate(cut))


def test_version_1_is_still_read(tmp_path: Path) -> None:
    """A baseline without the columns of version 2 is read as one whose rows do not say where they are from."""
    path = tmp_path / "old.csv"
    path.write_text(as_version_1(text_of({}, {})))
    assert "schema_version,backend" in path.read_text()
    assert "written_by" not in path.read_text()

    found = read_baseline(path)

    pd.testing.assert_frame_equal(found, frame_of([ROW, ROW | {"epoch": 2}], BASELINE))


def test_update_of_version_1_writes_version_2(tmp_path: Path) -> None:
    """Rows that are kept lose nothing, and the whole file then has the new version."""
    path = tmp_path / "old.csv"
    path.write_text(as_version_1(text_of({}, {})))

    baseline.write_baseline(path, frame_of([ROW | {"epoch": 2, "written_by": "Ada"}], BASELINE))

    found = read_table(path, BASELINE, version=BASELINE_VERSION)
    assert list(found["written_by"].fillna("")) == ["", "Ada"]
    assert list(found["test_accuracy_mean"]) == [0.98, 0.98]


def test_committed_baseline_is_good() -> None:
    """The repository's baseline has all five frameworks on both data sets, and is of the present version."""
    found = read_table(COMMITTED, BASELINE, version=BASELINE_VERSION)

    pd.testing.assert_frame_equal(read_baseline(COMMITTED), found)
    assert set(found["backend"]) == {"torch", "tensorflow", "jax", "mxnet", "paddle"}
    assert set(found["data_set"]) == {"mnist", "drawn-digits"}
    assert not found["written_by"].isna().any()


GOOD = text_of({}, {})
BAD = {
    "empty": ("", "is not a CSV table"),
    "foreign": ("name,size\nx,1\n", "lacks the columns schema_version"),
    "binary": ("\x00\x01,\x02\n", "Is it a table of lenet-bench|is not a CSV table"),
    "cut in a row": (GOOD[: GOOD.rindex("0.98")], "does not end with the end of a line. Is it cut off"),
    "cut row with an end": (
        GOOD[: GOOD.rindex("0.98")] + "\n",
        "row 3: 12 cells, but the header has 21. Is the file cut off",
    ),
    "mixed versions": (
        GOOD.replace("\n2,", "\n1,", 1),
        "row 3, column schema_version: '2', but '1' in the rows before",
    ),
    "later version": (GOOD.replace("\n2,", "\n7,"), "has schema_version 7"),
    "extra column": (
        "".join(f"{line},{'' if number else 'note'}\n" for number, line in enumerate(GOOD.splitlines())),
        "columns that a baseline does not have: note",
    ),
    "word for a number": (text_of({}).replace(",5,", ",many,"), "row 2, column seeds: 'many' is not Int64"),
    "NaN in a key": (text_of({}, {"backend": None}), "row 3, column backend: empty, but every row needs one"),
    "nan in a number": (text_of({}).replace(",64,", ",nan,"), "row 2, column batch_size: "),
    "percent": (text_of({"test_accuracy_mean": 98.0}), "row 2, column test_accuracy_mean: 98.0, but a share lies"),
    "negative spread": (text_of({"test_accuracy_sd": -0.1}), "row 2, column test_accuracy_sd: -0.1"),
    "least over mean": (text_of({"test_accuracy_min": 0.99}), "row 2, column test_accuracy_min: 0.99, which this mean"),
    "least too low": (text_of({"test_accuracy_min": 0.9}), "row 2, column test_accuracy_min: 0.9, which this mean"),
    "no seeds": (text_of({}, {"seeds": 0}), "row 3, column seeds: 0, but there is no mean"),
    "epoch 0": (text_of({"epoch": 0}), "row 2, column epoch: 0, but epochs are counted from 1"),
    "duplicate": (text_of({}, {"epoch": 1}), "row 3, column backend: 'torch', a second row of the same backend, "),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_baselines_are_refused_and_kept(case: str, tmp_path: Path) -> None:
    """Each with a sentence that has file, and where there is one, row and column; nothing is written over it."""
    text, message = BAD[case]
    path = tmp_path / "accuracy.csv"
    path.write_text(text)

    with pytest.raises(InputError, match=message) as caught:
        read_baseline(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match=message):
        baseline.check_writable(path)
    with pytest.raises(InputError, match=message):
        baseline.write_baseline(path, frame_of([ROW], BASELINE))
    assert path.read_text() == text


def test_baseline_file_replaces_its_own_rows_only(tmp_path: Path) -> None:
    """Writing a backend's rows again replaces them, keeps all others, and reads back as written."""
    path = tmp_path / "baselines" / "accuracy.csv"
    for row in (ROW, ROW | {"backend": "jax"}, ROW | {"test_accuracy_mean": 0.975, "seeds": 9}):
        baseline.write_baseline(path, frame_of([row], BASELINE))

    found = read_baseline(path)
    assert list(found["backend"]) == ["jax", "torch"]
    assert list(found["seeds"]) == [5, 9]
    assert list(found["test_accuracy_mean"]) == [0.98, 0.975]


def test_baselines_written_at_once_lose_nothing(tmp_path: Path) -> None:
    """Whoever reads the file and writes it with rows added is alone meanwhile."""
    names = [f"backend-{number}" for number in range(16)]

    with ThreadPoolExecutor(8) as pool:
        rows = [frame_of([ROW | {"backend": name}], BASELINE) for name in names]
        list(pool.map(lambda new: baseline.write_baseline(tmp_path / "accuracy.csv", new), rows))

    assert sorted(read_baseline(tmp_path / "accuracy.csv")["backend"]) == sorted(names)


def test_empty_baseline_file_can_be_written_to(tmp_path: Path) -> None:
    """A baseline that has its header only takes rows."""
    write_table(tmp_path / "accuracy.csv", frame_of([], BASELINE))

    baseline.write_baseline(tmp_path / "accuracy.csv", frame_of([ROW], BASELINE))

    assert len(read_baseline(tmp_path / "accuracy.csv")) == 1


def test_difference_tells_noise_from_more() -> None:
    """Two means that seeds explain, two that they do not, and a row that is new."""
    old = frame_of([ROW, ROW | {"backend": "jax"}], BASELINE)
    new = frame_of(
        [ROW | {"test_accuracy_mean": 0.982}, ROW | {"backend": "jax", "test_accuracy_mean": 0.9}, ROW | {"epoch": 2}],
        BASELINE,
    )

    torch, jax, fresh = baseline.difference(old, new)

    assert torch["points"] == pytest.approx(0.2)
    assert torch["noise"] is True
    assert jax["points"] == pytest.approx(-8)
    assert jax["noise"] is False
    assert (fresh["old"], fresh["points"], fresh["noise"]) == (None, None, None)
    assert [row["noise"] for row in baseline.difference(None, new)] == [None] * 3


def test_equal_spreads_of_nothing(tmp_path: Path) -> None:
    """Without any spread, equal means are noise, and others are not."""
    flat = ROW | {"test_accuracy_sd": 0.0, "test_accuracy_min": 0.98}
    other = flat | {"test_accuracy_mean": 0.97, "test_accuracy_min": 0.97}
    old = frame_of([flat], BASELINE)

    assert baseline.difference(old, frame_of([flat], BASELINE))[0]["noise"] is True
    assert baseline.difference(old, frame_of([other], BASELINE))[0]["noise"] is False


@pytest.fixture
def trained(made_up: Any, make_plan: Callable[..., Any], tiny_dataset: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    """A run of made-up launches: numpy and its twin, three seeds, two epochs."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    plan = make_plan("numpy", "twin", rounds=3, seeds=3, epochs=2)
    found = train(plan, results=tmp_path / "results", pythons={}, suffix="gate", auditor=audit.auditor_of)
    epochs = found.run.folder.read("epochs")
    step = epochs["seed"].astype(float) / 100
    write_table(found.run.folder.path / "epochs.csv", epochs.assign(test_accuracy=0.9 + step.astype("Float64")))
    return found.run.folder.path


def test_baseline_is_made_of_a_run(trained: Path) -> None:
    """Mean, standard deviation over n - 1, least and number of seeds, a row a backend and epoch; and where from."""
    found = baseline.from_run(RunFolder(trained))

    assert sorted(zip(found["backend"], found["epoch"])) == [("numpy", 1), ("numpy", 2), ("twin", 1), ("twin", 2)]
    row = found.iloc[0]
    assert row["test_accuracy_mean"] == pytest.approx(0.91)
    assert row["test_accuracy_sd"] == pytest.approx(0.01)
    assert row["test_accuracy_min"] == pytest.approx(0.9)
    assert row["seeds"] == 3
    assert row["data_sha256"] == "0" * 64
    assert row["run"] == trained.name
    assert row["machine_sha256"] == this_machine().sha256
    assert row["lenet_bench_version"]


def test_runs_that_are_no_baseline(trained: Path) -> None:
    """Unfinished, failed, ended at a target, trained twice from a seed: each is refused with the reason."""
    launches, epochs = RunFolder(trained).read("launches"), RunFolder(trained).read("epochs")
    one = epochs[epochs["seed"] == 0]
    more = pd.concat([launches, launches[launches["seed"] == 0].assign(round=9)])
    # What does not count is trained twice by right; the row that is named is the file's all the same.
    twice = pd.concat([launches, launches[launches["seed"] == 0].assign(round=8, counted=False), more[-2:]])
    nan = epochs.assign(test_accuracy=epochs["test_accuracy"].where(epochs.index != 2))
    cases: list[tuple[pd.DataFrame, pd.DataFrame, str]] = [
        (launches[:-1], epochs, "has 4 of 6 trainings: it is still under way, or was cut short"),
        (launches, epochs[:0], "trained no epochs"),
        (launches.assign(status="failed"), epochs, "has 6 failed launch"),
        (launches.assign(until=pd.array([0.9] * 6, dtype="Float64")), epochs, "to end at an accuracy"),
        (more, pd.concat([epochs, one.assign(round=9)]), "row 14, column seed: .* was trained twice from seed 0"),
        (twice, pd.concat([epochs, one.assign(round=8), one.assign(round=9)]), "row 18, column seed: .* trained twice"),
        (launches, one, "trained one seed"),
        (launches, nan, "epochs.csv, row 4, column test_accuracy: an empty cell"),
    ]
    for new_launches, new_epochs, message in cases:
        write_table(trained / "launches.csv", new_launches)
        write_table(trained / "epochs.csv", new_epochs)
        with pytest.raises(InputError, match=message):
            baseline.from_run(RunFolder(trained))


def call(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> int:
    """Call the command line; the exit code."""
    monkeypatch.setattr("sys.argv", ["lenet-bench", "baseline", *map(str, arguments)])
    return cli.command_line()


def test_update_from_a_run_shows_the_difference_and_signs(trained: Path, monkeypatch: Any, capsys: Any) -> None:
    """`update --from-run --yes` prints old and new means, then writes rows with who, when, where."""
    path = trained.parent / "accuracy.csv"
    row = {key: value for key, value in ROW.items() if key != "data_set"} | {"backend": "numpy", "epoch": 2}
    write_table(path, frame_of([row | {"data_set": "drawn-digits"}, ROW], BASELINE))
    monkeypatch.setattr(baseline, "_who", lambda: "Ada <b>")

    assert call(monkeypatch, "update", "--from-run", trained, "--baseline", path, "--yes") == 0

    out = capsys.readouterr().out
    assert re.search(r"numpy +2 +98\.000 +91\.000 +-7\.000 MORE than the noise of seeds", out)
    assert re.search(r"twin +1 +- +91\.000 +- new row", out)
    assert max(len(line) for line in out.splitlines() if str(path) not in line) <= 80
    found = read_baseline(path)
    assert len(found) == 5
    assert list(found["written_by"].dropna().unique()) == ["Ada <b>"]
    assert found["written_utc"].dropna().str.endswith("+00:00").all()
    assert call(monkeypatch, "show", "--baseline", path) == 0
    shown = capsys.readouterr().out
    assert "Written by Ada <b>, on 20" in shown
    assert "+00:00" not in shown
    assert f"Read from {path}" in shown
    assert "not in the file" in shown


@pytest.mark.parametrize("answer", [True, False])
def test_update_asks(trained: Path, answer: bool, monkeypatch: Any, capsys: Any) -> None:
    """On a terminal it asks, and writes nothing unless told to."""
    path = trained.parent / "accuracy.csv"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda question: answer)

    assert call(monkeypatch, "update", "--from-run", trained, "--baseline", path) == 0
    assert path.exists() is answer
    assert ("Nothing was written" in capsys.readouterr().out) is not answer


def test_update_needs_a_terminal_or_yes(trained: Path, monkeypatch: Any, capsys: Any) -> None:
    """Without either: exit code 2 before anything is trained, and nothing written."""
    monkeypatch.setattr(launch, "WorkerProcess", None)
    path = trained.parent / "accuracy.csv"
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)

    assert call(monkeypatch, "update", "-b", "numpy", "--baseline", path) == 2
    assert "Give --yes" in capsys.readouterr().err
    assert not path.exists()
    assert call(monkeypatch, "update", "--yes", "--baseline", path) == 2
    assert "Give either --backend" in capsys.readouterr().err


def test_update_trains(made_up: Any, tiny_commands: None, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """`update -b` trains seeds and epochs, and what it writes is what a gate then finds."""
    path = tmp_path / "accuracy.csv"
    options = ["--seeds", 3, "--epochs", 2, "--baseline", path, "--results-dir", tmp_path / "results"]

    assert call(monkeypatch, "update", "-b", "numpy", "--yes", *options) == 0

    assert len(made_up.launched) == 3
    assert [job.epochs for job in made_up.jobs] == [2] * 3
    assert list(read_baseline(path)["epoch"]) == [1, 2]
    assert f"Wrote {path}" in capsys.readouterr().out.replace("\n", "")


def test_failed_trainings_make_no_baseline(
    made_up: Any, tiny_commands: None, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """Where a launch fails, exit code 3, and the baseline stays as it was."""
    path = tmp_path / "accuracy.csv"
    write_table(path, frame_of([ROW], BASELINE))
    before = path.read_bytes()
    made_up.failing = {"numpy eager": 2}

    options = ["--seeds", 3, "--epochs", 1, "--baseline", path, "--results-dir", tmp_path / "results"]
    assert call(monkeypatch, "update", "-b", "numpy", "--yes", *options) == 3
    assert "No baseline was written" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_help_has_examples(monkeypatch: Any, capsys: Any) -> None:
    """The group and both of its commands explain themselves with examples."""
    for arguments in (["--help"], ["show", "--help"], ["update", "--help"]):
        assert call(monkeypatch, *arguments) == 0
        assert "lenet-bench baseline" in capsys.readouterr().out.split("Examples")[1]


def test_machine_of_the_baseline_is_a_note(tmp_path: Path) -> None:
    """Accuracies may be held against another machine's and another version's, and the gate says so."""

    here = this_machine().sha256
    rows = [
        frame_of([ROW | {"machine": "a VAX", "machine_sha256": "c" * 64}], BASELINE).iloc[0],
        frame_of([ROW | {"backend": "jax", "machine": "this one", "machine_sha256": here}], BASELINE).iloc[0],
        frame_of([ROW | {"backend": "numpy"}], BASELINE).iloc[0],
    ]

    notes = notes_on(rows, {"torch": "1.0", "jax": "2.0", "numpy": "1.0"})

    assert len(notes) == 2
    assert f"from another machine (a VAX → {this_machine().text})" in notes[0]
    assert "speeds never" in notes[0]
    assert notes[1] == "The baseline was measured with jax 1.0 (here 2.0)."


def test_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's user.name where there is one, else the login."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert baseline._who() == "ada"
    (tmp_path / "config").write_text("[user]\n\tname = Ada Lovelace\n")
    assert baseline._who() == "Ada Lovelace"
