"""A results store: tables of many runs as Parquet files, in a folder for each table, for whoever has millions of rows.

    store/launches/00001-4be1c2d0.parquet, 00002-..., store/epochs/..., and so on

Columns are those of the CSV files, but for `turn_step_us`, which is a list of numbers. All rows of a run stand in one
group of rows of one file, so that a store can be read group by group. `store_writing` writes it. Other programs read it
as they do any Parquet data set (docs/scale.md).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.results.folder import TABLES
from harness.results.migrations import ADDED, KNOWN
from harness.results.schema import SCHEMA_VERSION, Column
from harness.results.turn_times import TurnTimes
from harness.results.validation import NEEDED, STATUSES

T = TypeVar("T")
TURNS, SPEED = "turn_step_us", "train_images_per_s"
# A thread has a group in memory.
MOST_THREADS = 4
VERSION_KEY = b"lenet_bench_schema_version"
AGAIN = "Delete it, and export its runs again: lenet-bench export RUN... --store"


def need_pyarrow() -> None:
    """Refuse to go on without it.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            "Parquet needs pyarrow, which is not installed. Install it: pip install 'lenet-bench[parquet]'"
        )


def is_store(path: Path) -> bool:
    """Whether a folder is a store's, to go by its names."""
    return (path / "launches").is_dir()


class Store:
    """A store under this path, or one that is to be."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet.

        Raises:
            InputError: pyarrow is not installed.
        """
        need_pyarrow()
        self.path = path

    def runs(self) -> set[str]:
        """The names of the runs that are in it."""
        found: set[str] = set()
        for file in self._files():
            found.update(_reading(file, partial(_runs_of, file)))
        return found

    def each_part(self, columns: Sequence[str], look: Callable[[pd.DataFrame, TurnTimes], T]) -> Iterator[T]:
        """What a function makes of launches that succeeded, count and were timed: of so many at a time, in order.

        Args:
            columns: of launches.csv, that it is given; texts as categories.
            look: is called in several threads.

        Raises:
            InputError: there is no file, or one is damaged, of a newer version, or has a run that another has, too.
        """
        files = self._files()
        if not files:
            raise InputError(
                f"{self.path} has no Parquet file in launches/. Fill it: lenet-bench export RUN... --store"
            )
        wanted = list(dict.fromkeys([*columns, "run", "status", "counted", SPEED]))
        parts = [part for file in files for part in _reading(file, partial(_parts, file, wanted))]
        seen: dict[str, Path] = {}
        with ThreadPoolExecutor(min(MOST_THREADS, len(os.sched_getaffinity(0)))) as pool:
            for part, (runs, found) in zip(parts, pool.map(lambda part: part.look(look), parts)):
                for run in runs:
                    if run in seen:
                        raise InputError(f"{part.file} has rows of the run {run}, and so has {seen[run]}. {AGAIN}")
                    seen[run] = part.file
                yield found

    def _files(self) -> list[Path]:
        return sorted(path for path in (self.path / "launches").glob("*.parquet") if not path.name.startswith("."))


