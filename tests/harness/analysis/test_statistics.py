"""Intervals and verdicts against formulas worked by hand, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.statistics import (
    Interval,
    family_level,
    lowest_allowed_mean,
    mean_of_logs,
    median_of_times,
    paired_ratio,
    pairs,
    precise_enough,
    unpaired_ratio,
    verdict,
    width,
)

# Student's t, 97.5 %, from a printed table, by degrees of freedom.
T_975 = {1: 12.706, 3: 3.182, 4: 2.776}


def test_mean_of_logs_by_hand() -> None:
    """Geometric mean, and Student's interval on the logarithms with a tabulated quantile."""
    interval = mean_of_logs([1.0, 2.0, 4.0, 8.0])

    # Logs to base 2 are 0, 1, 2, 3: mean 1.5, standard deviation sqrt(5/3).
    half = T_975[3] * math.sqrt(5 / 3) / 2
    assert interval.estimate == pytest.approx(2**1.5)
    assert interval.low == pytest.approx(2 ** (1.5 - half), rel=1e-3)
    assert interval.high == pytest.approx(2 ** (1.5 + half), rel=1e-3)
    assert interval.count == 4


def test_one_value_has_no_interval() -> None:
    """One launch gives an estimate and no interval."""
    interval = mean_of_logs([5.0])

    assert interval.estimate == pytest.approx(5.0)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_paired_ratio_is_of_ratios() -> None:
    """What differs between rounds cancels; the interval is that of the ratios."""
    machine = np.array([1.0, 3.0, 0.5, 10.0, 2.0])
    ratios = np.array([1.10, 1.12, 1.08, 1.11, 1.09])

    interval = paired_ratio(machine * ratios, machine)

    logs = np.log(ratios)
    half = T_975[4] * logs.std(ddof=1) / math.sqrt(5)
    assert interval.estimate == pytest.approx(math.exp(logs.mean()))
    assert interval.low == pytest.approx(math.exp(logs.mean() - half), rel=1e-4)
    with pytest.raises(ValueError, match="equal numbers of rounds, got 2 and 3"):
        paired_ratio([1.0, 2.0], [1.0, 2.0, 3.0])


def test_unpaired_ratio_is_welchs() -> None:
    """Between runs: Welch's interval, worked out from its formula, of groups of unequal size and spread."""
    a, b = np.array([2.0, 2.2, 1.9, 2.4]), np.array([1.0, 1.5, 0.8, 1.1, 0.9, 1.3])
    x, y = np.log(a), np.log(b)
    va, vb = x.var(ddof=1) / 4, y.var(ddof=1) / 6
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 5)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    center = x.mean() - y.mean()

    interval = unpaired_ratio(a, b)

    assert interval.estimate == pytest.approx(math.exp(center))
    assert interval.low == pytest.approx(math.exp(center - half))
    assert interval.high == pytest.approx(math.exp(center + half))
    assert interval.count == 4


def test_unpaired_ratio_of_constants() -> None:
    """Runs without any spread have a ratio without any, and one launch has no interval."""
    assert unpaired_ratio([2.0, 2.0], [1.0, 1.0]) == Interval(2.0, 2.0, 2.0, 2)
    assert math.isnan(unpaired_ratio([2.0], [1.0, 1.0]).low)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (1.05, 1.10, 4, "faster"),
        (0.90, 0.95, 4, "slower"),
        (0.99, 1.01, 4, "equivalent"),
        (1.005, 1.015, 4, "equivalent"),  # excludes 1, and too little to matter
        (0.985, 0.995, 4, "equivalent"),
        (1.005, 1.03, 4, "faster"),
        (0.96, 0.999, 4, "slower"),
        (0.97, 1.01, 4, "cannot tell"),
        (0.5, 2.0, 50, "cannot tell"),
        (1.05, 1.10, 3, "cannot tell"),
        (0.99, 1.01, 3, "cannot tell"),
        (math.nan, math.nan, 1, "cannot tell"),
        (math.nan, math.nan, 9, "cannot tell"),
        (0.98, 1 / 0.98, 4, "equivalent"),
    ],
)
def test_verdicts(low: float, high: float, count: int, expected: str) -> None:
    """The table of verdicts: where the interval lies, and never a verdict of fewer than four rounds."""
    assert verdict(Interval(1.0, low, high, count)) == expected


