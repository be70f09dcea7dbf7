"""`lenet-bench compare`: runs side by side, entrants of a run, formats, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.results.folder import RunFolder, write_table
from harness.results.schema import SCHEMA_VERSION
from harness.worker.job import label_of
from tests.harness.synthetic_run import write_run

Call = Callable[..., tuple[int, str, str]]


def test_compare_prints_both_runs(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """Two runs of the same thing are joined in one table, each row with its run's name."""
    other = copy_of(finished_run, tmp_path)

    code, out, err = call("compare", str(finished_run), str(other))

    assert (code, err) == (0, "")
    assert out.count("numpy") >= 4
    assert out.count("twin") >= 4
    assert "first" in out
    assert "second" in out
    assert "cannot tell" in out


def copy_of(run: Path, parent: Path, **columns: str) -> Path:
    """Copy a run under the name `second`, with other values in some columns of its launches."""
    folder = RunFolder.create(parent, "second")
    launches = RunFolder(run).read("launches")
    changed = {name: pd.array([value] * len(launches), dtype="string") for name, value in columns.items()}
    write_table(folder.path / "launches.csv", launches.assign(run="second", **changed).astype(launches.dtypes))
    shutil.copy(run / "summary.csv", folder.path)
    return folder.path


def test_compare_refuses_the_same_run_twice(call: Call, finished_run: Path) -> None:
    """A run given twice would count its launches twice."""
    code, _, err = call("compare", str(finished_run), str(finished_run))

    assert code == 2
    assert "Two of the runs have the same name (first, first)" in err


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("jax", r"no base 'jax'\. There are: numpy eager b8, twin eager b8"),
        ("eager", r"no base 'eager'\. There are: numpy"),
    ],
)
def test_compare_refuses_an_unknown_base(call: Call, finished_run: Path, base: str, message: str) -> None:
    """A base that no entrant is called: exit code 2, and the entrants there are."""
    code, out, err = call("compare", str(finished_run), "--base", base)

    assert (code, out) == (2, "")
    assert re.search(message, err), err


@pytest.mark.parametrize("base", ["numpy", "twin"])
def test_compare_with_a_base(call: Call, finished_run: Path, base: str) -> None:
    """The base that is asked for has the ratio 1 and no verdict, the fastest one or not."""
    other = {"numpy": "twin", "twin": "numpy"}[base]

    code, out, _ = call("compare", str(finished_run), "--base", base)

    assert code == 0
    table = out.split("verdict")[1]
    assert re.search(rf"\b{base} eager [\d,]+ \S+ 1\.000 - -", table), table
    assert re.search(rf"\b{other} eager [\d,]+ \S+ \d\.\d+ \S+ cannot tell", table), table


