"""Has a backend lost accuracy? A brief training against what the committed baseline's distribution allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.results import frame_of, read_table, write_table
from harness.schema import BASELINE, BASELINE_VERSION
from harness.statistics import lowest_allowed_mean

# One honest gate in a thousand fails a backend: five backends, daily, cry wolf every seven months.
FALSE_ALARMS = 0.001
KEY = ["backend", "network", "data_set", "recipe", "batch_size", "dtype", "epoch"]


@dataclass(frozen=True)
class Outcome:
    """One backend's verdict.

    Attributes:
        measured: mean test accuracy over `seeds` seeds after `epoch` epochs; None where no launch succeeded.
        bound: what an honest backend falls below once in 1 / FALSE_ALARMS gates.
    """

    backend: str
    epoch: int
    seeds: int
    measured: float | None
    expected: float
    bound: float

    @property
    def passed(self) -> bool:
        """A backend that did not run has not passed."""
        return self.measured is not None and self.measured >= self.bound

    @property
    def sentence(self) -> str:
        """The verdict with backend, value and bound."""
        if self.measured is None:
            return f"FAILED: {self.backend} has no accuracy: its launch failed."
        relation = "at or above" if self.passed else "BELOW"
        return (
            f"{'passed' if self.passed else 'FAILED'}: {self.backend} reached {self.measured:.2%} after {self.epoch} "
            f"epoch(s), mean of {self.seeds} seed(s), {relation} its bound {self.bound:.2%} "
            f"(baseline {self.expected:.2%})."
        )


def read_baseline(path: Path) -> pd.DataFrame:
    """Read a baseline file.

    Raises:
        InputError: it is missing or is not one.
    """
    if not path.exists():
        raise InputError(
            f"There is no baseline {path}. Make one with: lenet-bench gate --write-baseline --seeds 10 --epochs 5"
        )
    return read_table(path, BASELINE, version=BASELINE_VERSION)


def check_writable(path: Path) -> None:
    """Refuse before hours of training a baseline that could not be written after them.

    Raises:
        InputError: the folder cannot be made or written to, or the file there is no baseline.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make {path.parent}: {error.strerror}. Give another --baseline.") from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"Cannot write into {path.parent}. Give another --baseline.")
    if path.exists():
        read_baseline(path)


def judge(
    epochs: pd.DataFrame, baseline: pd.DataFrame, *, wanted: dict[str, Any], backends: list[str]
) -> list[Outcome]:
    """Compare the last epoch of each backend with its baseline.

    Args:
        epochs: rows of epochs.csv of the gate's own run.
        wanted: network, data_set, recipe, batch_size, dtype and epoch.

    Raises:
        InputError: the baseline has no row for what was asked.
    """
    outcomes = []
    for backend in backends:
        row = find_row(baseline, wanted | {"backend": backend})
        mine = epochs[(epochs["backend"] == backend) & (epochs["epoch"] == wanted["epoch"])]
        seeds = len(mine)
        bound = lowest_allowed_mean(
            mean=float(row["test_accuracy_mean"]),
            sd=float(row["test_accuracy_sd"]),
            seeds=int(row["seeds"]),
            new_seeds=max(seeds, 1),
            false_alarms=FALSE_ALARMS,
        )
        measured = float(mine["test_accuracy"].mean()) if seeds else None
        expected = float(row["test_accuracy_mean"])
        outcomes.append(Outcome(backend, int(wanted["epoch"]), seeds, measured, expected, bound))
    return outcomes


def find_row(baseline: pd.DataFrame, wanted: dict[str, Any]) -> pd.Series:
    """Return the one baseline row of these keys.

    Raises:
        InputError: there is none, or it is of fewer than two seeds.
    """
    rows = baseline
    for name in KEY:
        rows = rows[rows[name] == wanted[name]]
    asked = ", ".join(f"{name}={wanted[name]}" for name in KEY)
    if len(rows) != 1:
        raise InputError(f"The baseline has {len(rows)} rows for {asked}; it needs one. See --write-baseline.")
    if int(rows["seeds"].iloc[0]) < 2:
        raise InputError(f"The baseline for {asked} is of one seed: a spread needs two. See --write-baseline.")
    return rows.iloc[0]


def make_baseline(epochs: pd.DataFrame, data_sha256: str) -> pd.DataFrame:
    """Summarise the epochs of a run by backend and epoch over its seeds."""
    rows = []
    for _, group in epochs.groupby(KEY, sort=False):
        first = group.iloc[0]
        accuracy = group["test_accuracy"].astype(float)
        rows.append(
            {key: first[key] for key in [*KEY, "framework_version"]}
            | {
                "schema_version": BASELINE_VERSION,
                "data_sha256": data_sha256,
                "seeds": group["seed"].nunique(),
                "test_accuracy_mean": round(accuracy.mean(), 6),
                "test_accuracy_sd": round(accuracy.std(ddof=1), 6),
                "test_accuracy_min": accuracy.min(),
            }
        )
    return frame_of(rows, BASELINE)


def write_baseline(path: Path, new: pd.DataFrame) -> None:
    """Write rows into a baseline file; rows of the same keys are replaced, all others kept."""
    if path.exists():
        old = read_baseline(path)
        fresh = set(map(tuple, new[KEY].astype("string").to_numpy()))
        kept = [number for number, row in enumerate(old[KEY].astype("string").to_numpy()) if tuple(row) not in fresh]
        new = pd.concat([old.iloc[kept], new], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, new.sort_values(["data_set", "network", "backend", "epoch"], ignore_index=True))
