"""Rows that cannot have been measured are refused with file, row and column, whoever reads them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import InputError
from harness.results.folder import RunFolder
from tests.harness.synthetic_run import write_run

OLD = Path(__file__).parents[1] / "old_results" / "version-3"


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., RunFolder]:
    """Return a function that copies a real run and puts a value into the second row of one of its tables."""

    def edit(table: str, column: str, value: str) -> RunFolder:
        shutil.copytree(OLD, tmp_path / "run")
        path = tmp_path / "run" / f"{table}.csv"
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        assert frame.loc[1, column] != value
        frame.loc[1, column] = value
        frame.to_csv(path, index=False)
        return RunFolder(tmp_path / "run")

    return edit


@pytest.mark.parametrize(
    ("table", "column", "value", "why"),
    [
        ("launches", "run", "", "an empty cell, where every row needs a value"),
        ("launches", "round", "", "an empty cell, where every row needs a value"),
        ("launches", "backend", "", "an empty cell, where every row needs a value"),
        ("launches", "machine_sha256", "", "an empty cell, where every row needs a value"),
        ("launches", "status", "fine", "'fine' is none of ok, failed"),
        ("launches", "train_images_per_s", "-3", "-3.0 is no speed"),
        ("launches", "train_images_per_s", "0", "0.0 is no speed"),
        ("launches", "train_images_per_s", "inf", "inf is no speed"),
        ("launches", "batch_size", "0", "0 must be 1 or more"),
        ("launches", "turn_step_us", "fast", "'fast' is not a positive number for each"),
        ("launches", "turn_step_us", "801.2 nan", "'801.2 nan' is not a positive number for each"),
        ("launches", "turn_step_us", "801.2 -1", "'801.2 -1' is not a positive number for each"),
        ("launches", "turn_step_us", "0 801.2", "'0 801.2' is not a positive number for each"),
        ("launches", "turn_step_us", "801,2", "'801,2' is not a positive number for each"),
        ("launches", "turn_step_us", " ".join(["801.2"] * 9999), r"'801.2 801.2 801.2 .*\.\.\.' is not a positive"),
        ("epochs", "test_accuracy", "98.5", "98.5 is no share"),
        ("epochs", "epoch", "", "an empty cell, where every row needs a value"),
        ("blocks", "phase", "", "an empty cell, where every row needs a value"),
        ("inference", "inference_images_per_s", "-1", "-1.0 is no speed"),
        ("summary", "backend", "", "an empty cell, where every row needs a value"),
    ],
)
def test_cell_that_cannot_be(edited: Callable[..., RunFolder], table: str, column: str, value: str, why: str) -> None:
    """Empty keys, speeds that are none and accuracies in percent: where, what and why."""
    folder = edited(table, column, value)

    with pytest.raises(InputError, match=rf"run/{table}\.csv, row 3, column {column}: {why}"):
        folder.read(table)


@pytest.mark.parametrize("cell", ["3 3", "7 3", "0", "100000", "some"])
def test_numbers_of_turns_that_cannot_be(tmp_path: Path, cell: str) -> None:
    """Each once, in their order, and none that was not taken."""
    path = write_run(tmp_path / "run", entrants=2, rounds=2) / "launches.csv"
    pd.read_csv(path, dtype="string").assign(disturbed_turns=cell).to_csv(path, index=False)

    with pytest.raises(InputError, match=rf"row 2, column disturbed_turns: '{cell}' are no numbers of its turns"):
        RunFolder(path.parent).read("launches")


@pytest.mark.parametrize("table", ["launches", "epochs", "inference", "summary"])
def test_row_that_is_there_twice(tmp_path: Path, table: str) -> None:
    """A row pasted in once more: both places."""
    shutil.copytree(OLD, tmp_path / "run")
    path = tmp_path / "run" / f"{table}.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[2]]) + "\n")

    with pytest.raises(InputError, match=rf"{table}\.csv, row {len(lines) + 1}: the same launch as row 3 \(run run-of"):
        RunFolder(tmp_path / "run").read(table)


@pytest.mark.parametrize("table", ["launches", "epochs", "blocks", "inference", "summary"])
@pytest.mark.parametrize("lost", [1, 3, 25])
def test_file_that_is_cut_off(tmp_path: Path, table: str, lost: int) -> None:
    """A last row that has lost characters is never read as a row with missing cells."""
    shutil.copytree(OLD, tmp_path / "run")
    path = tmp_path / "run" / f"{table}.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])

    with pytest.raises(InputError, match=rf"{table}\.csv"):
        RunFolder(tmp_path / "run").read(table)


def test_real_runs_are_not_refused() -> None:
    """What lenet-bench wrote itself is read."""
    for table in ("launches", "epochs", "blocks", "inference", "summary"):
        assert len(RunFolder(OLD).read(table)) >= 2