def test_verdict_is_symmetric() -> None:
    """Turning a ratio over turns faster into slower, and leaves equivalent and cannot tell."""
    opposite = {"faster": "slower", "slower": "faster"}
    for low, high in [(1.05, 1.1), (0.98, 1.01), (1.001, 1.04), (0.9, 1.2), (0.97, 0.99)]:
        there = verdict(Interval(1.0, low, high, 6))
        back = verdict(Interval(1.0, 1 / high, 1 / low, 6))

        assert back == opposite.get(there, there)


@pytest.mark.parametrize(
    ("entrants", "named", "chosen"), [(0, 0, 0), (1, 0, 0), (2, 1, 1), (3, 2, 3), (5, 4, 10), (8, 7, 28)]
)
def test_pairs_are_counted(entrants: int, named: int, chosen: int) -> None:
    """All others against a base named beforehand; every pair where the base is chosen from the data."""
    assert pairs(entrants, base_chosen=False) == named
    assert pairs(entrants, base_chosen=True) == chosen


def test_family_level_by_hand() -> None:
    """Bonferroni: the 5 % that may miss are shared out, and a single comparison keeps its level to the bit."""
    assert family_level(4) == pytest.approx(0.9875)
    assert family_level(10) == pytest.approx(0.995)
    assert family_level(3, level=0.7) == pytest.approx(0.9)
    for level in [0.5, 0.9, 0.95, 0.99]:
        assert family_level(1, level=level) == family_level(0, level=level) == level


def test_the_level_of_a_family_widens_its_intervals() -> None:
    """Of four comparisons by five rounds, the quantile is t(0.99375, 4) = 4.315 in place of 2.776."""
    ratios = np.array([1.10, 1.12, 1.08, 1.11, 1.09])
    logs = np.log(ratios)

    interval = paired_ratio(ratios, np.ones(5), level=family_level(4))

    half = 4.315 * logs.std(ddof=1) / math.sqrt(5)
    assert interval.high == pytest.approx(math.exp(logs.mean() + half), rel=1e-4)


def test_width_is_a_share_of_the_estimate() -> None:
    """From low to high by the estimate, so that a ratio and a speed have the same; infinite without an interval."""
    assert width(Interval(0.5, 0.48, 0.53, 6)) == pytest.approx(0.1)
    assert width(Interval(20_000.0, 19_200.0, 21_200.0, 6)) == pytest.approx(0.1)
    assert width(Interval(2.0, 2.0, 2.0, 6)) == 0
    assert width(Interval(1.0, math.nan, math.nan, 1)) == math.inf
    assert width(Interval(math.nan, math.nan, math.nan, 0)) == math.inf
    assert width(Interval(1.0, 0.0, math.inf, 2)) == math.inf


@pytest.mark.parametrize(
    ("count", "allowed"),
    # precision / (1 + (7 / count)^4), worked out by hand
    [(4, 0.02 / 10.3789), (5, 0.02 / 4.8416), (7, 0.01), (10, 0.02 / 1.2401), (14, 0.02 / 1.0625)],
)
def test_fewer_rounds_must_be_narrower(count: int, allowed: float) -> None:
    """The width that lets a run end, at a precision of 2 %, grows with the rounds towards 2 %."""
    narrow, wide = (Interval(1.0, 1 - x / 2, 1 + x / 2, count) for x in (0.999 * allowed, 1.001 * allowed))

    assert precise_enough([narrow], precision=0.02)
    assert precise_enough([narrow])  # 2 % unless asked otherwise
    assert not precise_enough([wide], precision=0.02)
    assert not precise_enough([wide])
    assert precise_enough([wide], precision=0.0202)


def test_every_interval_must_be_precise() -> None:
    """One wide or missing interval keeps the run going; where nothing is compared, nothing does."""
    narrow, wide = Interval(1.0, 0.999, 1.001, 20), Interval(1.0, 0.9, 1.1, 20)

    assert precise_enough([], precision=0.02)
    assert precise_enough([narrow, narrow], precision=0.02)
    assert not precise_enough([narrow, wide], precision=0.02)
    assert not precise_enough([wide, narrow], precision=0.02)
    assert not precise_enough([narrow, Interval(1.0, math.nan, math.nan, 20)], precision=0.02)
    assert not precise_enough([Interval(math.nan, math.nan, math.nan, 0)], precision=0.02)


