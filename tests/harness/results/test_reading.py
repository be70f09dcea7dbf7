"""Reading result files: a bad cell, a missing column, a foreign file and another version are named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.results.folder import RunFolder, frame_of, read_table, write_table
from harness.results.schema import BASELINE, BASELINE_VERSION, LAUNCHES, SCHEMA_VERSION


@pytest.fixture
def spoil(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a good table of three rows with one cell of the second replaced."""

    def write(column: str, value: str) -> Path:
        path = tmp_path / "launches.csv"
        rows = [{"schema_version": SCHEMA_VERSION, "import_s": 1.5, "round": 7, "steady": True} for _ in range(3)]
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


def test_two_versions_in_one_file_are_refused(spoil: Callable[[str, str], Path]) -> None:
    """A row of another version than those before it is named."""
    other = str(SCHEMA_VERSION - 1)
    with pytest.raises(InputError, match=rf"row 3, column schema_version: '{other}', but '{SCHEMA_VERSION}' in the"):
        read_table(spoil("schema_version", other), LAUNCHES)


def test_newer_version_is_refused(tmp_path: Path) -> None:
    """A table of a newer lenet-bench is told by its version, not by the columns that it lacks or has more."""
    path = tmp_path / "launches.csv"
    newer = SCHEMA_VERSION + 1
    columns = {name: column for name, column in LAUNCHES.items() if name not in ("variant", "start_up_s", "until")}
    write_table(path, frame_of([{"schema_version": newer, "round": each + 1} for each in range(3)], columns))

    with pytest.raises(InputError) as caught:
        read_table(path, LAUNCHES)
    assert str(caught.value) == (
        f"{path} has schema_version {newer}; this lenet-bench reads up to {SCHEMA_VERSION}. Use the newer lenet-bench."
    )


def test_versions_of_tables_and_baseline_are_their_own(tmp_path: Path) -> None:
    """A baseline has its own version, so that the committed one is read, and comes back byte by byte."""
    path = Path(__file__).parents[3] / "results" / "baselines" / "accuracy.csv"

    found = read_table(path, BASELINE, version=BASELINE_VERSION)

    assert set(found["schema_version"]) == {BASELINE_VERSION}
    assert found["test_accuracy_mean"].between(0.9, 1).all()
    write_table(tmp_path / "again.csv", found)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a CSV table"),
        (b"name,age\nAda,36\n", "lacks the columns schema_version, run, .*Is it a table of lenet-bench"),
        (b'a,b\n"1,2\n3', r"does not end with the end of a line\. Is it cut off"),
        (b'a,b\n"1,2\n3\n', "is not a CSV table: unexpected end of data"),
        (b"\xff\xfe\x00\x01\n", "is not a CSV table"),
    ],
    ids=["empty", "foreign", "torn", "open quote", "binary"],
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
    frame_of([{"schema_version": SCHEMA_VERSION}], LAUNCHES).drop(columns=["seed"]).to_csv(path, index=False)

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
