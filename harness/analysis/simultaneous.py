"""Intervals of several ratios of one run, as wide as they must be for all to hold together, and no wider.

Bonferroni's inequality asks for nothing, and few rounds make it dear: with five entrants and six rounds it multiplies
each standard error by 4.8. Two things are known that it does not use. Ratios of one table share launches, so they err
together; and pairs of one machine spread alike, about, so each tells something of the others' spread.

- The variance of a pair is drawn towards the mean over all pairs of the table, which counts as `PRIOR_FREEDOM` degrees
  of freedom (Smyth 2004, "Linear models and empirical Bayes methods", with a prior whose weight is fixed: five
  variances are too few to estimate it from).
- The factor is the quantile of the largest |t| that this very procedure gives to equal entrants, found by drawing them
  (as Dunnett 1955 and Tukey 1953 tabled it for variances that are equal and all pooled). Entrants need not spread
  alike: it is the largest over `PROFILES` of spreads.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.statistics import LEVEL, Interval

PRIOR_FREEDOM = 2.0
# Spreads of entrants that factors are found for: all alike; the first, which is the base, and the last two, three times
# as much as the others.
PROFILES = ((1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.0, 1.0, 3.0))
# Drawn tables, and how many at a time. The quantile is then right to half a per cent.
TRIALS, CHUNK = 10_000, 500
# The factor falls with rounds, ever more slowly: 4.0 % from 20 to infinity with five entrants.
MOST_ROUNDS = 40

Array = NDArray[np.float64]
Pairs = Mapping[tuple[int, int], Array]


def intervals_together(logs: Pairs, shown: list[tuple[int, int]], *, base_chosen: bool) -> list[Interval]:
    """The intervals of some pairs of a table, which all hold together with 95 %.

    Args:
        logs: by pair of entrants (numbers from 0), the logarithms of its rounds' ratios, one a round; of all pairs that
            share rounds, two at the least. Three entrants or more.
        shown: pairs that are wanted; all with the base, the second of each.
        base_chosen: whether the base was chosen from the data, so that any two entrants might have been shown.
    """
    entrants = len({number for pair in logs for number in pair})
    variances = {pair: float(values.var(ddof=1)) for pair, values in logs.items()}
    prior = float(np.mean(list(variances.values())))
    rounds = min(len(values) for values in logs.values())
    factor = critical(entrants, min(rounds, MOST_ROUNDS), base_chosen)
    found = []
    for pair in shown:
        values, freedom = logs[pair], len(logs[pair]) - 1
        variance = moderated(variances[pair], prior, freedom)
        half, center = factor * np.sqrt(variance / len(values)), float(values.mean())
        low, estimate, high = np.exp([center - half, center, center + half])
        found.append(Interval(float(estimate), float(low), float(high), len(values)))
    return found


def moderated(variance: Any, prior: Any, freedom: float) -> Any:
    """Variances of so many degrees of freedom, drawn towards the prior (Smyth 2004); floats or arrays of them."""
    return (freedom * variance + PRIOR_FREEDOM * prior) / (freedom + PRIOR_FREEDOM)


@functools.cache
def critical(entrants: int, rounds: int, base_chosen: bool, level: float = LEVEL) -> float:
    """By what standard errors are multiplied.

    Args:
        entrants: three or more.
        rounds: two or more.
    """
    random = np.random.default_rng(entrants * 1000 + rounds)
    largest: list[list[Array]] = [[] for _ in PROFILES]
    for _ in range(TRIALS // CHUNK):
        launches = random.standard_normal((CHUNK, rounds, entrants))
        for profile, found in zip(PROFILES, largest, strict=True):
            found.append(_largest(launches * _spreads(profile, entrants), base_chosen))
    return max(float(np.quantile(np.concatenate(found), level)) for found in largest)


def _spreads(profile: tuple[float, float, float], entrants: int) -> Array:
    first, others, last = profile
    return np.array([first] + [others] * (entrants - 3) + [last] * 2)


def _largest(launches: Array, base_chosen: bool) -> Array:
    """The largest |t| over pairs, in tables of launches (trials, rounds, entrants) of entrants that are equal."""
    rounds, entrants = launches.shape[1:]
    means = launches.mean(axis=1)
    centered = launches - means[:, None]
    covariance = np.einsum("tri,trj->tij", centered, centered, optimize=True) / (rounds - 1)
    first, second = np.triu_indices(entrants, 1)
    variances = covariance[:, first, first] + covariance[:, second, second] - 2 * covariance[:, first, second]
    moved = moderated(variances, variances.mean(axis=1, keepdims=True), rounds - 1)
    t = np.abs(means[:, first] - means[:, second]) / np.sqrt(moved / rounds)
    largest: Array = (t if base_chosen else t[:, first == 0]).max(axis=1)
    return largest
