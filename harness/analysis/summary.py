"""From launches to one row an entrant: estimate, interval, ratio to the base, start-up, medians of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.comparison import (
    KEY,
    SPEED,
    Comparison,
    are_paired,
    compare_entrants,
    keys_of,
    paired_spread,
)
from harness.analysis.statistics import mean_of_logs
from harness.analysis.target import LAUNCH, time_to_target
from harness.results.counted import succeeded
from harness.results.folder import frame_of
from harness.results.schema import EPOCHS, SCHEMA_VERSION, SUMMARY
from harness.worker.job import label_of

# What makes an entrant of a run.
OF_RUN = ["run", *KEY]
STARTS = ("import_s", "build_s", "first_step_s", "start_up_s", "first_epoch_s")
MEDIANS = (
    "inference_images_per_s", "latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "train_gflops",
    "rss_import_bytes", "peak_rss_bytes", "device_memory_bytes",
)  # fmt: skip


def summarise(launches: pd.DataFrame, epochs: pd.DataFrame | None = None, *, base: str = "") -> pd.DataFrame:
    """Summarise launches of one or more comparable runs, fastest entrant first.

    Args:
        launches: those that only trained too, whose accuracies are those of the entrants that were timed.
        epochs: rows of epochs.csv, for the time to accuracy.
        base: what all others are compared with (see `compare_entrants`).
    """
    found = compare_entrants(launches, base=base)
    epochs = frame_of([], EPOCHS) if epochs is None else epochs
    trained = _by_entrant(succeeded(launches))
    rows = []
    for each in found:
        mine = trained[keys_of(each.launches, OF_RUN)[0]]
        rows.append(_row(each, found) | _accuracy(mine) | time_to_target(mine, epochs))
    start = min(rows, key=lambda row: row.get("start_up_s", np.inf), default={})
    return frame_of([row | {"break_even_images": break_even_images(row, start)} for row in rows], SUMMARY)


def inference_sweep(summary: pd.DataFrame, launches: pd.DataFrame, inference: pd.DataFrame) -> pd.DataFrame:
    """Median images per second of each entrant (rows as in `summary`) at each batch size of the sweep (columns).

    Args:
        launches: the rows that `summary` is of.
        inference: rows of inference.csv of the same runs.
    """
    entrant = ["run", *KEY]
    rates = inference[[*LAUNCH, "inference_batch_size", "inference_images_per_s"]]
    rows = rates.merge(launches[[*LAUNCH, *KEY]], on=LAUNCH)
    rows[entrant] = rows[entrant].astype("string").fillna("")
    wide = rows.pivot_table(
        index=entrant, columns="inference_batch_size", values="inference_images_per_s", aggfunc="median"
    )
    places = pd.MultiIndex.from_frame(summary[entrant].astype("string").fillna(""))
    return wide.reindex(places).set_index(summary.index)


def _row(compared: Comparison, found: list[Comparison]) -> dict[str, Any]:
    row = _figures(compared)
    base = next(each for each in found if each.ratio is None)
    row["base"] = base.label
    ratio = compared.ratio
    if ratio is None:
        return row | {"ratio": 1.0}
    limits = {"ratio_low": _finite(ratio.low), "ratio_high": _finite(ratio.high)}
    spread = {"ratio_sd": paired_spread(compared.launches, base.launches)}
    paired = {"paired": are_paired(compared.launches, base.launches)}
    return row | {"ratio": ratio.estimate, "verdict": compared.verdict} | limits | spread | paired


def _figures(compared: Comparison) -> dict[str, Any]:
    group, first = compared.launches, compared.launches.iloc[0]
    row: dict[str, Any] = {key: first[key] for key in [*KEY, "run", "machine", "machine_sha256", "data_sha256"]}
    speeds = group[SPEED].to_numpy(float)
    row |= {
        "schema_version": SCHEMA_VERSION,
        "verified": bool(group["verified"].fillna(False).all()) if group["verified"].notna().any() else None,
        "launches": len(group),
        "unsteady": int((~group["steady"].astype(bool)).sum()),
        f"{SPEED}_cv": speeds.std(ddof=1) / speeds.mean() if len(speeds) > 1 else None,
    }
    intervals = {SPEED: compared.speed} | {
        name: mean_of_logs(group[name].dropna().to_numpy(float)) for name in STARTS if group[name].notna().any()
    }
    for name, interval in intervals.items():
        row |= {name: interval.estimate, f"{name}_low": _finite(interval.low), f"{name}_high": _finite(interval.high)}
    for name in MEDIANS:
        median = _median(group[name])
        row[name] = int(median) if name.endswith("_bytes") and pd.notna(median) else median
    # The largest: a peak is what can be reached; a disturbed one, with a thread kept waiting, says little.
    row["peak_share"] = _median(group["train_gflops"]) / group["peak_gflops"].max()
    images = group["steady_steps"] * group["batch_size"]
    row["energy_j_per_image"] = _median(group["energy_j"] / images)
    return row


def _by_entrant(launches: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """The launches of every entrant of a run that trained epochs, or were timed; in rounds of their own, or in one."""
    launches = launches.reset_index(drop=True)
    return dict(iter(launches.groupby(pd.Series(keys_of(launches, OF_RUN), dtype=object), sort=False)))


def _accuracy(launches: pd.DataFrame) -> dict[str, Any]:
    """Columns of what an entrant reached in its epochs; none where it trained none."""
    trained = launches[launches["test_accuracy"].notna()]
    if trained.empty:
        return {}
    return {"epochs": trained["epochs"].max(), "test_accuracy": trained["test_accuracy"].mean()}


def _median(values: pd.Series) -> Any:
    """The median of what is there; missing where nothing is, of which pandas 2 would warn."""
    return values.median() if values.notna().any() else pd.NA


def break_even_images(row: dict[str, Any], start: dict[str, Any]) -> float | None:
    """After how many images an entrant has overtaken the one with the shortest start-up.

    Both train at their steady speeds once they have started: the n at which start-up + n / speed is the same.

    Returns:
        infinity where it is not the faster one; None for the one with the shortest start-up.
    """
    if row is start or "start_up_s" not in row:
        return None
    saved_per_image = 1 / start[SPEED] - 1 / row[SPEED]
    late = row["start_up_s"] - start["start_up_s"]
    return float(late / saved_per_image) if saved_per_image > 0 else float("inf")


def _finite(value: float) -> float | None:
    return value if value == value else None


@dataclass(frozen=True)
class AccuracySpread:
    """Final accuracies by seed (rows) and entrant (columns), and what separates them.

    Attributes:
        by_seed: shares in 0..1; empty cells where an entrant did not train a seed. A column has the name of the
            backend, or the whole label where a backend has several entrants.
        between_seeds: standard deviation over the seeds of one entrant, pooled over entrants.
        between_backends: standard deviation over the entrants of one seed, pooled over seeds; NaN for one entrant.
    """

    by_seed: pd.DataFrame
    between_seeds: float
    between_backends: float


def accuracy_spread(epochs: pd.DataFrame) -> AccuracySpread | None:
    """Set the spread between seeds against the spread between entrants; None under two seeds.

    Both are square roots of mean variances (n - 1 in each group), of the last epoch that all entrants reached.
    """
    labels = epochs.apply(lambda row: label_of(dict(row)), axis=1)
    alone = labels.groupby(epochs["backend"]).transform("nunique") == 1
    epochs = epochs.assign(entrant=epochs["backend"].where(alone, labels))
    last = epochs[epochs["epoch"] == epochs.groupby("entrant")["epoch"].max().min()]
    table = last.pivot_table(index="seed", columns="entrant", values="test_accuracy", aggfunc="mean").astype(float)
    if len(table) < 2:
        return None
    between_seeds = float(np.sqrt(table.var(axis=0, ddof=1).mean()))
    between_backends = float(np.sqrt(table.var(axis=1, ddof=1).mean()))
    return AccuracySpread(table, between_seeds, between_backends)
