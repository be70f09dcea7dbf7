"""Intervals and verdicts, made from launch summaries and nothing finer.

Values inside one process are not independent: launches of the same program differ by more than the blocks
within one suggest. So a launch counts as one value, its median; launches of one round are a pair; and all
arithmetic is on logarithms, because speeds are compared as ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
LEAST_ROUNDS = 4
MARGIN = 0.02


Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; low and high are NaN where there is too little to tell."""

    estimate: float
    low: float
    high: float
    count: int


def mean_of_logs(values: Values, *, level: float = LEVEL) -> Interval:
    """Geometric mean with Student's interval on the logarithms.

    Source: Student's t for a mean of n independent values, n - 1 degrees of freedom, on log(values).

    Args:
        values: positive, one a launch (or one ratio a round).
        level: coverage of the interval.
    """
    logs = np.log(np.asarray(values, dtype=float))
    count = len(logs)
    center = float(logs.mean())
    if count < 2:
        return Interval(float(np.exp(center)), float("nan"), float("nan"), count)
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * logs.std(ddof=1) / np.sqrt(count))
    low, estimate, high = np.exp([center - half, center, center + half])
    return Interval(float(estimate), float(low), float(high), count)


def paired_ratio(values: Values, others: Values, *, level: float = LEVEL) -> Interval:
    """Ratio values/others, where the i-th of each come from the same round."""
    if len(values) != len(others):
        raise ValueError(f"Pairs need equal numbers of rounds, got {len(values)} and {len(others)}.")
    return mean_of_logs(np.asarray(values, float) / np.asarray(others, float), level=level)


def unpaired_ratio(values: Values, others: Values, *, level: float = LEVEL) -> Interval:
    """Ratio of geometric means of two separate runs, with Welch's interval on the logarithms.

    Source: Welch 1947, degrees of freedom after Satterthwaite 1946, as scipy.stats.ttest_ind(equal_var=False).
    """
    a, b = np.log(np.asarray(values, float)), np.log(np.asarray(others, float))
    estimate, count = float(np.exp(a.mean() - b.mean())), min(len(a), len(b))
    if count < 2:
        return Interval(estimate, float("nan"), float("nan"), count)
    if a.std() == 0 and b.std() == 0:
        return Interval(estimate, estimate, estimate, count)
    found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
    return Interval(estimate, float(np.exp(found.low)), float(np.exp(found.high)), count)


def verdict(ratio: Interval, *, margin: float = MARGIN) -> str:
    """Say what an interval of a speed ratio allows: `faster`, `slower`, `equivalent` or `cannot tell`.

    `equivalent` means that the whole interval lies within the margin of 1 (two one-sided tests, Schuirmann
    1987), even where it excludes 1: the difference is then real and too small to matter. Fewer than four
    rounds are always `cannot tell`.
    """
    if ratio.count < LEAST_ROUNDS or not np.isfinite(ratio.low):
        return "cannot tell"
    if ratio.low >= 1 - margin and ratio.high <= 1 / (1 - margin):
        return "equivalent"
    if ratio.low > 1:
        return "faster"
    return "slower" if ratio.high < 1 else "cannot tell"


def lowest_allowed_mean(*, mean: float, sd: float, seeds: int, new_seeds: int, false_alarms: float) -> float:
    """The value that the mean of `new_seeds` honest seeds falls below with probability `false_alarms`.

    Source: one-sided prediction interval for the mean of m future values from a normal sample of n,
    mean - t(1 - alpha, n - 1) sd sqrt(1/n + 1/m) (Hahn & Meeker, Statistical Intervals, section 4.7).
    """
    quantile = float(stats.t.ppf(1 - false_alarms, seeds - 1))
    return mean - quantile * sd * float(np.sqrt(1 / seeds + 1 / new_seeds))
