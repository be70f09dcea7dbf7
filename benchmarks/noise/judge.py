"""Judge estimators on recorded noise: half of the rounds to choose, the other half to test what was chosen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.noise.estimators import ESTIMATORS, Estimator, Turns
from harness.analysis.simultaneous import intervals_together
from harness.analysis.statistics import Interval, mean_of_logs, precise_enough

# A recording's rounds, each the turns of every entrant.
Round = dict[str, list[NDArray[np.float64]]]
Array = NDArray[np.float64]
TWIN = " twin"
# Rounds that an estimator is judged by, at the least.
LEAST_TO_JUDGE = 3
# Of replays: runs of rounds that are drawn from those recorded.
RUNS, LEAST_ROUNDS, MOST_ROUNDS = 400, 4, 12


@dataclass(frozen=True)
class Judged:
    """How an estimator did on some rounds.

    Attributes:
        between: standard deviation of a pair's ratio over rounds, root of the mean square over pairs, percent.
        within: what turns alone explain of it, from odd against even turns, percent.
        bias: of twins, whose ratio is 1: mean over rounds, percent; by pair.
        bias_error: its standard error.
    """

    between: float
    within: float
    bias: tuple[float, ...]
    bias_error: tuple[float, ...]


def read(file: Path) -> list[Round]:
    """The rounds of a recording, whole ones only."""
    rows = pd.read_csv(file)
    everybody = rows["entrant"].nunique()
    found = []
    for _, round_ in rows.groupby("round"):
        turns = {
            str(label): [np.array(text.split(), float) for text in of_one.sort_values("turn")["step_us"]]
            for label, of_one in round_.groupby("entrant")
        }
        if len(turns) == everybody:
            found.append(turns)
    return found


def halves(rounds: Sequence[Round]) -> tuple[list[Round], list[Round]]:
    """Odd rounds, to choose by, and even ones, to test."""
    return list(rounds[::2]), list(rounds[1::2])


def pairs_of(rounds: Sequence[Round]) -> list[tuple[str, str]]:
    """All pairs of entrants."""
    return list(itertools.combinations(sorted(rounds[0]), 2))


def judge(estimator: Estimator, rounds: Sequence[Round]) -> Judged:
    """Judge one estimator."""
    pairs = pairs_of(rounds)
    found = _ratios(estimator, rounds, pairs)
    odd, even = (_ratios(estimator, [_every_other(each, k) for each in rounds], pairs) for k in (0, 1))
    twins = [number for number, (a, b) in enumerate(pairs) if b.split(TWIN)[0] == a]
    deviations = found.std(axis=0, ddof=1)
    return Judged(
        between=100 * math.sqrt((deviations**2).mean()),
        within=100 * math.sqrt(((odd - even) ** 2).mean() / 4),
        bias=tuple(100 * found[:, number].mean() for number in twins),
        bias_error=tuple(100 * deviations[number] / math.sqrt(len(found)) for number in twins),
    )


def _every_other(round_: Round, first: int) -> Round:
    return {label: turns[first::2] for label, turns in round_.items()}


def _ratios(estimator: Estimator, rounds: Sequence[Round], pairs: Sequence[tuple[str, str]]) -> Array:
    return np.array([[estimator(_turns(each, a), _turns(each, b)) for a, b in pairs] for each in rounds])


def _turns(round_: Round, label: str) -> Turns:
    return round_[label]


@dataclass(frozen=True)
class Replayed:
    """What runs came to whose rounds were drawn, with replacement, from those recorded.

    Attributes:
        covered: share of runs in which every interval shown has the truth in it: 0 for twins, else the mean over the
            recording.
        alarms: share of runs in which twins were called different; NaN without twins.
        width: median over runs of the widest interval.
        rounds: mean number of rounds.
    """

    covered: float
    alarms: float
    width: float
    rounds: float


def replay(estimator: Estimator, rounds: Sequence[Round], entrants: Sequence[str], *, precision: float) -> Replayed:
    """Stop as `run` does, with the fastest as the base."""
    pairs = list(itertools.permutations(entrants, 2))
    known = dict(zip(pairs, _ratios(estimator, rounds, pairs).T, strict=True))
    random = np.random.default_rng(1)
    twins = len(entrants) == 2 and entrants[1].split(TWIN)[0] == entrants[0]
    covered, alarms, widths, counts = [], [], [], []
    for _ in range(RUNS):
        drawn = random.integers(len(rounds), size=MOST_ROUNDS)
        base, found = _run(known, entrants, drawn, precision)
        truth = {one: 0.0 if twins else float(known[one, base].mean()) for one in found}
        covered.append(all(math.log(x.low) <= truth[one] <= math.log(x.high) for one, x in found.items()))
        alarms.append(any(not x.low <= 1 <= x.high for x in found.values()))
        widths.append(max((x.high - x.low) / x.estimate for x in found.values()))
        counts.append(next(iter(found.values())).count)
    return Replayed(
        float(np.mean(covered)),
        float(np.mean(alarms)) if twins else math.nan,
        float(np.median(widths)),
        float(np.mean(counts)),
    )


def _run(
    known: dict[tuple[str, str], Array], entrants: Sequence[str], drawn: NDArray[np.int64], precision: float
) -> tuple[str, dict[str, Interval]]:
    found: dict[str, Interval] = {}
    base = entrants[0]
    for count in range(LEAST_ROUNDS, len(drawn) + 1):
        seen = drawn[:count]
        # Logarithms of times: the fastest is the one that is below all others.
        base = min(entrants, key=lambda one: sum(known[one, other][seen].mean() for other in entrants if other != one))
        others = [one for one in entrants if one != base]
        if len(others) == 1:
            intervals = [mean_of_logs(np.exp(known[others[0], base][seen]))]
        else:
            order = {one: number for number, one in enumerate([*others, base])}
            logs = {(order[a], order[b]): known[a, b][seen] for a, b in itertools.combinations(order, 2)}
            intervals = intervals_together(logs, [(order[one], order[base]) for one in others], base_chosen=True)
        found = dict(zip(others, intervals, strict=True))
        if precise_enough(intervals, precision=precision):
            break
    return base, found


def table(rounds: Sequence[Round]) -> pd.DataFrame:
    """A row for each estimator."""
    rows = {}
    for name, estimator in ESTIMATORS.items():
        judged = judge(estimator, rounds)
        bias = " ".join(f"{b:+.2f}±{e:.2f}" for b, e in zip(judged.bias, judged.bias_error, strict=True))
        rows[name] = {"between %": f"{judged.between:.2f}", "within %": f"{judged.within:.2f}", "twins %": bias}
    return pd.DataFrame.from_dict(rows, orient="index")
