"""Result folders: written a row at a time, whole files at once; read with the schema's dtypes."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.files import PARTIAL, sync_folder, write_text_atomically
from harness.results import lock
from harness.results.counted import counting, entrants_of, of_launches, whole
from harness.results.csv_reading import read_table as read_table  # also to be had from here
from harness.results.environment import read_environment
from harness.results.lock import FolderLock
from harness.results.names import name_fault
from harness.results.schema import (
    BLOCKS,
    EPOCHS,
    INFERENCE,
    LATENCY,
    LAUNCHES,
    SCALING,
    SUMMARY,
    VERIFICATION,
    Column,
)
from harness.results.validation import check_rows
from harness.visible import quoted

TABLES = {
    "launches": LAUNCHES, "epochs": EPOCHS, "blocks": BLOCKS, "inference": INFERENCE, "latency": LATENCY,
    "summary": SUMMARY, "scaling": SCALING, "verification": VERIFICATION,
}  # fmt: skip
# What a launch writes beside its own row.
OF_LAUNCHES = ("epochs", "blocks", "inference", "latency")


class RunFolder:
    """One run under results/: a CSV for each of TABLES that it has, and environment.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FolderLock(path)
        # Table -> which file it was read from, and its rows: a run looks at its launches a dozen times a round.
        self._read: dict[str, tuple[tuple[int, int, int], pd.DataFrame]] = {}

    @cached_property
    def name(self) -> str:
        """The run's name, which stays with it where its folder is renamed: as environment.json or its rows have it."""
        return _recorded_name(self.path) or self.path.resolve().name

    @classmethod
    def create(cls, results: Path, name: str, *, numbered: bool = False) -> RunFolder:
        """Make the folder.

        Args:
            numbered: where the name is taken, take `<name>-2`, or the next that is free.

        Raises:
            InputError: it cannot be made, is there and not empty, or is no name of a folder under `results`.
        """
        if reason := name_fault(name):
            raise InputError(f"A run cannot be called {name[:60]!r}: that {reason}. Give another --name.")
        for number in itertools.count(1):
            path = results / (name if number == 1 else f"{name}-{number}")
            try:
                # Of two processes that want the same name, one alone makes it.
                path.mkdir(parents=True)
            except FileExistsError:
                if numbered:
                    continue
                if not path.is_dir() or not _is_empty(path):
                    raise _taken(path) from None
            except OSError as error:
                raise InputError(
                    f"Cannot make the results folder {path}: {error.strerror}. Give another with --results-dir."
                ) from None
            return cls(path)
        raise AssertionError("numbers do not end")

    @classmethod
    @contextlib.contextmanager
    def begin(cls, results: Path, name: str, *, numbered: bool = False) -> Iterator[RunFolder]:
        """Make the folder and have its lock; afterwards it is gone again if nothing was written.

        Raises:
            InputError: as `create`, or another process was faster.
        """
        folder = cls.create(results, name, numbered=numbered)
        try:
            with folder.lock():
                # Somebody may have filled and left it before the lock was ours.
                if not _is_empty(folder.path):
                    raise _taken(folder.path)
                sync_folder(folder.path.parent)
                yield folder
        finally:
            with contextlib.suppress(OSError):
                folder.path.rmdir()

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Be the only process that writes into the folder (`harness.results.lock`)."""
        return self._lock.hold()

    def append(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows to a table; the file on disk is the old one or the new one, never between."""
        self.append_frame(table, frame_of(rows, TABLES[table]))

    def append_frame(self, table: str, frame: pd.DataFrame) -> None:
        """As `append`, of rows as `read` returns them."""
        path = self.path / f"{table}.csv"
        if path.exists():
            # As text: a run of an hour has too many rows to read them all again after every launch.
            write_text_atomically(path, path.read_text(encoding="utf-8") + csv_of(frame, header=False))
        else:
            write_table(path, frame)

    def drop_unended_launches(self) -> None:
        """Forget rows of launches that never ended, which have no row of their own; bring all to this version."""
        if not (self.path / "launches.csv").exists():
            ended: set[tuple[int, int]] = set()
        else:
            launches = self.read("launches")
            ended = set(zip(launches["round"], launches["position"]))
            write_table(self.path / "launches.csv", launches)
        for table in OF_LAUNCHES:
            if not (self.path / f"{table}.csv").exists():
                continue
            rows = self.read(table)
            kept = [key in ended for key in zip(rows["round"], rows["position"])]
            write_table(self.path / f"{table}.csv", rows[np.array(kept, dtype=bool)])

    def uncount(self, rounds: Iterable[int]) -> None:
        """Mark all launches of these rounds as ones that no figure is made of; their rows stay."""
        launches, numbers = self.read("launches"), set(rounds)
        if numbers:
            launches.loc[launches["round"].isin(numbers), "counted"] = False
            write_table(self.path / "launches.csv", launches)

    def read_counted(self, table: str) -> pd.DataFrame:
        """As `read`, without rows of launches that do not count, or never ended.

        Args:
            table: launches, or one of OF_LAUNCHES.
        """
        launches = self.counted_of(self.read("launches"))
        return launches if table == "launches" else of_launches(self.read(table), launches)

    def counted_of(self, launches: pd.DataFrame) -> pd.DataFrame:
        """Of rows of launches.csv those that count: of whole rounds, or all where none is (`results.counted`)."""
        return whole(counting(launches), self._plans())[0]

    def has_whole_round(self) -> bool:
        """Whether a round is whole, of the launches that there are; so that there is something to compare."""
        return whole(counting(self.read("launches")), self._plans())[1]

    def _plans(self) -> list[frozenset[str]]:
        try:
            return entrants_of(self.read_environment())
        except InputError:
            # Who has rows alone, handed on without the rest, has them all.
            return []

    def forget_summary(self) -> None:
        """Delete summary.csv: a run that goes on has not ended (`has_ended`)."""
        (self.path / "summary.csv").unlink(missing_ok=True)

    def write_summary(self, frame: pd.DataFrame) -> None:
        """Write summary.csv anew."""
        write_table(self.path / "summary.csv", frame)

    def write_scaling(self, frame: pd.DataFrame) -> None:
        """Write scaling.csv."""
        write_table(self.path / "scaling.csv", frame)

    def read(self, table: str) -> pd.DataFrame:
        """Read one table, also of an older version; without rows where it does not exist yet.

        Raises:
            InputError: as `read_table`, or rows that cannot have been measured (see `check_rows`).
        """
        path, state = self.path / f"{table}.csv", self.state(table)
        if state is None:
            return _nothing(table).copy()
        if self._read.get(table, ((), None))[0] != state:
            frame = read_table(path, TABLES[table])
            check_rows(frame, table, TABLES[table], path)
            self._read[table] = (state, frame)
        return self._read[table][1].copy()

    def state(self, table: str) -> tuple[int, int, int] | None:
        """What is another where a table's file is another, or says something else; None while there is no file."""
        try:
            found = (self.path / f"{table}.csv").stat()
        except OSError:
            return None
        # A file that is written anew is another file (`write_text_atomically`); people's editors write over it.
        return found.st_ino, found.st_size, found.st_mtime_ns

    def has_ended(self, timed: int) -> bool:
        """Whether nothing more is being written: summary.csv, which a run writes last, is there and up to date.

        Args:
            timed: launches of launches.csv that count and were timed.
        """
        return (self.path / "summary.csv").exists() and int(self.read("summary")["launches"].sum()) == timed

    def write_environment(self, values: dict[str, Any]) -> None:
        """Write environment.json: plan, machine, packages, controls."""
        write_text_atomically(self.path / "environment.json", json.dumps(values, indent=1, default=str) + "\n")

    def read_environment(self) -> dict[str, Any]:
        """Read environment.json.

        Raises:
            InputError: there is none, or something in it is not what it must be (see `harness.results.environment`).
        """
        path = self.path / "environment.json"
        if not path.exists():
            raise InputError(f"{self.path} is not a run: environment.json: No such file or directory.")
        return read_environment(path)


