"""Result files in other readers: Parquet with units, DuckDB, a plain pandas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.results.folder import TABLES, RunFolder
from harness.results.schema import LAUNCHES
from tests.harness.synthetic_run import write_run

Call = Callable[..., tuple[int, str, str]]
OLD = Path(__file__).parents[1] / "old_results" / "version-2"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", entrants=5, rounds=4, blocks=True, threads=(1, 2))


def test_parquet_has_the_cells_dtypes_and_units(call: Call, run: Path) -> None:
    """Every table comes back from Parquet as it is read from CSV, with what each column means."""
    code, out, err = call("export", str(run))

    assert (code, err) == (0, "")
    for table in ("launches", "epochs", "blocks", "inference", "latency", "summary", "scaling"):
        path = run / f"{table}.parquet"
        assert f"{table}.parquet" in out
        pd.testing.assert_frame_equal(pd.read_parquet(path), RunFolder(run).read(table))
    field = pq.read_schema(run / "launches.parquet").field("train_images_per_s")
    assert field.metadata == {b"unit": b"images/s", b"meaning": LAUNCHES["train_images_per_s"].meaning.encode()}


def test_export_of_an_old_run_elsewhere(call: Call, tmp_path: Path) -> None:
    """Rows of an older version have this version's columns; nothing is written beside the CSV files."""
    before = sorted(OLD.iterdir())
    code, _, _ = call("export", str(OLD), "--output", str(tmp_path / "a" / "b"))

    assert code == 0
    assert sorted(OLD.iterdir()) == before
    assert list(pd.read_parquet(tmp_path / "a" / "b" / "launches.parquet").columns) == list(TABLES["launches"])


def test_export_refuses(call: Call, run: Path, tmp_path: Path) -> None:
    """A folder that is no run, a table that is damaged, a place that cannot be: exit code 2, nothing written."""
    code, _, err = call("export", str(tmp_path))
    assert (code, "is not a run" in err) == (2, True)
    (tmp_path / "file").touch()
    code, _, err = call("export", str(run), "--output", str(tmp_path / "file" / "x"))
    assert (code, "Cannot make" in err) == (2, True)
    path = run / "epochs.csv"
    path.write_bytes(path.read_bytes()[:-5])
    code, _, err = call("export", str(run))
    assert (code, "epochs.csv" in err) == (2, True)
    assert not list(run.glob("*.parquet"))


@pytest.mark.parametrize("table", ["launches", "epochs", "blocks", "inference", "summary"])
def test_duckdb_reads_the_csv(run: Path, table: str) -> None:
    """DuckDB's own sniffer finds all columns and rows, and numbers as numbers."""
    frame = RunFolder(run).read(table)
    connection = duckdb.connect()
    found = connection.sql(f"SELECT * FROM read_csv('{run}/{table}.csv')")

    assert found.columns == list(frame.columns)
    assert found.count("*").fetchall() == [(len(frame),)]
    types = dict(zip(found.columns, map(str, found.types)))
    for name, column in TABLES[table].items():
        if (
            frame[name].notna().any()
            and column.dtype in ("Int64", "Float64")
            and not (frame[name] == float("inf")).any()
        ):
            assert types[name] in ("BIGINT", "DOUBLE"), (name, types[name])


def test_plain_pandas_reads_the_csv(run: Path) -> None:
    """As the first example of docs/results.md does, with no options, in whichever pandas this is."""
    plain = pd.read_csv(run / "launches.csv")
    ours = RunFolder(run).read("launches")

    # Ours are the very bits that were written; with its defaults, pandas 2 may be off by the last of them.
    speeds = [list(rows["train_images_per_s"].dropna()) for rows in (plain, ours)]
    assert speeds[0] == pytest.approx(speeds[1], rel=1e-15)
    medians = plain.groupby(["backend", "mode"])["train_images_per_s"].median()
    assert (medians > 0).all()
