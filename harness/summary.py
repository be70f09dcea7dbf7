"""From launches to one row an entrant: estimate, interval, ratio to the fastest, medians of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.results import frame_of
from harness.schema import ENTRANT, SCHEMA_VERSION, SUMMARY
from harness.statistics import Interval, mean_of_logs, paired_ratio, unpaired_ratio, verdict

KEY = list(ENTRANT)
SPEED = "train_images_per_s"
MEDIANS = (
    "import_s", "build_s", "first_step_s", "inference_images_per_s",
    "latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "peak_rss_bytes", "device_memory_bytes",
)  # fmt: skip


def summarise(launches: pd.DataFrame) -> pd.DataFrame:
    """Summarise launches of one or more comparable runs, fastest entrant first.

    Ratios are paired by round within a run, and unpaired between runs.
    """
    good = launches[(launches["status"] == "ok") & launches[SPEED].notna()]
    groups = dict(iter(good.groupby(["run", *KEY], dropna=False, sort=False)))
    speeds = {key: mean_of_logs(group[SPEED].to_numpy(float)) for key, group in groups.items()}
    ranked = sorted(groups, key=lambda key: -speeds[key].estimate)
    rows = []
    for key in ranked:
        row = _figures(groups[key], speeds[key])
        ratio = ratio_of(groups[key], groups[ranked[0]])
        row |= {"ratio": ratio.estimate, "verdict": None if key == ranked[0] else verdict(ratio)}
        row |= {} if key == ranked[0] else {"ratio_low": _finite(ratio.low), "ratio_high": _finite(ratio.high)}
        rows.append(row)
    return frame_of(rows, SUMMARY)


def ratio_of(group: pd.DataFrame, base: pd.DataFrame) -> Interval:
    """Ratio of training speeds of two entrants: by round where they share a run, else unpaired."""
    if group["run"].iloc[0] != base["run"].iloc[0]:
        return unpaired_ratio(group[SPEED].to_numpy(float), base[SPEED].to_numpy(float))
    both = group[["round", SPEED]].merge(base[["round", SPEED]], on="round", suffixes=("", "_base"))
    if both.empty:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    return paired_ratio(both[SPEED].to_numpy(float), both[f"{SPEED}_base"].to_numpy(float))


def _figures(group: pd.DataFrame, speed: Interval) -> dict[str, Any]:
    first = group.iloc[0]
    row: dict[str, Any] = {key: first[key] for key in [*KEY, "run", "machine", "machine_sha256", "data_sha256"]}
    row |= {
        "schema_version": SCHEMA_VERSION,
        "launches": len(group),
        "unsteady": int((~group["steady"].astype(bool)).sum()),
        SPEED: speed.estimate,
        f"{SPEED}_low": _finite(speed.low),
        f"{SPEED}_high": _finite(speed.high),
    }
    for name in MEDIANS:
        median = group[name].median()
        row[name] = int(median) if name.endswith("_bytes") and pd.notna(median) else median
    trained = group[group["test_accuracy"].notna()]
    if len(trained):
        row |= {"epochs": trained["epochs"].iloc[0], "test_accuracy": trained["test_accuracy"].mean()}
    return row


def _finite(value: float) -> float | None:
    return value if value == value else None


@dataclass(frozen=True)
class AccuracySpread:
    """Final accuracies by seed (rows) and backend (columns), and what separates them.

    Attributes:
        by_seed: shares in 0..1; empty cells where a backend did not train a seed.
        between_seeds: standard deviation over the seeds of one backend, pooled over backends.
        between_backends: standard deviation over the backends of one seed, pooled over seeds; NaN for one backend.
    """

    by_seed: pd.DataFrame
    between_seeds: float
    between_backends: float


def accuracy_spread(epochs: pd.DataFrame) -> AccuracySpread | None:
    """Set the spread between seeds against the spread between backends; None under two seeds.

    Both are square roots of mean variances (n - 1 in each group), of the last epoch that all backends reached.
    """
    last = epochs[epochs["epoch"] == epochs.groupby("backend")["epoch"].max().min()]
    table = last.pivot_table(index="seed", columns="backend", values="test_accuracy", aggfunc="mean").astype(float)
    if len(table) < 2:
        return None
    between_seeds = float(np.sqrt(table.var(axis=0, ddof=1).mean()))
    between_backends = float(np.sqrt(table.var(axis=1, ddof=1).mean()))
    return AccuracySpread(table, between_seeds, between_backends)
