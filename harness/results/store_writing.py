"""Adding runs to a results store (`harness.results.store`): all of them or none, each with all of its tables."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.files import PARTIAL, sync_folder
from harness.results.folder import OF_LAUNCHES, TABLES, RunFolder
from harness.results.lock import FolderLock
from harness.results.schema import SCHEMA_VERSION
from harness.results.store import TURNS, VERSION_KEY, need_pyarrow, type_of

# Rows of a group, which is read at a time, and of a file.
GROUP_ROWS, FILE_ROWS = 2**17, 2**20


def add_runs(store: Path, runs: Sequence[RunFolder]) -> list[Path]:
    """Add runs that are not in it; return the files that were made.

    Raises:
        InputError: a table cannot be read, or the store not be written to, or pyarrow is not installed.
    """
    need_pyarrow()
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make {store}: {error.strerror}. Give another --store.") from None
    with FolderLock(store).hold(), contextlib.ExitStack() as ending:
        # Launches are the last to have their names: they say that the others are there.
        tables = {name: ending.enter_context(Writer(store / name)) for name in (*OF_LAUNCHES, "launches")}
        for run in runs:
            for name, writer in tables.items():
                frame = marked(run) if name == "launches" else run.read(name)
                if len(frame):
                    writer.add(run.name, as_arrow(frame, name))
        return [path for writer in tables.values() for path in writer.finish()]


class Writer:
    """Files of one table, which have their names when all is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Any] = []
        self._runs: list[str] = []
        self._file: Any = None
        self._rows = 0
        # Files beside, and the names that they will have.
        self._written: list[tuple[Path, Path]] = []
        self._beside = folder

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()
            self._beside.unlink(missing_ok=True)
        for left, _ in self._written:
            left.unlink(missing_ok=True)

    def add(self, run: str, rows: Any) -> None:
        """Add all rows of a run, an Arrow table as of `as_arrow`."""
        self._runs.append(run)
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._write_group()
        if self._rows >= FILE_ROWS:
            self._end_file()

    def finish(self) -> list[Path]:
        """Write what is left, and let the files have their names."""
        self._write_group()
        self._end_file()
        for beside, name in self._written:
            os.replace(beside, name)
        if self._written:
            sync_folder(self._folder)
        made = [path for _, path in self._written]
        self._written.clear()
        return made

    def _write_group(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        if self._file is None:
            self._folder.mkdir(exist_ok=True)
            self._beside = self._folder / f".{uuid.uuid4().hex}{PARTIAL}"
            texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
            self._file = pq.ParquetWriter(self._beside, rows.schema, compression="zstd", use_dictionary=texts)
        self._file.write_table(rows, row_group_size=len(rows))
        self._rows += len(rows)
        self._waiting.clear()

    def _end_file(self) -> None:
        if self._file is None:
            return
        self._file.close()
        number = len(list(self._folder.glob("*.parquet"))) + len(self._written) + 1
        digest = hashlib.sha256("\n".join(self._runs).encode()).hexdigest()[:8]
        self._written.append((self._beside, self._folder / f"{number:05d}-{digest}.parquet"))
        self._file, self._rows = None, 0
        self._runs.clear()


def marked(run: RunFolder) -> pd.DataFrame:
    """All rows of a run's launches.csv, those of rounds that were cut off marked as not counted.

    That follows from environment.json, which a store does not have.
    """
    launches = run.read("launches")
    counted = launches.index.isin(run.counted_of(launches).index)
    return launches.assign(counted=pd.array(counted, dtype="boolean"))


def as_arrow(frame: pd.DataFrame, table: str) -> Any:
    """Rows of a table as an Arrow table, with what each column means inside.

    Args:
        frame: as `RunFolder.read` returns it; without `turn_step_us` where whoever asks adds that.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    arrays, fields = [], []
    for name, column in TABLES[table].items():
        if name not in frame:
            continue
        array: Any = pa.array(frame[name], type=type_of(column))
        if name == TURNS:
            array = pc.cast(pc.ascii_split_whitespace(pc.ascii_trim_whitespace(array)), pa.list_(pa.float64()))
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata={"unit": column.unit, "meaning": column.meaning}))
    schema = pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION)})
    return pa.Table.from_arrays(arrays, schema=schema)