def _is_empty(path: Path) -> bool:
    """Whether nothing was ever written there; a lock, and what a killed writer has left, count as nothing."""
    return {file.name for file in path.iterdir() if file.suffix != PARTIAL} <= {lock.NAME}


def _taken(path: Path) -> InputError:
    if (path / "environment.json").exists():
        return InputError(f"{path} has results already. Give another --name, or --resume {path}.")
    return InputError(f"{path} is there already, and is no run. Give another --name.")


def _recorded_name(path: Path) -> str:
    """The name in environment.json, or in the rows of runs that have none there; empty without either."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        said = json.loads((path / "environment.json").read_text(encoding="utf-8")).get("run")
        if isinstance(said, str) and said:
            return said
    with contextlib.suppress(OSError, ValueError, csv.Error), (path / "launches.csv").open(encoding="utf-8") as file:
        return next(csv.DictReader(file), {}).get("run") or ""
    return ""


def frame_of(rows: list[dict[str, Any]], columns: dict[str, Column]) -> pd.DataFrame:
    """A frame with exactly the schema's columns and dtypes; a cell that a row lacks is missing."""
    extra = {key for row in rows for key in row} - set(columns)
    if extra:
        raise ValueError(f"Columns that harness/results/schema.py does not have: {', '.join(sorted(extra))}.")
    data = {
        name: pd.array([_cell(row.get(name)) for row in rows], dtype=column.dtype)  # type: ignore[call-overload]
        for name, column in columns.items()
    }
    return pd.DataFrame(data)


@cache
def _nothing(table: str) -> pd.DataFrame:
    """A table without rows, which a folder that has only begun is asked for again and again."""
    return frame_of([], TABLES[table])


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # Neither csv nor read_text keeps a carriage return apart from the end of a line.
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return pd.NA if value is None else value


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV atomically; real numbers have the digits that give the same bits back."""
    write_text_atomically(path, csv_of(frame))


def csv_of(frame: pd.DataFrame, *, header: bool = True) -> str:
    """The rows as CSV, the header before them where it is wanted; no cell is a formula (see `harness.visible`)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(frame.columns)
    writer.writerows(zip(*(_written(frame[name].to_numpy(object)) for name in frame.columns)))
    return text.getvalue()


def _written(cells: np.ndarray) -> Iterator[Any]:
    """What csv.writer is to write of a column's cells, one after the other; a missing one as nothing."""
    for cell, missing in zip(cells, pd.isna(cells)):
        yield None if missing else quoted(cell) if isinstance(cell, str) else cell
