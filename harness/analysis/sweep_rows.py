"""The one table of a sweep: what became of each entrant of each cell, on each kind of hardware."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.comparison import SPEED, are_paired, round_ratios
from harness.analysis.nodes import differ, over_nodes
from harness.analysis.statistics import Interval, family_level, pairs, verdict
from harness.analysis.summary import summarise
from harness.results.counted import succeeded, with_labels
from harness.results.folder import RunFolder
from harness.results.machines import PARTS, recorded
from harness.results.sweep_folder import SweepFolder
from harness.worker.job import label_of


def read_cells(folder: SweepFolder, cells: Sequence[str]) -> pd.DataFrame:
    """The rows of summary.csv of all cells, in their order; of a cell that several nodes did, of all of these.

    Nodes of unlike hardware are never in one row.

    Args:
        cells: names of the sweep's cells.

    Returns:
        as summary.csv, with `cell`, counted from 1, `label`, the entrant's, `hardware`, in words, `nodes`, how many it
        is of, and `differ`, whether these differ; without cells that have no launch yet.
    """
    found = []
    for number, cell in enumerate(cells, start=1):
        kinds: dict[tuple[str, ...], list[Path]] = {}
        for path in folder.runs_of(cell):
            kinds.setdefault(_kind(RunFolder(path)), []).append(path)
        for kind, paths in kinds.items():
            rows = _summary(RunFolder(paths[0])) if len(paths) == 1 else _of_nodes([RunFolder(path) for path in paths])
            rows = rows if "differ" in rows else rows.assign(differ=False)
            found.append(rows.assign(cell=number, hardware=", ".join(kind), nodes=len(paths)))
    found = [each for each in found if len(each)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _kind(run: RunFolder) -> tuple[str, ...]:
    """The hardware of a run's machine, in words; of one that says nothing of it, its digest."""
    machine = recorded(run)
    digests = run.read("launches")["machine_sha256"].dropna().unique()
    return tuple(str(machine.get(part, "")) for part in PARTS) if machine else tuple(map(str, digests))


def _summary(run: RunFolder) -> pd.DataFrame:
    summary = run.read("summary")
    if summary.empty:
        # One that was killed has none yet.
        summary = summarise(run.read_counted("launches"), run.read_counted("epochs"))
    labels = [label_of({str(key): value for key, value in row.items()}) for row in summary.to_dict("records")]
    return summary.assign(label=labels)


def _of_nodes(runs: Sequence[RunFolder]) -> pd.DataFrame:
    """The rows of several nodes' runs of one cell: speeds and ratios over nodes, all else of the first that has it."""
    summaries = [_summary(run) for run in runs]
    timed = [with_labels(succeeded(run.read_counted("launches"))) for run in runs]
    timed = [rows[rows[SPEED].notna()] for rows in timed]
    rows = pd.concat(summaries, ignore_index=True).drop_duplicates("label").set_index("label", drop=False)
    speeds = {
        label: [node.loc[node["label"] == label, SPEED].to_numpy(float) for node in timed] for label in rows.index
    }
    speeds = {label: [each for each in of_label if len(each)] for label, of_label in speeds.items()}
    means = {label: over_nodes(of_label) for label, of_label in speeds.items() if of_label}
    asked = [str(base) for base in rows["base"].dropna()]
    chosen = {str(base) for base in asked}
    base = chosen.pop() if len(chosen) == 1 else max(means, key=lambda label: means[label].estimate, default="")
    level = family_level(pairs(len(means), base_chosen=True))
    found = [
        row | _figures(means.get(label), _ratios(timed, str(label), base), level, is_base=label == base)
        for label, row in zip(rows.index, rows.to_dict("records"))
    ]
    accuracies = pd.concat(summaries).groupby("label")["test_accuracy"].mean()
    made = pd.DataFrame(found).assign(base=base)
    made["test_accuracy"] = made["label"].map(accuracies)
    made["launches"] = [sum(map(len, speeds[label])) for label in made["label"]]
    return made.sort_values(SPEED, ascending=False, ignore_index=True)


def _ratios(timed: Sequence[pd.DataFrame], label: str, base: str) -> list[np.ndarray]:
    """Of each node that has both, the ratios of its rounds."""
    both = [(node[node["label"] == label], node[node["label"] == base]) for node in timed]
    return [
        np.array(round_ratios(own, other)) for own, other in both if len(own) and len(other) and are_paired(own, other)
    ]


def _figures(speed: Interval | None, ratios: list[np.ndarray], level: float, *, is_base: bool) -> dict[str, Any]:
    """Columns of a row that several nodes have to do with."""
    row: dict[str, Any] = {"ratio": None, "ratio_low": None, "ratio_high": None, "verdict": None, "differ": False}
    if speed is not None:
        row |= {SPEED: speed.estimate, f"{SPEED}_low": speed.low, f"{SPEED}_high": speed.high}
    if is_base:
        return row | {"ratio": 1.0}
    if ratios:
        ratio = over_nodes(ratios, level=level)
        row |= {"ratio": ratio.estimate, "ratio_low": ratio.low, "ratio_high": ratio.high, "paired": True}
        row |= {"verdict": verdict(ratio), "differ": differ(ratios)}
    return row
