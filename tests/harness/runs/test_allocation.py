"""How time is shared between rounds and turns: formulas, budgets, and runs that are played through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.spread import Spread
from harness.runs.allocation import LEAST_ROUNDS, MOST_TIMES, OF_BUDGET, Allocation, Cost, best, fill
from tests.harness.analysis.test_spread import drawn


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def one_round(allocation: Allocation, clock: Clock, *, start_s: float, turns: int, turn_s: float, end_s: float) -> None:
    allocation.round_begins()
    clock.now += start_s
    allocation.turns_begin()
    clock.now += turns * turn_s
    allocation.turns_end(turns)
    clock.now += end_s
    allocation.round_ends()


@pytest.mark.parametrize(
    ("turn", "launch", "fixed_s", "turn_s"),
    [(1e-3, 1e-4, 20.0, 0.5), (1e-3, 1e-5, 5.0, 1.0), (2e-4, 2e-4, 60.0, 0.1)],
)
def test_no_other_number_of_turns_tells_more(turn: float, launch: float, fixed_s: float, turn_s: float) -> None:
    """The variance that a run of a long time has is smallest there: found by trying all numbers."""
    spread, cost = Spread(turn, launch), Cost(fixed_s, turn_s)
    tried = np.arange(1, 2000)
    variances = [spread.of(turns) * cost.of(turns) for turns in tried]

    assert abs(best(spread, cost) - tried[int(np.argmin(variances))]) <= 1


def test_launches_that_do_not_differ_want_turns_alone() -> None:
    """Then each start is a waste."""
    assert best(Spread(1e-3, 0.0), Cost(10.0, 1.0)) == math.inf
    assert best(Spread(1e-3, 1e-4), Cost(10.0, 0.0)) == math.inf


@pytest.mark.parametrize("left_s", [40.0, 95.0, 130.0, 300.0, 1000.0])
@pytest.mark.parametrize("launch", [0.0, 1e-5, 1e-4, 1e-3])
def test_rounds_fill_what_is_left(left_s: float, launch: float) -> None:
    """Whole rounds of one length fit into the time that is left, and no other length leaves a smaller variance."""
    spread, cost, least, most = Spread(1e-3, launch), Cost(10.0, 0.5), 20, 80
    turns = fill(spread, cost, left_s, least, most)

    planned_s = OF_BUDGET * left_s
    rounds = round(planned_s / cost.of(turns)) if turns < most else int(planned_s // cost.of(turns))
    assert least <= turns <= most
    assert rounds >= 1
    assert rounds * cost.of(turns) == pytest.approx(planned_s) or turns == most
    others = [spread.of(n) / int(planned_s // cost.of(n)) for n in range(least, most + 1) if cost.of(n) <= planned_s]
    assert spread.of(turns) / rounds <= min(others) + 1e-12


def test_no_room_for_a_round_wants_the_least() -> None:
    """Whoever asks all the same has as few turns as there may be."""
    assert fill(Spread(1e-3, 1e-4), Cost(10.0, 0.5), 5.0, 20, 80) == 20


def test_first_rounds_have_the_least() -> None:
    """Nothing is known before three rounds, nor before this process has seen what a round takes."""
    clock = Clock()
    allocation = Allocation(clock)
    rows = drawn(LEAST_ROUNDS, 20, turn_sd=0.05, launch_sd=0.001)

    assert allocation.shortest_s is None
    assert allocation.turns(20, rows) == 20
    one_round(allocation, clock, start_s=14.0, turns=20, turn_s=0.5, end_s=6.0)
    assert allocation.cost == Cost(20.0, 0.5)
    assert allocation.shortest_s == pytest.approx(30.0)
    assert allocation.turns(20, rows[rows["round"] < LEAST_ROUNDS]) == 20
    assert allocation.turns(20, rows) == MOST_TIMES * 20


def test_launches_that_differ_have_the_least() -> None:
    """More of their turns would tell nothing."""
    clock = Clock()
    allocation = Allocation(clock)
    one_round(allocation, clock, start_s=2.0, turns=20, turn_s=1.0, end_s=0.0)

    assert allocation.turns(20, drawn(6, 20, turn_sd=0.01, launch_sd=0.05)) == 20


def test_a_budget_is_filled() -> None:
    """Played through, the rounds end just before the budget does, where those of a fixed length would leave a third."""
    clock, budget_s = Clock(), 300.0
    allocation = Allocation(clock)
    rounds = 0
    while allocation.shortest_s is None or clock.now + allocation.shortest_s <= budget_s:
        rows = drawn(max(rounds, 1), 27, turn_sd=0.03, launch_sd=0.007)
        turns = allocation.turns(27, rows, left_s=budget_s - clock.now)
        one_round(allocation, clock, start_s=13.0, turns=turns, turn_s=0.63, end_s=7.0)
        rounds += 1

    assert 0.93 * budget_s < clock.now <= budget_s
    assert rounds >= 6


def test_a_round_without_turns_costs_nothing_known() -> None:
    """One that only trains, or whose launches all failed before their first turn, says nothing of rounds with turns."""
    allocation = Allocation(Clock())
    allocation.round_begins()
    allocation.round_ends()

    assert allocation.cost is None
