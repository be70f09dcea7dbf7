"""Intervals that hold together: factors against tables, and tables of equal entrants whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from harness.analysis import simultaneous
from harness.analysis.simultaneous import critical, intervals_together, moderated
from harness.analysis.statistics import family_level, paired_ratio, student


def _logs(table: np.ndarray, base: int) -> dict[tuple[int, int], np.ndarray]:
    order = [number for number in range(table.shape[1]) if number != base] + [base]
    return {(a, b): table[:, a] - table[:, b] for a, b in itertools.combinations(order, 2)}


def _table(spreads: list[float], *, rounds: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rounds, len(spreads))) * spreads


@pytest.mark.parametrize(("entrants", "tukey"), [(3, 3.31 / math.sqrt(2)), (5, 3.86 / math.sqrt(2))])
def test_many_rounds_need_the_factor_of_tukeys_table(entrants: int, tukey: float) -> None:
    """Studentised range, 95 %, infinite degrees of freedom: 3.31 for three means and 3.86 for five."""
    assert critical(entrants, 400, True) == pytest.approx(tukey, rel=0.02)


@pytest.mark.parametrize(("entrants", "dunnett"), [(3, 2.21), (5, 2.44)])
def test_a_base_named_beforehand_needs_dunnetts(entrants: int, dunnett: float) -> None:
    """Dunnett's two-sided 95 %, infinite degrees of freedom: 2.21 for two comparisons, 2.44 for four.

    The factor found is that of spreads that are not alike, too, and so a little larger: comparisons whose common base
    hardly spreads are independent (Sidak: 2.24 and 2.49).
    """
    assert dunnett * 0.98 < critical(entrants, 400, False) < dunnett * 1.04


@pytest.mark.parametrize("rounds", [4, 6, 8, 12])
def test_factors_are_smaller_than_bonferronis(rounds: int) -> None:
    bonferroni = student(1 - (1 - family_level(10)) / 2, rounds - 1)

    assert critical(5, rounds, True) < 0.95 * bonferroni


def test_factors_fall_with_rounds_and_rise_with_entrants() -> None:
    by_rounds = [critical(5, rounds, True) for rounds in (4, 6, 10, 20, 40)]
    by_entrants = [critical(entrants, 8, True) for entrants in (3, 4, 6, 10)]

    assert by_rounds == sorted(by_rounds, reverse=True)
    assert by_entrants == sorted(by_entrants)


@pytest.mark.parametrize(
    "spreads",
    [[1, 1, 1], [0.3, 1, 2], [1, 1, 1, 1, 1], [0.3, 0.5, 1, 1.2, 2], [1, 1, 1, 1, 5], [0.2, 1, 1, 1, 1]],
    ids=str,
)
@pytest.mark.parametrize("base_chosen", [False, True])
def test_equal_entrants_are_covered_together(spreads: list[float], base_chosen: bool) -> None:
    """However unlike they spread, all ratios of a table hold together in 95 % of tables."""
    held = []
    for number in range(800):
        table = _table([0.01 * spread for spread in spreads], rounds=6, seed=number)
        base = int(table.mean(axis=0).argmax()) if base_chosen else 0
        logs = _logs(table, base)
        found = intervals_together(logs, [pair for pair in logs if pair[1] == base], base_chosen=base_chosen)
        held.append(all(each.low <= 1 <= each.high for each in found))

    assert np.mean(held) > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 800)


def test_estimates_are_those_of_the_pairs() -> None:
    table = _table([0.01, 0.02, 0.03], rounds=7, seed=1)

    (found,) = intervals_together(_logs(table, 0), [(2, 0)], base_chosen=True)
    alone = paired_ratio(np.exp(table[:, 2]), np.exp(table[:, 0]))

    assert found.estimate == pytest.approx(alone.estimate)
    assert found.count == 7
    assert math.log(found.high / found.estimate) == pytest.approx(math.log(found.estimate / found.low))


def test_a_pair_that_happens_to_agree_is_not_believed() -> None:
    """Three rounds of two entrants that are the same by chance: the others' spread says how far that can be trusted."""
    table = _table([0.01, 0.01, 0.01], rounds=3, seed=2)
    table[:, 1] = table[:, 0]

    (found,) = intervals_together(_logs(table, 0), [(1, 0)], base_chosen=False)

    assert found.low < 0.99 < 1.01 < found.high


def test_moderated_by_hand() -> None:
    assert moderated(2.0, 5.0, 4.0) == pytest.approx((4 * 2 + 2 * 5) / 6)


def test_more_rounds_than_factors_are_found_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the factor of a thousand rounds; that of forty is a little wider, and right."""
    asked = []
    monkeypatch.setattr(simultaneous, "critical", lambda entrants, rounds, chosen: asked.append(rounds) or 3.0)
    table = _table([0.01] * 3, rounds=100, seed=3)

    intervals_together(_logs(table, 0), [(1, 0)], base_chosen=False)

    assert asked == [simultaneous.MOST_ROUNDS]
