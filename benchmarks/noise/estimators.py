"""What a round's ratio of two launches may be: candidates, all of the blocks of their turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

# A launch's turns, each the microseconds of a step in its blocks.
Turns = Sequence[NDArray[np.float64]]
Statistic = Callable[[NDArray[np.float64]], float]
Estimator = Callable[[Turns, Turns], float]


def _paired(of_turn: Statistic, share: float = 0.0) -> Estimator:
    """Each turn of the one and the same turn of the other are a pair: the middle of the logarithms of their ratios.

    Args:
        share: of pairs that are cut off at either end; 0.5 is the median, 0 the mean.
    """

    def estimate(a: Turns, b: Turns) -> float:
        ratios = np.sort([np.log(of_turn(x) / of_turn(y)) for x, y in zip(a, b, strict=True)])
        cut = min(int(share * len(ratios)), (len(ratios) - 1) // 2)
        return float(ratios[cut : len(ratios) - cut].mean())

    return estimate


def _quantile(share: float) -> Estimator:
    """The quantile of all blocks of a launch, against the other's: nothing is paired."""

    def estimate(a: Turns, b: Turns) -> float:
        return float(np.log(np.quantile(np.concatenate(a), share) / np.quantile(np.concatenate(b), share)))

    return estimate


def _quietest(share: float) -> Estimator:
    """Of all pairs of turns, those in which the two together took least time: the mean of the logarithms of ratios."""

    def estimate(a: Turns, b: Turns) -> float:
        logs = np.array([[np.log(x.mean()), np.log(y.mean())] for x, y in zip(a, b, strict=True)])
        quiet = np.argsort(logs.sum(axis=1))[: max(1, round(share * len(logs)))]
        return float((logs[quiet, 0] - logs[quiet, 1]).mean())

    return estimate


def _first(turn: NDArray[np.float64]) -> float:
    """A fifth of a turn's blocks, as turns of one block had."""
    return float(turn[: max(1, len(turn) // 3)].mean())


ESTIMATORS: dict[str, Estimator] = {
    "median of pairs, a third of each turn": _paired(_first, 0.5),
    "median of pairs": _paired(np.mean, 0.5),
    "median of pairs, median block": _paired(np.median, 0.5),
    "median of pairs, fastest block": _paired(np.min, 0.5),
    "mean of the middle half of pairs": _paired(np.mean, 0.25),
    "mean of the middle 80 % of pairs": _paired(np.mean, 0.1),
    "mean of pairs": _paired(np.mean),
    "the same, median block": _paired(np.median),
    "middle half of pairs, median block": _paired(np.median, 0.25),
    "mean of the quietest half of pairs": _quietest(0.5),
    "mean of the quietest quarter of pairs": _quietest(0.25),
    "median of blocks": _quantile(0.5),
    "25th percentile of blocks": _quantile(0.25),
    "10th percentile of blocks": _quantile(0.1),
    "5th percentile of blocks": _quantile(0.05),
    "fastest block": _quantile(0.0),
}
