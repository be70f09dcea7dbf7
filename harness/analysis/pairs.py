"""Ratios of launches that took turns, of millions of them at once; each as `comparison.round_ratio` has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis.columns import codes_of, together
from harness.analysis.disturbed import LEAST_CLEAN, numbers_of
from harness.results.turn_times import TurnTimes

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Launches:
    """What a ratio is made from, of each launch.

    Attributes:
        speeds: training, images/s.
        disturbed: the number of its set in `sets`.
        sets: of turns in which something else had the CPUs.
    """

    speeds: NDArray[np.float64]
    batch_sizes: NDArray[np.float64]
    turns: TurnTimes
    disturbed: Numbers
    sets: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, rows: pd.DataFrame, turns: TurnTimes) -> Launches:
        """Of rows of launches.csv."""
        codes, cells = codes_of(rows["disturbed_turns"])
        sets = (*map(numbers_of, cells), frozenset[int]())
        # A missing cell has -1, which is the last.
        codes = np.where(codes < 0, len(sets) - 1, codes)
        speeds, sizes = (rows[name].to_numpy(float) for name in ("train_images_per_s", "batch_size"))
        return cls(speeds, sizes, turns, codes, sets)


def pair_up(rows: pd.DataFrame, groups: Numbers, ranks: Numbers) -> tuple[Numbers, Numbers]:
    """Launches of one round of one run and one group, each with the one of them that has the lowest rank.

    Where several have it, the last is taken.

    Returns:
        the numbers of launches that do not have it, and of those that do.
    """
    rounds = rows["round"].to_numpy(np.int64, na_value=-1)
    places, _ = together([groups, codes_of(rows["run"])[0], rounds])
    order = np.lexsort((ranks, places))
    places, ranks = places[order], ranks[order]
    begins = np.flatnonzero(np.diff(places, prepend=-1))
    lengths = np.diff(begins, append=len(places))
    is_lowest = ranks == np.repeat(ranks[begins], lengths)
    last = begins + np.add.reduceat(is_lowest, begins, dtype=np.int64) - 1 if len(begins) else begins
    return order[~is_lowest], order[np.repeat(last, lengths)[~is_lowest]]


def log_ratios(launches: Launches, own: Numbers, base: Numbers) -> NDArray[np.float64]:
    """Logarithms of the ratios of training speeds of pairs: of the turns, where both took the same number of them."""
    found = np.log(launches.speeds[own] / launches.speeds[base])
    turns = np.where(launches.turns.counts[own] == launches.turns.counts[base], launches.turns.counts[own], 0)
    for count in np.unique(turns[turns > 1]).tolist():
        of_count = np.flatnonzero(turns == count)
        one, other = own[of_count], base[of_count]
        times = launches.turns.side_by_side(other, count)
        times /= launches.turns.side_by_side(one, count)
        clean = _undisturbed(launches, one, count) & _undisturbed(launches, other, count)
        batches = np.log(launches.batch_sizes[one] / launches.batch_sizes[other])
        found[of_count] = batches + _medians(np.log(times, out=times), clean)
    return found


def _undisturbed(launches: Launches, rows: Numbers, turns: int) -> NDArray[np.bool_]:
    """Of each of these launches, a flag for each turn."""
    codes, numbers = np.unique(launches.disturbed[rows], return_inverse=True)
    flags = np.ones((len(codes), turns), dtype=bool)
    for place, code in enumerate(codes.tolist()):
        flags[place, [number - 1 for number in launches.sets[code] if number <= turns]] = False
    return flags[numbers]


def _medians(values: NDArray[np.float64], clean: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The median of each row's clean values, as `disturbed.kept` chooses them."""
    clean[clean.sum(axis=1) < LEAST_CLEAN] = True
    # What is left out goes to the end.
    values = np.sort(np.where(clean, values, np.inf), axis=1)
    counts, rows = clean.sum(axis=1), np.arange(len(values))
    return (values[rows, (counts - 1) // 2] + values[rows, counts // 2]) / 2
