"""Runs of one machine over some days, for the gallery's tests: a framework that is upgraded, and one busy run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness.report_helpers import change
from tests.harness.synthetic_run import write_run

# Day in November 2026 -> version of PyTorch then.
VERSIONS = {20: "2.12.0", 22: "2.12.1", 25: "2.12.1", 28: "2.13.0"}
BUSY = 25


def write_runs(results: Path, versions: dict[int, str] = VERSIONS) -> list[Path]:
    """Write a run for each of these days, of PyTorch and TensorFlow; the packages' lists have a secret."""
    return [_write(results / f"2026-11-{day}", day, version) for day, version in versions.items()]


def _write(folder: Path, day: int, version: str) -> Path:
    write_run(folder, entrants=2, rounds=4, epochs=1, seed=day, spread=0.01)

    def edit(rows: Any) -> None:
        rows["started_utc"] = rows["started_utc"].str.replace("2026-11-20", f"2026-11-{day}")
        rows.loc[rows["backend"] == "torch", "framework_version"] = version
        if day == BUSY:
            rows["other_load"] = "3.5"

    change(folder / "launches.csv", edit)
    return folder
