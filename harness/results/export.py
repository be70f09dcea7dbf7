"""`lenet-bench export`: a run's tables as Parquet, with what each column means inside."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.results.folder import TABLES, RunFolder
from harness.results.schema import Column


def write_parquet(folder: RunFolder, output: Path) -> list[Path]:
    """Write every table that the run has; return where.

    Raises:
        InputError: a table cannot be read, or the folder not be written to, or pyarrow is missing.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            "Parquet needs pyarrow, which is not installed. Install it: pip install 'lenet-bench[parquet]'"
        )
    tables = {name: folder.read(name) for name in TABLES if (folder.path / f"{name}.csv").exists()}
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make {output}: {error.strerror}. Give another --output.") from None
    written = []
    for name, frame in tables.items():
        path = output / f"{name}.parquet"
        _write(path, frame, TABLES[name])
        written.append(path)
    return written


def _write(path: Path, frame: pd.DataFrame, columns: dict[str, Column]) -> None:
    """Write beside the file, then rename over it."""
    import pyarrow as pa  # heavy, and needed here alone
    import pyarrow.parquet as pq

    table: Any = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [
        field.with_metadata({"unit": columns[field.name].unit, "meaning": columns[field.name].meaning})
        for field in table.schema
    ]
    table = table.cast(pa.schema(fields, metadata=table.schema.metadata))
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        pq.write_table(table, beside)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