def test_compare_with_a_base_of_two_runs(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """Where two runs have an entrant of that name, the sentence says so; there is one, so not that there is none."""
    other = copy_of(finished_run, tmp_path)

    code, out, err = call("compare", str(finished_run), str(other), "--base", "numpy")

    assert (code, out) == (2, "")
    assert "--base 'numpy' could be any of 2 entrants" in err


@pytest.mark.parametrize(
    ("what", "columns", "values"),
    [
        ("machine", {"machine": "Abacus", "machine_sha256": "e" * 64}, "; second: Abacus."),
        ("network", {"network": "lenet6"}, "first: lenet5; second: lenet6."),
        ("data set", {"data_set": "mnist", "data_sha256": "d" * 64}, "first: drawn-digits; second: mnist."),
        ("precision", {"dtype": "float64"}, "first: float32; second: float64."),
        ("recipe", {"recipe": "long"}, "first: lenet5; second: long."),
        ("device", {"device": "gpu"}, "first: cpu; second: gpu."),
        ("environment", {"environment": "native"}, "first: controlled; second: native."),
        ("set of controls", {"controls_sha256": "c" * 64}, f"; second: {'c' * 60}."),
    ],
)
def test_compare_refuses_what_cannot_be_compared(
    call: Call, finished_run: Path, tmp_path: Path, what: str, columns: dict[str, str], values: str
) -> None:
    """Another machine, network, data set, ...: exit code 2, what differs, and both values."""
    other = copy_of(finished_run, tmp_path, **columns)

    code, out, err = call("compare", str(finished_run), str(other))

    assert (code, out) == (2, "")
    assert f"cannot be compared: the {what}" in err
    assert values in err


def test_compare_sets_apart_what_cannot_be_compared(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """With --apart there is a table for each machine, the reason, and no ratio from one to the other."""
    other = copy_of(finished_run, tmp_path, machine="Abacus", machine_sha256="e" * 64)

    code, out, err = call("compare", str(finished_run), str(other), "--apart", "--base", "numpy")

    assert code == 0
    assert "set apart: the machine is not the same (it differs: in what is not known" in err
    assert out.count("Training, steady") == 2
    assert len(re.findall(r"numpy eager [\d,]+ \S+ 1\.000", out)) == 2
    assert "between runs" not in out


def test_compare_says_what_two_machines_differ_in(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """Not only that there are two."""
    other = copy_of(finished_run, tmp_path, machine="Abacus", machine_sha256="e" * 64)
    folder = RunFolder(other)
    environment = RunFolder(finished_run).read_environment()
    old = environment["machine"]["memory_gib"]
    environment["machine"]["memory_gib"] = "7"
    folder.write_environment(environment)

    code, _, err = call("compare", str(finished_run), str(other))

    assert code == 2
    assert f"the machine is not the same (it differs: memory in GiB {old} → 7)." in " ".join(err.split())


def test_ratios_between_runs_are_marked(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """A verdict on launches that did not stand next to each other has a mark, and the mark a sentence."""
    other = copy_of(finished_run, tmp_path)

    _, within, _ = call("compare", str(finished_run))
    code, between, _ = call("compare", str(finished_run), str(other))
    _, text, _ = call("compare", str(finished_run), str(other), "--format", "csv")

    assert code == 0
    assert "not paired" not in within
    assert between.count("cannot tell *") == 2
    assert "* between runs: not paired, and the machine may have changed since." in between
    assert (text.count("False"), text.count("True")) >= (2, 1)


def test_entrants_of_a_run(call: Call, tmp_path: Path) -> None:
    """--entrant takes some of a run, by label or by as much of it as is enough."""
    run = write_run(tmp_path / "run", entrants=6, rounds=4)
    labels = [label_of(row) for row in RunFolder(run).read("summary").to_dict("records")]
    chosen = [labels[1], labels[4]]

    code, out, _ = call("compare", str(run), "--format", "json", *(f"--entrant={label}" for label in chosen))
    assert code == 0
    rows = json.loads(out)
    assert [label_of(row) for row in rows] == chosen
    assert {row["base"] for row in rows} == {chosen[0]}

    code, _, err = call("compare", str(run), "--entrant", "abacus")
    assert code == 2
    assert "There is no entrant 'abacus'. There are:" in err


def test_run_that_has_not_ended(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """A run that is still being written is compared as far as it goes, and a sentence says so."""
    shutil.copytree(finished_run, tmp_path / "first")
    (tmp_path / "first" / "summary.csv").unlink()

    code, out, err = call("compare", str(tmp_path / "first"))

    assert code == 0
    assert "first has not ended, or was killed" in err
    assert "numpy" in out


def test_run_that_goes_on(call: Call, tmp_path: Path) -> None:
    """A run that is resumed has the summary of before: of fewer launches than there are by now."""
    run = write_run(tmp_path / "run", entrants=2, rounds=5)
    summary = RunFolder(run).read("summary")
    RunFolder(run).write_summary(summary.assign(launches=summary["launches"] - 1))

    assert "run has not ended, or was killed" in call("compare", str(run))[2]
    RunFolder(run).write_summary(summary)
    assert call("compare", str(run))[2] == ""


@pytest.mark.parametrize("format_", ["csv", "markdown", "json", "latex"])
def test_formats_print_nothing_else(call: Call, finished_run: Path, format_: str) -> None:
    """Standard output is the table and nothing else, so that it can be piped on."""
    code, out, err = call("compare", str(finished_run), "--format", format_)

    # What the machine did while these were timed has no place in CSV.
    assert code == 0
    assert err == "" or (format_ == "csv" and err.startswith(("lenet-bench: BUSY MACHINE", "lenet-bench: DISTURBED")))
    starts = {
        "csv": "schema_version,run,",
        "markdown": "| backend |",
        "json": f'[ {{ "schema_version": {SCHEMA_VERSION}',
        "latex": "\\begin",
    }
    assert out.startswith(starts[format_]), out[:80]
    if format_ == "json":
        assert [row["backend"] for row in json.loads(out)] == list(RunFolder(finished_run).read("summary")["backend"])


def test_format_that_there_is_none_of(call: Call, finished_run: Path) -> None:
    """Exit code 2, and the formats there are."""
    code, out, err = call("compare", str(finished_run), "--format", "excel")

    assert (code, out) == (2, "")
    assert "There is no format 'excel'. There are: csv, json, latex, markdown, table." in err


def test_runs_without_timing_have_no_other_format(call: Call, tmp_path: Path) -> None:
    """A run of the gate has accuracies alone: its table is empty, and a file of it would be too."""
    run = write_run(tmp_path / "run", entrants=2, rounds=2, timing=False)

    assert call("compare", str(run))[0] == 0
    code, out, err = call("compare", str(run), "--format", "markdown")
    assert (code, out) == (2, "")
    assert "No launch was timed in these runs" in err


@pytest.mark.parametrize("table", ["launches", "epochs", "inference"])
def test_damaged_run_is_a_sentence(call: Call, finished_run: Path, tmp_path: Path, table: str) -> None:
    """A table that is cut off in the middle of a row: exit code 2, the file, and nothing is printed."""
    shutil.copytree(finished_run, tmp_path / "first")
    path = tmp_path / "first" / f"{table}.csv"
    path.write_bytes(path.read_bytes()[:-7])

    code, out, err = call("compare", str(tmp_path / "first"))

    assert (code, out) == (2, "")
    assert f"first/{table}.csv" in err
    assert "cut off" in err
