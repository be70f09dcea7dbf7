"""Intervals and verdicts, made from launch summaries and nothing finer.

Values inside one process are not independent: launches of the same program differ by more than the blocks
within one suggest. So a launch counts as one value, its median; launches of one round are a pair; and all
arithmetic is on logarithms, because speeds are compared as ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

LEVEL = 0.95
LEAST_ROUNDS = 4
MARGIN = 0.02
PRECISION = 0.02
# Of one comparison, and of several: see precise_enough.
GUARD_ROUNDS, GUARD_ROUNDS_OF_SEVERAL = 7, 5


Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; low and high are NaN where there is too little to tell."""

    estimate: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Moments:
    """What of logarithms tells their mean and spread. Those of two parts together are `+`, whatever had the values.

    Attributes:
        squares: sum of squares about the mean.
    """

    count: int
    mean: float
    squares: float

    @classmethod
    def of(cls, logs: NDArray[np.float64]) -> Moments:
        """Of one value or more."""
        center = float(logs.mean())
        return cls(len(logs), center, float(((logs - center) ** 2).sum()))

    def __add__(self, other: Moments) -> Moments:
        """Source: Chan, Golub & LeVeque 1983, updating a sum of squares by pairs."""
        count, apart = self.count + other.count, other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * other.count / count
        return Moments(count, self.mean + apart * other.count / count, squares)

    @property
    def deviation(self) -> float:
        """Standard deviation (n - 1), of two values or more."""
        return math.sqrt(self.squares / (self.count - 1))

    def interval(self, *, level: float = LEVEL) -> Interval:
        """As `mean_of_logs`."""
        if self.count < 2:
            return Interval(float(np.exp(self.mean)), float("nan"), float("nan"), self.count)
        half = student((1 + level) / 2, self.count - 1) * self.deviation / math.sqrt(self.count)
        low, estimate, high = np.exp([self.mean - half, self.mean, self.mean + half])
        return Interval(float(estimate), float(low), float(high), self.count)

    def over(self, other: Moments, *, level: float = LEVEL) -> Interval:
        """As `unpaired_ratio`."""
        estimate, count = math.exp(self.mean - other.mean), min(self.count, other.count)
        if count < 2:
            return Interval(estimate, float("nan"), float("nan"), count)
        if not self.squares and not other.squares:
            return Interval(estimate, estimate, estimate, count)
        error, freedom = welch((self.deviation, other.deviation), (self.count, other.count))
        half = student((1 + level) / 2, freedom) * error
        return Interval(estimate, estimate * math.exp(-half), estimate * math.exp(half), count)


def student(probability: float, freedom: float) -> float:
    """Quantile of Student's t.

    As scipy.stats.t.ppf, which is the same function of scipy.special behind an import of half a second.
    """
    return float(stdtrit(freedom, probability))


def welch(deviations: tuple[float, float], counts: tuple[int, int]) -> tuple[float, float]:
    """Standard error of a difference of two means, and its degrees of freedom.

    Source: Welch 1947, degrees of freedom after Satterthwaite 1946, as scipy.stats.ttest_ind(equal_var=False).

    Args:
        deviations: standard deviations (n - 1) of the two samples, not both 0.
        counts: how many values each has, 2 or more.
    """
    a, b = (deviation**2 / count for deviation, count in zip(deviations, counts))
    freedom = (a + b) ** 2 / (a**2 / (counts[0] - 1) + b**2 / (counts[1] - 1))
    return math.sqrt(a + b), freedom


def mean_of_logs(values: Values, *, level: float = LEVEL) -> Interval:
    """Geometric mean with Student's interval on the logarithms.

    Source: Student's t for a mean of n independent values, n - 1 degrees of freedom, on log(values).

    Args:
        values: positive, one a launch (or one ratio a round).
        level: coverage of the interval.
    """
    return Moments.of(np.log(np.asarray(values, dtype=float))).interval(level=level)


def paired_ratio(values: Values, others: Values, *, level: float = LEVEL) -> Interval:
    """Ratio values/others, where the i-th of each come from the same round."""
    if len(values) != len(others):
        raise ValueError(f"Pairs need equal numbers of rounds, got {len(values)} and {len(others)}.")
    return mean_of_logs(np.asarray(values, float) / np.asarray(others, float), level=level)


def unpaired_ratio(values: Values, others: Values, *, level: float = LEVEL) -> Interval:
    """Ratio of geometric means of two separate runs, with Welch's interval on the logarithms.

    Source: `welch`.
    """
    a, b = (Moments.of(np.log(np.asarray(each, dtype=float))) for each in (values, others))
    return a.over(b, level=level)


def pairs(entrants: int, *, base_chosen: bool) -> int:
    """Number of comparisons that must hold together.

    Against a base named beforehand these are all others. A base chosen because it came out fastest could have
    been any entrant, so every pair counts.
    """
    return math.comb(entrants, 2) if base_chosen else max(entrants - 1, 0)