def test_under_four_rounds_nothing_is_precise() -> None:
    """Three rounds without any spread allow no verdict, and so do not end a run."""
    assert not precise_enough([Interval(1.0, 1.0, 1.0, 3)], precision=0.02)
    assert precise_enough([Interval(1.0, 1.0, 1.0, 4)], precision=0.02)


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ([3.0], 3.0),
        ([9.0, 1.0, 2.0], 2.0),
        ([4.0, 1.0, 2.0, 9.0], 3.0),
        ([math.inf], math.inf),
        ([5.0, math.inf, 3.0], 5.0),
        ([math.inf, 5.0, math.inf], math.inf),
        ([5.0, math.inf], math.inf),
        ([math.inf, math.inf], math.inf),
        ([math.inf, 2.0, 1.0, 4.0], 3.0),
        ([math.inf, 2.0, 1.0, math.inf], math.inf),
        (np.array([3.0, 1.0]), 2.0),
    ],
)
def test_median_of_times(times: list[float], median: float) -> None:
    """The middle one, or the mean of the two in the middle; a target not reached counts as infinitely late."""
    assert median_of_times(times) == median


@pytest.mark.parametrize("times", [[], [1.0, math.nan], [math.nan]])
def test_no_median_without_times(times: list[float]) -> None:
    """No launches, or a time that is not a number, have no median."""
    with pytest.raises(ValueError, match="A median needs times"):
        median_of_times(times)


@pytest.mark.parametrize("rounds", [4, 10])
def test_intervals_cover_at_the_stated_rate(rounds: int) -> None:
    """With spread between launches and between rounds, 95 % of the paired intervals have the true ratio in them."""
    random = np.random.default_rng(17)
    trials, truth, covered = 2000, 1.07, 0
    for _ in range(trials):
        machine = random.normal(0, 0.2, rounds)
        a = np.exp(machine + random.normal(math.log(truth), 0.04, rounds))
        b = np.exp(machine + random.normal(0, 0.06, rounds))
        interval = paired_ratio(a, b)
        covered += interval.low <= truth <= interval.high

    # Four standard deviations of a binomial count either way.
    assert abs(covered / trials - 0.95) < 4 * math.sqrt(0.95 * 0.05 / trials)


def test_equal_programs_are_seldom_called_different() -> None:
    """Of two equal programs, whose launches differ by 10 %, `faster` or `slower` is said in 5 % of trials or fewer."""
    random = np.random.default_rng(23)
    trials = 2000
    said = [
        verdict(paired_ratio(np.exp(random.normal(0, 0.1, 6)), np.exp(random.normal(0, 0.1, 6)))) for _ in range(trials)
    ]
    alarms = (said.count("faster") + said.count("slower")) / trials

    assert 0.03 < alarms < 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)


def test_large_differences_are_found() -> None:
    """A difference of 20 % at a spread of 4 % is found in nearly every trial of six rounds."""
    random = np.random.default_rng(29)
    said = [
        verdict(paired_ratio(np.exp(random.normal(0.2, 0.04, 6)), np.exp(random.normal(0, 0.04, 6))))
        for _ in range(300)
    ]

    assert said.count("faster") > 290


def test_lowest_allowed_mean_by_hand() -> None:
    """The prediction bound from five seeds for the mean of two, with a tabulated quantile."""
    # t(0.999, 4) = 7.173 in the tables; sqrt(1/5 + 1/2) = 0.83666.
    bound = lowest_allowed_mean(mean=0.99, sd=0.001, seeds=5, new_seeds=2, false_alarms=0.001)

    assert bound == pytest.approx(0.99 - 7.173 * 0.001 * 0.83666, abs=1e-6)


@pytest.mark.parametrize(("seeds", "new"), [(5, 1), (10, 2)])
def test_honest_backends_fail_at_the_nominal_rate(seeds: int, new: int) -> None:
    """Baseline and gate from one distribution: the gate fails as often as stated."""
    random = np.random.default_rng(31)
    trials, rate = 20_000, 0.01
    baseline = random.normal(0.985, 0.002, (trials, seeds))
    measured = random.normal(0.985, 0.002, (trials, new)).mean(axis=1)
    one = lowest_allowed_mean(mean=0.0, sd=1.0, seeds=seeds, new_seeds=new, false_alarms=rate)
    bounds = baseline.mean(axis=1) + one * baseline.std(axis=1, ddof=1)

    alarms = float((measured < bounds).mean())
    example = lowest_allowed_mean(
        mean=float(baseline[0].mean()), sd=float(baseline[0].std(ddof=1)), seeds=seeds, new_seeds=new, false_alarms=rate
    )
    assert example == pytest.approx(bounds[0])
    assert abs(alarms - rate) < 4 * math.sqrt(rate * (1 - rate) / trials)