@dataclass(frozen=True)
class Part:
    """A group of rows of a file: whole runs.

    Attributes:
        columns: that are read; those that its version lacks are missing.
        metadata: of the file, so that nobody reads it again.
    """

    file: Path
    number: int
    columns: tuple[str, ...]
    metadata: Any

    def look(self, look: Callable[[pd.DataFrame, TurnTimes], T]) -> tuple[list[str], T]:
        """The names of the runs, and what a function makes of their launches that succeeded, count and were timed."""
        frame, turns = _reading(self.file, self._read)
        self._check(frame, turns)
        good = frame["status"].eq("ok").to_numpy(bool) & frame["counted"].fillna(True).to_numpy(bool)
        good &= frame[SPEED].notna().to_numpy(bool)
        runs = [str(run) for run in frame["run"].unique()]
        return runs, look(frame[good].reset_index(drop=True), turns.of(good))

    def _read(self) -> tuple[pd.DataFrame, TurnTimes]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        there = [name for name in self.columns if name in self.metadata.schema.to_arrow_schema().names]
        texts = [name for name in there if TABLES["launches"][name].dtype == "string" and name != TURNS]
        file = pq.ParquetFile(self.file, metadata=self.metadata, read_dictionary=texts)
        table = file.read_row_group(self.number, columns=there, use_threads=False)
        nobody = np.zeros(len(table), dtype=np.int64)
        turns = TurnTimes(np.empty(0), nobody, nobody)
        if TURNS in there:
            lists = table.column(TURNS).combine_chunks()
            counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
            turns = TurnTimes(lists.flatten().to_numpy(zero_copy_only=False), np.cumsum(counts) - counts, counts)
            table = table.drop_columns([TURNS])
        dtypes = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame = table.to_pandas(types_mapper=dtypes.get, ignore_metadata=True, use_threads=False)
        for name in self.columns:
            if name not in frame and name != TURNS:
                frame[name] = _missing(TABLES["launches"][name], len(frame))
        return frame, turns

    def _check(self, frame: pd.DataFrame, turns: TurnTimes) -> None:
        """Refuse what nothing can be computed from; what a table holds was checked when it was exported."""
        speeds = frame[SPEED].to_numpy(float, na_value=1.0)
        faults = {
            name: f"a row has no {name}" for name in self.columns if name in NEEDED["launches"] and frame[name].hasnans
        }
        faults |= {"status": "a status is none"} if not frame["status"].isin(STATUSES).all() else {}
        faults |= {SPEED: "a speed is none"} if not ((speeds > 0) & (speeds < np.inf)).all() else {}
        wrong = not ((turns.values > 0) & (turns.values < np.inf)).all()
        faults |= {TURNS: f"a time of {TURNS} is none"} if wrong else {}
        if faults:
            raise InputError(f"{self.file} cannot have been measured: {next(iter(faults.values()))}. {AGAIN}")


def type_of(column: Column) -> Any:
    """The Arrow type of a column's cells."""
    import pyarrow as pa

    return {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64(), "boolean": pa.bool_()}[column.dtype]


def _missing(column: Column, rows: int) -> Any:
    """A column that came with a later version than the rows, as `harness.results.migrations` fills it."""
    value = {"True": True, "0.0": 0.0}.get(KNOWN.get(column.name, ""), pd.NA)
    if column.dtype == "string":
        return pd.Categorical([value] * rows)
    return pd.array([value] * rows, dtype=column.dtype)  # type: ignore[call-overload]


def _reading(file: Path, read: Callable[[], T]) -> T:
    """What a function reads from a file, whatever is wrong with it said in a sentence."""
    import pyarrow as pa

    try:
        return read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{file} is no Parquet file, or is cut off or damaged: {why}. {AGAIN}") from None


def _runs_of(file: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(file, columns=["run"], read_dictionary=["run"]).column("run").unique().to_pylist()


def _parts(file: Path, columns: Sequence[str]) -> list[Part]:
    """The groups of rows of a file, whose columns are what they must be.

    Raises:
        InputError: it is of a newer version, or of none, or lacks a column, or has one of another type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        metadata, schema = opened.metadata, opened.schema_arrow
    said = (schema.metadata or {}).get(VERSION_KEY, b"").decode(errors="replace")
    if not said.isdecimal() or int(said[:6]) < 1:
        raise InputError(f"{file} has no version: it is none that lenet-bench export --store wrote. {AGAIN}")
    if int(said) > SCHEMA_VERSION:
        raise InputError(
            f"{file} has schema_version {said[:6]}; this lenet-bench reads up to {SCHEMA_VERSION}. Use the newer "
            "lenet-bench."
        )
    later = {name for came, names in ADDED["launches"].items() if came > int(said) for name in names.split()}
    for name in columns:
        wanted = pa.list_(pa.float64()) if name == TURNS else type_of(TABLES["launches"][name])
        if name in schema.names:
            found = schema.field(name).type
            same = pa.types.is_list(found) and found.value_type == pa.float64() if name == TURNS else found == wanted
            if not same:
                raise InputError(f"{file}, column {name}: it is {found}, and must be {wanted}. {AGAIN}")
        elif name not in later:
            raise InputError(f"{file} lacks the column {name}. {AGAIN}")
    return [Part(file, number, tuple(columns), metadata) for number in range(metadata.num_row_groups)]
