"""The one table of a sweep: what became of each entrant of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.analysis.summary import summarise
from harness.results.folder import RunFolder
from harness.results.sweep_folder import SweepFolder
from harness.worker.job import label_of


def run_folders(folder: SweepFolder, cell: str) -> list[Path]:
    """The run folders of a cell, by its name, that are there."""
    path = folder.path / f"{folder.read().name}-{cell}"
    return [path] if (path / "launches.csv").exists() else []


def read_cells(folder: SweepFolder, cells: Sequence[str]) -> pd.DataFrame:
    """The rows of summary.csv of all cells, in their order.

    Args:
        cells: names of the sweep's cells.

    Returns:
        as summary.csv, with `cell`, counted from 1, and `label`, the entrant's; without cells that have no launch yet.
    """
    found = []
    for number, cell in enumerate(cells, start=1):
        for path in run_folders(folder, cell):
            run = RunFolder(path)
            summary = run.read("summary")
            if summary.empty:
                # One that was killed has none yet.
                summary = summarise(run.read_counted("launches"), run.read_counted("epochs"))
            labels = [label_of({str(key): value for key, value in row.items()}) for row in summary.to_dict("records")]
            found.append(summary.assign(cell=number, label=labels))
    found = [each for each in found if len(each)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
