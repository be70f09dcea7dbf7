"""When inference and starting have been timed often enough: later rounds then time training alone.

A sweep of batch sizes and a thousand queries take as long as the steady training of a launch, and so does its start;
both are known after a few launches. What is decided follows from the rows in the folder alone, so that a run which
goes on (`--resume`) decides the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from harness.analysis.statistics import mean_of_logs, width

# So many launches of every entrant have it, and further ones until the intervals are narrower; but no more rounds.
LEAST_LAUNCHES, MOST_ROUNDS = 3, 5
PRECISION = 0.1
# Of a launch: median time of a query, and throughput of the sweep's largest batches.
FIGURES = ("latency_ms_p50", "inference_images_per_s")
# Three launches of one framework start within some per cent of each other; Student's interval of three is wide.
START, START_PRECISION = ("start_up_s",), 0.5


def wants_inference(rows: pd.DataFrame, plan_round: int, labels: Iterable[str]) -> bool:
    """Whether the launches of a round should time inference, after all rounds of the plan that come before it.

    Args:
        rows: launches that count, as `harness.runs.done.Done.rows`.
        labels: of the entrants that will be launched.
    """
    return not _are_known(rows, plan_round, labels, FIGURES, PRECISION)


def knows_starts(rows: pd.DataFrame, plan_round: int, labels: Iterable[str]) -> bool:
    """Whether it is known how long launches take to start, after all rounds of the plan that come before this one.

    Args:
        rows, labels: as of `wants_inference`.
    """
    return _are_known(rows, plan_round, labels, START, START_PRECISION)


def _are_known(
    rows: pd.DataFrame, plan_round: int, labels: Iterable[str], figures: Sequence[str], precision: float
) -> bool:
    # Of a hundred columns: every choice of rows copies all there are.
    rows = rows[["plan_round", "label", "status", *figures]]
    before = rows[((rows["plan_round"] > 0) & (rows["plan_round"] < plan_round)).to_numpy(bool)]
    before = before[(before["status"] == "ok").to_numpy(bool)]
    timed = before[before[figures[0]].notna().to_numpy(bool)]
    if timed["plan_round"].nunique() >= MOST_ROUNDS:
        return True
    return all(_is_known(timed[(timed["label"] == label).to_numpy(bool)], figures, precision) for label in labels)


def _is_known(launches: pd.DataFrame, figures: Sequence[str], precision: float) -> bool:
    """Whether these figures of one entrant are known well enough from these launches of it."""
    if len(launches) < LEAST_LAUNCHES:
        return False
    return all(width(mean_of_logs(launches[name].dropna().to_numpy(float))) < precision for name in figures)


def highest_peak(rows: pd.DataFrame, *, cpus: int, dtype: str) -> float | None:
    """The largest peak of the machine that these launches know, of so many CPUs; None without one."""
    alike = (((rows["threads"] * rows["replicas"]).fillna(0) == cpus) & (rows["dtype"] == dtype)).to_numpy(bool)
    peaks = rows["peak_gflops"][alike].dropna()
    return float(peaks.max()) if len(peaks) else None
