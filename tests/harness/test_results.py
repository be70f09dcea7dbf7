"""Result files: every bit comes back, half a file is never there, a bad cell is named."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import InputError
from harness.results import TABLES, RunFolder, frame_of, read_table, write_table
from harness.schema import BASELINE, LAUNCHES, SCHEMA_VERSION, Column

# Reals whose shortest form, or whose last bit, is easily lost.
REALS = [0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 16777217.000000002, 0.0, -2.5, 0.9872999999999999]
TEXTS = ["plain", 'with "quotes", commas\nand a line break', "[bold]", "nan", "NA", "None", "1", "ünïcode", "True"]
VALUES = {"string": TEXTS, "Float64": REALS, "Int64": [0, 1, -1, 2**52 + 1, 139 * 2**30], "boolean": [True, False]}


def row_of(columns: dict[str, Column], number: int) -> dict[str, Any]:
    """A row in which every column has a value, another one for each number."""
    cells = {name: VALUES[column.dtype][number % len(VALUES[column.dtype])] for name, column in columns.items()}
    return cells | {"schema_version": SCHEMA_VERSION}


@pytest.mark.parametrize("columns", [*TABLES.values(), BASELINE], ids=[*TABLES, "baseline"])
def test_every_column_comes_back(columns: dict[str, Column], tmp_path: Path) -> None:
    """Each column with a value, and each without one, is read as it was written, bit by bit and dtype by dtype."""
    rows = [row_of(columns, number) for number in range(9)]
    rows += [{"schema_version": SCHEMA_VERSION}, row_of(columns, 3) | {list(columns)[-1]: None}]
    frame = frame_of(rows, columns)
    path = tmp_path / "table.csv"

    write_table(path, frame)
    found = read_table(path, columns)

    assert list(found.columns) == list(columns)
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == {
        name: column.dtype for name, column in columns.items()
    }
    for name in columns:
        for there, back in zip(frame[name], found[name]):
            assert (pd.isna(there) and pd.isna(back)) or there == back, (name, there, back)
    assert found.iloc[9].drop("schema_version").isna().all()


def test_not_a_number_becomes_an_empty_cell(tmp_path: Path) -> None:
    """A NaN is written as nothing: no reader meets the text nan."""
    path = tmp_path / "launches.csv"
    write_table(path, frame_of([{"schema_version": 1, "import_s": float("nan"), "build_s": 1.5}], LAUNCHES))

    assert "nan" not in path.read_text().splitlines()[1].lower()
    assert pd.isna(read_table(path, LAUNCHES)["import_s"].iloc[0])


def test_unknown_column_is_a_mistake() -> None:
    """A row with a column that the schema lacks is refused, by name."""
    with pytest.raises(ValueError, match=r"schema\.py does not have: speed_of_light"):
        frame_of([{"speed_of_light": 1}], LAUNCHES)


def test_rows_are_appended(tmp_path: Path) -> None:
    """Rows come one after another; a table that is not there yet has none."""
    folder = RunFolder.create(tmp_path, "run")
    assert len(folder.read("epochs")) == 0
    for number in range(3):
        folder.append("launches", [row_of(LAUNCHES, number)])

    assert list(folder.read("launches")["import_s"]) == REALS[:3]
    assert sorted(file.name for file in folder.path.iterdir()) == ["launches.csv"]


def test_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens before the rename, the old file is whole and nothing is left beside it."""
    folder = RunFolder.create(tmp_path, "run")
    folder.append("launches", [row_of(LAUNCHES, 0)])
    before = (folder.path / "launches.csv").read_bytes()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                folder.append("launches", [row_of(LAUNCHES, 1)])

        assert (folder.path / "launches.csv").read_bytes() == before
        assert [file.name for file in folder.path.iterdir()] == ["launches.csv"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """A write that the system refuses names the file and the reason."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(InputError, match=r"Cannot write .*launches\.csv: No space left on device"):
        RunFolder(tmp_path).append("launches", [row_of(LAUNCHES, 0)])

    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A folder below a regular file cannot be made: which one, why, and what to give instead."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot make the results folder .*file/x/run: Not a dir.*--results-dir"):
        RunFolder.create(tmp_path / "file" / "x", "run")


def test_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """A folder that went away: which file, and why."""
    with pytest.raises(InputError, match=r"Cannot write .*gone/launches\.csv: No such file or directory"):
        RunFolder(tmp_path / "gone").append("launches", [row_of(LAUNCHES, 0)])


def test_folder_with_results_is_not_used_again(tmp_path: Path) -> None:
    """A run never writes over another: the message offers another name, or to resume."""
    folder = RunFolder.create(tmp_path, "run")
    assert RunFolder.create(tmp_path, "run").path == folder.path
    folder.append("launches", [row_of(LAUNCHES, 0)])

    with pytest.raises(InputError, match=r"has results already.*--name.*--resume .*run"):
        RunFolder.create(tmp_path, "run")


@pytest.fixture
def spoil(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a good table of three rows with one cell of the second replaced."""

    def write(column: str, value: str) -> Path:
        path = tmp_path / "launches.csv"
        rows = [{"schema_version": 1, "import_s": 1.5, "round": 7, "steady": True} for _ in range(3)]
        write_table(path, frame_of(rows, LAUNCHES))
        lines = [line.split(",") for line in path.read_text().splitlines()]
        lines[2][lines[0].index(column)] = value
        path.write_text("\n".join(",".join(line) for line in lines) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    ("column", "value", "dtype"),
    [
        ("import_s", "fast", "Float64"),
        ("import_s", "nan", "Float64"),
        ("import_s", "1.5.2", "Float64"),
        ("round", "1.5", "Int64"),
        ("round", "one", "Int64"),
        ("steady", "yes", "boolean"),
    ],
)
def test_bad_cell_is_named(spoil: Callable[[str, str], Path], column: str, value: str, dtype: str) -> None:
    """A cell of another dtype: file, row as a spreadsheet counts, column, and what is there."""
    path = spoil(column, value)

    with pytest.raises(InputError) as caught:
        read_table(path, LAUNCHES)
    assert str(caught.value) == f"{path}, row 3, column {column}: {value!r} is not {dtype}."


def test_other_schema_version_is_refused(spoil: Callable[[str, str], Path]) -> None:
    """Rows of another version of the columns are refused with both versions."""
    with pytest.raises(InputError, match=r"schema_version \[1, 2\]; this lenet-bench reads 1"):
        read_table(spoil("schema_version", "2"), LAUNCHES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a CSV table"),
        (b"name,age\nAda,36\n", "lacks the columns schema_version, run, .*Is it a table of lenet-bench"),
        (b'a,b\n"1,2\n3', "is not a CSV table|lacks the columns"),
        (b"\xff\xfe\x00\x01", "is not a CSV table"),
    ],
    ids=["empty", "foreign", "torn", "binary"],
)
def test_foreign_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """What is no table of ours is refused with its name, and without a traceback."""
    path = tmp_path / "launches.csv"
    path.write_bytes(content)

    with pytest.raises(InputError, match=f"{re.escape(str(path))} ({message})"):
        read_table(path, LAUNCHES)