def family_level(comparisons: int, *, level: float = LEVEL) -> float:
    """Level of each interval, so that all of them cover together with at least `level`.

    Source: Bonferroni's inequality, 1 - (1 - level) / m (Dunn 1961). It asks for neither equal variances nor
    independence, which frameworks compared on one machine do not have.
    """
    return level if comparisons <= 1 else 1 - (1 - level) / comparisons


def width(interval: Interval) -> float:
    """Full width as a share of the estimate, (high - low) / estimate; infinite where there is no interval."""
    share = (interval.high - interval.low) / interval.estimate
    return share if math.isfinite(share) else math.inf


def precise_enough(intervals: Sequence[Interval], *, precision: float = PRECISION) -> bool:
    """Whether no further round is needed: every width, times its `guard`, is at most `precision`.

    Stopping as soon as the width itself is small stops too often where the spread happens to come out small, and
    the interval then covers less than it says (Anscombe 1953, Chow & Robbins 1965, Starr 1966). The factor makes
    early stops rare near the limit: 1 + (7 / rounds)^4 is 4.8 at 5 rounds, 2 at 7, 1.24 at 10, 1.05 at 15.

    Found by simulation, of two entrants with normal launches, looked at after every round, up to 60 rounds:
    least coverage of the plain 95 % interval over all spreads, and rounds needed where the standard deviation of
    the paired log ratio is 0.1, 0.25, 0.5, 1, 1.5 times the precision.

        rule                            coverage   rounds
        width, from 4 rounds on         91.4 %      4.0   4.2   6.3  16.2  34.9
        width, from 5 rounds on         92.1 %      5.0   5.0   6.6  16.4  35.1
        width, from 10 rounds on        93.5 %     10.0  10.0  10.1  17.2  35.5
        width, then 3 rounds more       93.6 %      7.0   7.2   9.3  19.2  37.9
        this one                        93.6 %      5.6   7.1   9.6  18.2  35.9

    Two looks in a row, looks at growing rounds, an upper bound of the spread and quantiles of fewer degrees of
    freedom stay under 93.5 % or cost more. Two equal entrants are called different in 5.1 % of runs at most where
    2 % or less is asked for, in 6.3 % where more is.

    Of several comparisons the widest decides, and 5 in place of 7 is enough: all of three entrants are covered together
    in 93.2 to 95.3 %, of five in 94.9 to 96.0 % (3,000 runs each, launches that spread alike, 2 and 4 %), without a
    guard in 93.0 to 97.0 %. Numbers of rounds that are fixed beforehand cover in 94.9 to 96.7 %.

    Args:
        intervals: of the comparisons shown, at the level of their family. None at all are precise enough.
        precision: as of `width`.
    """
    return all(
        interval.count >= LEAST_ROUNDS and width(interval) * guard(interval.count, len(intervals)) <= precision
        for interval in intervals
    )


def guard(rounds: int, comparisons: int) -> float:
    """By what widths are multiplied before they are held against the precision: see `precise_enough`."""
    return 1 + ((GUARD_ROUNDS if comparisons == 1 else GUARD_ROUNDS_OF_SEVERAL) / rounds) ** 4


def median_of_times(values: Values) -> float:
    """Median of times to a target in seconds, where infinity stands for a target that was not reached.

    Source: the score of AlgoPerf (Dahl et al. 2023). Infinite if more than half did not reach the target, or
    just half of an even number.

    Raises:
        ValueError: if there are no values, or one is NaN.
    """
    times = sorted(float(value) for value in values)
    if not times or any(math.isnan(time) for time in times):
        raise ValueError(f"A median needs times, or infinity for a target not reached, got {times}.")
    half = len(times) // 2
    return times[half] if len(times) % 2 else (times[half - 1] + times[half]) / 2


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
    quantile = student(1 - false_alarms, seeds - 1)
    return mean - quantile * sd * float(np.sqrt(1 / seeds + 1 / new_seeds))


def lowest_allowed_seed(*, mean: float, sd: float, seeds: int, new_seeds: int, false_alarms: float) -> float:
    """The value that the least of `new_seeds` honest seeds falls below with probability `false_alarms` at most.

    Source: one-sided prediction bound for all of m future values from a normal sample of n, by Bonferroni's
    inequality, mean - t(1 - alpha / m, n - 1) sd sqrt(1 + 1/n) (Chew 1968; Hahn & Meeker, Statistical Intervals,
    section 4.8). Exact for m = 1. The m values share the sample's mean and standard deviation, which makes the true
    probability a little smaller: 0.0096 for 0.01, m = 4 and n = 10 (400,000 simulated gates).
    """
    quantile = student(1 - false_alarms / new_seeds, seeds - 1)
    return mean - quantile * sd * math.sqrt(1 + 1 / seeds)
