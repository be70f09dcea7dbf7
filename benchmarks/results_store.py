"""How long `lenet-bench compare` takes over a results store of millions of launches, and how much memory.

`python -m benchmarks.results_store --rows 10000000` makes a store of made-up launches, of all columns of launches.csv,
in a temporary folder that is gone afterwards: 2.4 GB for ten million. Each run is of five entrants in 1,000 rounds, and
each machine has two, of different batch sizes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.results.folder import TABLES, RunFolder
from harness.results.store_writing import Writer, as_arrow
from tests.harness.synthetic_run import write_run

ENTRANTS, ROUNDS, TURNS = 5, 1000, 25
# Of launches, how many had turns in which something else had the CPUs; of columns, by how much they spread.
DISTURBED, SPREAD = 0.1, 0.03


class MadeUpRuns:
    """Runs that are alike but for their names, machines, batch sizes, and all that is measured."""

    def __init__(self, place: Path) -> None:
        run = RunFolder(write_run(place / "one", entrants=ENTRANTS, rounds=1, epochs=0))
        launches = run.read("launches").drop(columns="turn_step_us")
        many = pd.concat([launches] * ROUNDS, ignore_index=True)
        many["round"] = pd.array(np.repeat(np.arange(1, ROUNDS + 1), ENTRANTS), dtype="Int64")
        many["plan_round"], many["turns"] = many["round"], TURNS
        self._rows = as_arrow(many, "launches")
        self._noise = np.random.default_rng(0)
        self._measured = [
            name
            for name, column in TABLES["launches"].items()
            if column.dtype == "Float64" and name in many and many[name].notna().all() and (many[name] > 0).all()
        ]

    def make(self, number: int) -> Any:
        """The launches of a run, an Arrow table."""
        rows, batch_size = self._rows, 64 << number % 2
        drift = np.exp(self._noise.normal(0, SPREAD, len(rows)))
        new: dict[str, Any] = {
            "run": pa.array([f"run-{number}"] * len(rows)),
            "machine_sha256": pa.array([f"{number // 2:064x}"] * len(rows)),
            "batch_size": pa.array(np.full(len(rows), batch_size)),
            "disturbed_turns": self._disturbed(len(rows)),
        }
        for name in self._measured:
            cells = rows[name].to_numpy() * drift * np.exp(self._noise.normal(0, 0.01, len(rows)))
            # No clock has more digits.
            new[name] = pa.array(cells.astype(np.float32).astype(float))
        for name, cells in new.items():
            rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), cells)
        times = np.repeat(rows["step_us_median"].to_numpy(), TURNS)
        times = (times * np.exp(self._noise.normal(0, SPREAD, len(times)))).round(3)
        lists = pa.ListArray.from_arrays(np.arange(len(rows) + 1, dtype=np.int32) * TURNS, pa.array(times))
        place = list(TABLES["launches"]).index("turn_step_us")
        return rows.add_column(place, pa.field("turn_step_us", lists.type), lists)

    def _disturbed(self, rows: int) -> Any:
        cells = np.full(rows, "none", dtype=object)
        for place in np.flatnonzero(self._noise.random(rows) < DISTURBED):
            turns = self._noise.choice(TURNS, size=self._noise.integers(1, 4), replace=False) + 1
            cells[place] = " ".join(map(str, sorted(turns.tolist())))
        return pa.array(cells, pa.string())


def make_store(store: Path, rows: int, *, first: int = 0) -> None:
    """Add so many launches or a few more to a store.

    Args:
        first: number of the first run.
    """
    store.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, Writer(store / "launches") as writer:
        made = MadeUpRuns(Path(place))
        for number in range(first, first - (-rows // (ENTRANTS * ROUNDS))):
            writer.add(f"run-{number}", made.make(number))
        writer.finish()


def measure(command: list[str]) -> None:
    """Run a command; print how long it took, its CPU time and the most memory that it had."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "harness", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = len(process.stdout.read().splitlines())
    _, status, used = os.wait4(process.pid, 0)
    print(
        f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}, {lines:,} lines, "
        f"{time.monotonic() - begun:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"{used.ru_maxrss / 2**20:.2f} GiB at the most"
    )


def main() -> None:
    """Make a store and compare it by a column whose values took turns, and by one whose values did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--store", type=Path, help="made there, unless it is there, and left there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        store, begun = asked.store or Path(place) / "store", time.monotonic()
        if not store.exists():
            make_store(store, asked.rows)
        files = list(store.rglob("*.parquet"))
        rows, size = sum(pq.read_metadata(path).num_rows for path in files), sum(path.stat().st_size for path in files)
        print(f"{rows:,} launches, {size / 2**30:.2f} GiB, made in {time.monotonic() - begun:.0f} s", flush=True)
        for options in (["--by", "backend", "--format", "csv"], ["--by", "batch_size"]):
            measure(["compare", str(store), *options])


if __name__ == "__main__":
    main()
