"""Result files: every bit comes back, half a file is never there, a name is taken once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.errors import InputError, LenetBenchError
from harness.results import lock
from harness.results.folder import OF_LAUNCHES, TABLES, RunFolder, csv_of, frame_of, read_table, write_table
from harness.results.schema import BASELINE, BASELINE_VERSION, EPOCHS, LAUNCHES, SCHEMA_VERSION, Column

# Reals whose shortest form, or whose last bit, is easily lost.
REALS = [0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 16777217.000000002, 0.0, -2.5, float("inf")]
TEXTS = ["plain", 'with "quotes", commas\nand a line break', "[bold]", "nan", "NA", "None", "1", "ünïcode", "True"]
VALUES = {"string": TEXTS, "Float64": REALS, "Int64": [0, 1, -1, 2**52 + 1, 139 * 2**30], "boolean": [True, False]}


VERSIONS = dict.fromkeys(TABLES, SCHEMA_VERSION) | {"baseline": BASELINE_VERSION}
every_table = pytest.mark.parametrize("table", TABLES)


def row_of(columns: dict[str, Column], number: int, **changes: Any) -> dict[str, Any]:
    """A row in which every column has a value, another one for each number."""
    cells = {name: VALUES[column.dtype][number % len(VALUES[column.dtype])] for name, column in columns.items()}
    return cells | {"schema_version": SCHEMA_VERSION} | changes


def measured_row(columns: dict[str, Column], number: int, **changes: Any) -> dict[str, Any]:
    """A row that can have been measured, another one for each number."""
    sane = {"string": "text", "Float64": 0.5 + number / 100, "Int64": number + 1, "boolean": True}
    cells = {name: sane[column.dtype] for name, column in columns.items()}
    if "status" in columns:
        cells |= {"status": "ok", "turn_step_us": " ".join(["801.2"] * cells["turns"]), "disturbed_turns": "1"}
    return cells | {"schema_version": SCHEMA_VERSION} | changes


def rows_on_disk(folder: RunFolder, table: str) -> pd.DataFrame:
    """Cells as they are, whatever they say: most of these rows cannot have been measured."""
    return read_table(folder.path / f"{table}.csv", TABLES[table])


def assert_same(there: pd.DataFrame, back: pd.DataFrame) -> None:
    """The same columns, dtypes and cells, bit by bit."""
    assert list(back.columns) == list(there.columns)
    assert list(map(str, back.dtypes)) == list(map(str, there.dtypes))
    for name in there:
        for one, other in zip(there[name], back[name], strict=True):
            assert (pd.isna(one) and pd.isna(other)) or one == other, (name, one, other)


@pytest.mark.parametrize("table", VERSIONS)
def test_every_column_comes_back(table: str, tmp_path: Path) -> None:
    """Each column with a value, and each without one, is read as it was written, bit by bit and dtype by dtype."""
    columns, version = (TABLES | {"baseline": BASELINE})[table], VERSIONS[table]
    rows = [row_of(columns, number, schema_version=version) for number in range(9)]
    rows += [{"schema_version": version}, rows[3] | {list(columns)[-1]: None}]
    frame = frame_of(rows, columns)
    path = tmp_path / "table.csv"

    write_table(path, frame)
    found = read_table(path, columns, version=version)

    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == {
        name: column.dtype for name, column in columns.items()
    }
    assert_same(frame, found)
    assert found.iloc[9].drop("schema_version").isna().all()


@every_table
def test_files_are_as_pandas_writes_them(table: str) -> None:
    """Byte by byte, also of what is missing, endless or of pandas' other dtypes; but for formulas."""
    frame = frame_of([*(row_of(TABLES[table], number) for number in range(9)), {}], TABLES[table])
    for each in (frame, frame[:0], frame.astype(object), frame.assign(more=np.nan, plain=np.arange(10) / 3)):
        for header in (True, False):
            assert csv_of(each, header=header) == each.to_csv(index=False, header=header, lineterminator="\n")


def test_not_a_number_becomes_an_empty_cell(tmp_path: Path) -> None:
    """A NaN is written as nothing: no reader meets the text nan."""
    path = tmp_path / "launches.csv"
    write_table(path, frame_of([{"schema_version": SCHEMA_VERSION, "import_s": float("nan")}], LAUNCHES))

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

    assert list(rows_on_disk(folder, "launches")["import_s"]) == REALS[:3]
    assert sorted(file.name for file in folder.path.iterdir()) == ["launches.csv"]