def test_missing_column_is_named(tmp_path: Path) -> None:
    """A table without one of its columns says which."""
    path = tmp_path / "launches.csv"
    frame_of([{"schema_version": 1}], LAUNCHES).drop(columns=["seed"]).to_csv(path, index=False)

    with pytest.raises(InputError, match=r"lacks the columns seed\."):
        read_table(path, LAUNCHES)


def test_missing_files_are_sentences(tmp_path: Path) -> None:
    """A file that is not there, a folder in its place, and a path through a file are told, not traced."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="There is no file"):
        read_table(tmp_path / "none.csv", LAUNCHES)
    with pytest.raises(InputError, match=r"Cannot read .*: Is a directory"):
        read_table(tmp_path, LAUNCHES)
    with pytest.raises(InputError, match=r"Cannot read .*: Not a directory"):
        read_table(tmp_path / "file" / "x.csv", LAUNCHES)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "is not"), (None, "is not a run")])
def test_bad_environment_file_is_a_sentence(tmp_path: Path, text: str | None, message: str) -> None:
    """environment.json that is missing, torn or something else is told with its folder."""
    if text is not None:
        (tmp_path / "environment.json").write_text(text)

    with pytest.raises(InputError, match=message):
        RunFolder(tmp_path).read_environment()


def test_environment_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    """A file in place of a run's folder is told as such."""
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="is not a run"):
        RunFolder(tmp_path / "file").read_environment()