@every_table
def test_appended_rows_are_those_that_are_written_at_once(table: str, tmp_path: Path) -> None:
    """A file that grew row by row has the bytes of one that was written whole, and gives dtypes and bits back."""
    rows = [row_of(TABLES[table], number) for number in range(9)]
    rows.insert(4, {"schema_version": SCHEMA_VERSION})
    whole = frame_of(rows, TABLES[table])
    folder = RunFolder.create(tmp_path, "run")

    for part in (rows[:1], rows[1:4], rows[4:5], rows[5:]):
        folder.append(table, part)

    write_table(tmp_path / "whole.csv", whole)
    assert (folder.path / f"{table}.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert_same(whole, rows_on_disk(folder, table))


@pytest.mark.parametrize("text", ["one\r\ntwo, three\r\n", "one\rtwo"], ids=["CR LF", "CR"])
def test_line_breaks_of_other_systems_survive_appending(tmp_path: Path, text: str) -> None:
    """A cell with carriage returns is not changed by the rows that come after it, and is no end of its row."""
    rows = [row_of(LAUNCHES, number, error=text) for number in range(3)]
    folder = RunFolder.create(tmp_path, "run")

    for row in rows:
        folder.append("launches", [row])

    write_table(tmp_path / "whole.csv", frame_of(rows, LAUNCHES))
    assert (folder.path / "launches.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert_same(frame_of(rows, LAUNCHES), rows_on_disk(folder, "launches"))


def test_file_is_read_once_and_again_when_it_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks at its launches a dozen times a round; what one reader does with its rows is nothing to the next."""
    folder = RunFolder(tmp_path)
    folder.append("epochs", [measured_row(EPOCHS, 1)])
    read: list[Path] = []

    def reading(path: Path, *arguments: Any) -> pd.DataFrame:
        read.append(path)
        return read_table(path, *arguments)

    monkeypatch.setattr("harness.results.folder.read_table", reading)
    rows = folder.read("epochs")
    rows["seed"] = 99
    assert list(folder.read("epochs")["seed"]) == [2]
    assert len(read) == 1

    folder.append("epochs", [measured_row(EPOCHS, 2)])
    assert list(folder.read("epochs")["seed"]) == [2, 3]
    path = tmp_path / "epochs.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert list(folder.read("epochs")["seed"]) == [2]


def test_appending_reads_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is added without parsing those that are there: a run may have hundreds of thousands of blocks."""
    folder = RunFolder.create(tmp_path, "run")
    folder.append("blocks", [row_of(TABLES["blocks"], 0)])
    with monkeypatch.context() as patch:
        patch.setattr(pd, "read_csv", None)
        folder.append("blocks", [row_of(TABLES["blocks"], 1)])

    assert len(rows_on_disk(folder, "blocks")) == 2


def test_rows_of_launches_that_never_ended_are_forgotten_everywhere(tmp_path: Path) -> None:
    """What a kill left before the launch's own row was written goes from every table; failed launches stay."""
    folder = RunFolder.create(tmp_path, "run")
    places = {(1, 1): "ok", (1, 2): "failed", (2, 1): None, (2, 2): "ok"}
    for number, ((turn, position), status) in enumerate(places.items()):
        for table in OF_LAUNCHES:
            rows = [measured_row(TABLES[table], more, round=turn, position=position) for more in range(3)]
            folder.append(table, rows)
        if status:
            row = measured_row(LAUNCHES, number, round=turn, position=position, status=status)
            folder.append("launches", [row])
    before = {table: folder.read(table) for table in ("launches", *OF_LAUNCHES)}

    folder.drop_unended_launches()

    assert {"epochs", "blocks", "inference", "latency"} == set(OF_LAUNCHES)
    for table, rows in before.items():
        kept = [place != (2, 1) for place in zip(rows["round"], rows["position"])]
        assert sum(kept) == (3 if table == "launches" else 9)
        assert_same(rows[kept], folder.read(table))


def test_forgetting_makes_no_tables(tmp_path: Path) -> None:
    """A run without epochs, blocks or sweeps has none of their tables afterwards either; also without any launch."""
    folder = RunFolder.create(tmp_path, "run")
    folder.append("epochs", [measured_row(EPOCHS, 0)])

    folder.drop_unended_launches()

    assert sorted(file.name for file in folder.path.iterdir()) == ["epochs.csv"]
    assert len(folder.read("epochs")) == 0


def test_uncounted_rounds_stay_and_count_nowhere(tmp_path: Path) -> None:
    """Rows of a round that was cut off are on disk as before, but for one cell, and `read_counted` has none of them."""
    folder = RunFolder.create(tmp_path, "run")
    for number, turn in enumerate((1, 2, 3)):
        for table in OF_LAUNCHES:
            folder.append(table, [measured_row(TABLES[table], number, round=turn, position=1)])
        folder.append("launches", [measured_row(LAUNCHES, number, round=turn, position=1, counted=True)])
    before = {table: folder.read(table) for table in ("launches", *OF_LAUNCHES)}

    folder.uncount([2])

    for table, rows in before.items():
        counted = [number != 2 for number in rows["round"]]
        assert_same(rows[counted], folder.read_counted(table))
        assert_same(
            rows.drop(columns="counted", errors="ignore"), folder.read(table).drop(columns="counted", errors="ignore")
        )
    assert list(folder.read("launches")["counted"]) == [True, False, True]


def test_rows_of_before_there_was_a_column_count(tmp_path: Path) -> None:
    """An empty cell is that of a run in which every launch counted."""
    folder = RunFolder.create(tmp_path, "run")
    folder.append("launches", [measured_row(LAUNCHES, 0, counted=None)])

    assert len(folder.read_counted("launches")) == 1


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
    with pytest.raises(LenetBenchError, match=r"Cannot write .*launches\.csv: No space left on device"):
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
    """A run never writes over another, or into what is no run: the message offers another name, or to resume."""
    folder = RunFolder.create(tmp_path, "run")
    assert RunFolder.create(tmp_path, "run").path == folder.path
    (folder.path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"run is there already, and is no run.*another --name"):
        RunFolder.create(tmp_path, "run")

    folder.write_environment({})
    with pytest.raises(InputError, match=r"has results already.*--name.*--resume .*run"):
        RunFolder.create(tmp_path, "run")


def test_name_of_a_run_that_was_killed_in_its_first_write_is_free(tmp_path: Path) -> None:
    """What it left is no result: the next run of that name has the folder, and nothing stays in it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".environment.json.abcdefgh.partial").write_text('{"half')

    with RunFolder.begin(tmp_path, "run") as folder:
        folder.write_environment({})
    assert sorted(file.name for file in folder.path.iterdir() if file.name != lock.NAME) == ["environment.json"]


def test_names_that_are_taken_are_numbered(tmp_path: Path) -> None:
    """Runs that begin in the same second have folders of their own, also where the first is still empty."""
    (tmp_path / "run-3").touch()

    made = [RunFolder.create(tmp_path, "run", numbered=True).path.name for _ in range(3)]

    assert made == ["run", "run-2", "run-4"]


def test_folder_in_which_nothing_was_written_goes_again(tmp_path: Path) -> None:
    """What is refused after the name was taken leaves no folder; what a killed process left in it is no obstacle."""
    with pytest.raises(InputError, match="no such thing"), RunFolder.begin(tmp_path, "run"):
        raise InputError("no such thing")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / lock.NAME).write_text('{"pid": 1, "since": "long ago"}')
    with RunFolder.begin(tmp_path, "run") as folder:
        folder.write_environment({})
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["environment.json"]


def test_name_stays_with_the_run(tmp_path: Path) -> None:
    """A run has the name that environment.json says, or its rows, whatever its folder is called now."""
    folder = RunFolder.create(tmp_path, "first")
    assert folder.name == "first"
    folder.append("launches", [measured_row(LAUNCHES, 0, run="first")])
    moved = folder.path.rename(tmp_path / "moved")
    assert RunFolder(moved).name == "first"

    RunFolder(moved).write_environment({"run": "said"})
    assert RunFolder(moved).name == "said"
    (moved / "environment.json").write_text("[]")
    assert RunFolder(moved).name == "first"
