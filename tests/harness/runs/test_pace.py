"""When a run has enough rounds, with a clock and standings made by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis.comparison import Comparison, compare_entrants
from harness.analysis.statistics import Interval
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES
from harness.runs.pace import Pace
from harness.runs.plan import MOST_ROUNDS, Plan

NO_INTERVAL = float("nan")
ENDS_NEVER = 60


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_pace(clock: Clock, make_plan: Callable[..., Plan]) -> Callable[..., Pace]:
    """Return a function that makes a pace on the clock: five rounds at least, 2 %, two entrants."""

    def make(*backends: str, spent_s: float = 0.0, **changes: Any) -> Pace:
        options = {"rounds": 5, "precision": 0.02, "most_rounds": MOST_ROUNDS} | changes
        return Pace(make_plan(*(backends or ("numpy", "twin")), **options), spent_s=spent_s, clock=clock)

    return make


def standing(label: str, width: float | None, count: int) -> Comparison:
    """An entrant whose interval is so wide; the base where there is no width."""
    speed = Interval(1000.0, 990.0, 1010.0, count)
    ratio = None if width is None else Interval(0.5, 0.5 * (1 - width / 2), 0.5 * (1 + width / 2), count)
    return Comparison(label, pd.DataFrame(), speed, ratio, "" if ratio is None else "slower")


def play(pace: Pace, clock: Clock, *widths: float, round_s: float = 10.0) -> int:
    """Carry out rounds of `round_s` until there are enough, at most ENDS_NEVER; return their number.

    Args:
        widths: of every comparison's interval after every round.
    """
    number = 1
    while number <= ENDS_NEVER and pace.wants_round(number):
        clock.now += round_s
        found = [standing("base", None, number)]
        found += [standing(f"other {place}", width, number) for place, width in enumerate(widths)]
        pace.round_ended(found)
        number += 1
    assert pace.rounds == number - 1
    return pace.rounds


def test_no_stop_before_the_least_rounds(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Intervals that are narrow from the first round on end a run after its least rounds, with a sentence."""
    pace = make_pace(rounds=7)

    assert play(pace, clock, 1e-6) == 7
    assert pace.ending == "7 rounds: every interval is narrower than 2.0% of its ratio."


def test_one_wide_interval_keeps_the_run_going(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """It is not the mean and not the base that counts: all comparisons must be narrow."""
    assert play(make_pace("numpy", "twin", "hanging"), clock, 1e-6, 0.05) == ENDS_NEVER
    assert play(make_pace("numpy", "twin", "hanging"), clock, 1e-6, 1e-6) == 5


def test_limit_is_not_waited_for(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """However wide its interval is; and a framework beside its limit alone has nothing that it is compared with."""
    pace, alone = make_pace("numpy", "twin", rounds=5), make_pace("numpy", rounds=5)
    for number in range(1, 6):
        limit = standing("numba kernels", 0.5, number)
        for each, beside in ((pace, [standing("other", 1e-6, number)]), (alone, [])):
            assert each.wants_round(number)
            each.round_ended([limit, standing("base", None, number), *beside])

    assert not pace.wants_round(6)
    assert pace.widest == pytest.approx(1e-6)
    assert not alone.wants_round(6)
    assert alone.ending == "5 rounds; there is nothing to compare."


def test_widest_interval_is_told(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Of several comparisons it is the widest that is said, and that decides."""
    pace = make_pace("numpy", "twin", "hanging", budget_s=45.0)
    play(pace, clock, 0.03, 0.25, 0.1)

    assert pace.widest == pytest.approx(0.25)
    assert "the widest interval is 25.0% of its ratio" in pace.ending


def test_run_ends_with_the_round_that_makes_it_precise(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """The round after which the widest interval is narrow enough is the last."""
    pace = make_pace()
    for number in range(1, 9):
        assert pace.wants_round(number), number
        assert pace.ending == ""
        clock.now += 10
        pace.round_ended([standing("a", None, number), standing("b", 0.1 if number < 8 else 1e-6, number)])

    assert not pace.wants_round(9)
    assert pace.ending.startswith("8 rounds: ")


def test_intervals_that_do_not_exist_are_not_narrow(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """An entrant without an interval is compared with nothing: the run goes on."""
    pace = make_pace()

    assert play(pace, clock, NO_INTERVAL) == ENDS_NEVER
    assert pace.widest == float("inf")


@pytest.mark.parametrize("width", [0.3, 1e-9, 0.0])
def test_precision_0_ends_no_run(make_pace: Callable[..., Pace], clock: Clock, width: float) -> None:
    """Without a precision the rounds that were asked for are made, however narrow the intervals are."""
    pace = make_pace(precision=0.0, most_rounds=30)

    assert play(pace, clock, width) == 30
    assert pace.ending == "All 30 round(s) are done."


def test_exact_rounds(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """As many rounds as at most are as many as at least: neither more nor fewer."""
    assert play(make_pace(rounds=3, most_rounds=3), clock, 0.5) == 3
    assert play(make_pace(rounds=3, most_rounds=3), clock, 1e-6) == 3


@pytest.mark.parametrize(("budget_s", "rounds"), [(9.0, 1), (19.0, 1), (39.9, 3), (40.0, 4), (65.0, 6)])
def test_no_round_is_begun_that_would_end_later(
    make_pace: Callable[..., Pace], clock: Clock, budget_s: float, rounds: int
) -> None:
    """Rounds of 10 s: as many as fit, one at the least, whether there must be five or not."""
    pace = make_pace(budget_s=budget_s)

    assert play(pace, clock, 0.1) == rounds
    assert pace.ending == (
        f"The budget of {budget_s:g} s ended after {rounds} round(s); "
        "the widest interval is 10.0% of its ratio, 2.0% was wanted."
    )


def test_budget_0_is_none(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Without a budget no time is too long."""
    assert play(make_pace(budget_s=0.0), clock, 0.1, round_s=1e6) == ENDS_NEVER


def test_budget_without_an_interval(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Where one round was all, no width is told, and nothing reads `inf` or `nan`."""
    pace = make_pace(budget_s=15.0)

    assert play(pace, clock, NO_INTERVAL) == 1
    assert pace.ending == "The budget of 15 s ended after 1 round(s)."


def test_guess_is_the_last_round(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """A round that took longer than those before makes the next one too long for the budget."""
    pace = make_pace(budget_s=60.0)
    for number, seconds in enumerate((10, 10, 25), start=1):
        assert pace.wants_round(number)
        clock.now += seconds
        pace.round_ended([standing("a", None, number), standing("b", 0.1, number)])

    assert not pace.wants_round(4)


def test_time_before_a_resume_counts(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """What a run spent before it was cut short comes off its budget; the first round is made all the same."""
    assert play(make_pace(budget_s=65.0, spent_s=30.0), clock, 0.1) == 3
    assert play(make_pace(budget_s=65.0, spent_s=300.0), clock, 0.1) == 1


def test_one_entrant_has_the_least_rounds(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Where there is nothing to compare, more rounds would make nothing narrower that is asked for."""
    pace = make_pace("numpy")

    assert play(pace, clock) == 5
    assert pace.ending == "5 rounds; there is nothing to compare."


def test_entrant_that_is_left_alone_has_the_least_rounds(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Where all others failed, there is nothing to compare either: the run does not go on until its budget ends."""
    pace = make_pace("numpy", "twin")

    assert play(pace, clock) == 5
    assert pace.ending == "5 rounds; there is nothing to compare."


def test_guess_of_what_is_left(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """Rounds still wanted: the least first, then four times the rounds to halve an interval; not over budget."""

    def left_after(rounds: int, width: float, **changes: Any) -> int:
        pace = make_pace(**changes)
        assert pace.rounds_left() == 5
        for number in range(1, rounds + 1):
            assert pace.wants_round(number)
            clock.now += 10
            pace.round_ended([standing("a", None, number), standing("b", width, number)])
        return pace.rounds_left()

    assert left_after(2, 0.1, precision=0.0, most_rounds=5) == 3
    assert left_after(2, 0.1, precision=0.0, most_rounds=5, budget_s=45) == 2
    assert left_after(5, 0.1, precision=0.0, most_rounds=5) == 0
    assert left_after(2, 0.1) == left_after(2, NO_INTERVAL) == 3
    assert 15 <= left_after(5, 0.04) <= 17
    assert left_after(5, 0.04, budget_s=90) == 4
    assert left_after(5, 0.04, most_rounds=12) == 7
    assert left_after(5, NO_INTERVAL, budget_s=90) == 4


@pytest.mark.parametrize("seed", range(20))
def test_guess_does_not_jump(make_pace: Callable[..., Pace], clock: Clock, seed: int) -> None:
    """Launches that spread as they do here, by luck more and less: what is said of all rounds is never twice, nor half,
    of what was said a round before, once it is said at all."""
    random = np.random.default_rng(seed)
    pace, ratios, said = make_pace(), [], []
    while pace.wants_round(pace.rounds + 1):
        clock.now += 10
        ratios.append(random.normal(0, 0.02))
        count = len(ratios)
        wide = 4 * np.std(ratios, ddof=1) / np.sqrt(count) if count > 1 else NO_INTERVAL
        pace.round_ended([standing("a", None, count), standing("b", float(wide), count)])
        if not pace.may_be_more:
            said.append(pace.rounds + pace.rounds_left())

    assert said[-1] == pace.rounds
    assert all(0.5 < after / before < 2 for before, after in pairwise(said[:-1]))


def test_rounds_have_titles(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """How many there will be, as far as that is known."""
    exact, alone, opened = make_pace(rounds=3, most_rounds=3), make_pace("numpy"), make_pace()

    assert exact.title(2) == "round 2 of 3"
    assert not exact.may_be_more
    assert alone.title(1) == "round 1 of 5"
    assert opened.title(1) == "round 1 of 5 or more"
    assert opened.may_be_more
    for number in range(1, 6):
        assert opened.wants_round(number)
        clock.now += 10
        opened.round_ended([standing("a", None, number), standing("b", 0.04, number)])
    assert opened.title(6) == f"round 6 of about {5 + opened.rounds_left()}"
    assert not opened.may_be_more


@pytest.mark.parametrize("width", [0.019, 0.01, 0.005])
def test_something_is_left_while_a_round_is_wanted(make_pace: Callable[..., Pace], clock: Clock, width: float) -> None:
    """The rule is stricter in early rounds than the width alone: the guess must know that too."""
    pace = make_pace()
    for number in range(1, 6):
        assert pace.wants_round(number)
        clock.now += 10
        pace.round_ended([standing("a", None, number), standing("b", width, number)])

    assert pace.rounds_left() >= 1
    assert pace.wants_round(6)


def test_what_is_waited_for_is_said(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """The entrant that is known least, what its rounds differ by, and how many more there may be in the budget."""
    pace = make_pace("numpy", "twin", "hanging", budget_s=100.0)
    assert pace.waits_for() == ""

    steady, wild = [1.0] * 5, [1.0, 1.1, 0.9, 1.2, 0.8]
    rows = [
        {
            "run": "r",
            "backend": name,
            "mode": "eager",
            "status": "ok",
            "round": number,
            "train_images_per_s": 100.0 * speed,
        }
        for name, speeds in (("numpy", steady), ("twin", [*steady[:4], 1.001]), ("hanging", wild))
        for number, speed in enumerate(speeds, start=1)
    ]
    for number in range(1, 6):
        assert pace.wants_round(number)
        clock.now += 10
        pace.round_ended(
            compare_entrants(frame_of([row for row in rows if row["round"] <= number], LAUNCHES), base="numpy")
        )

    spread = np.log(wild).std(ddof=1)
    assert pace.waits_for() == f"hanging eager's rounds differ by {spread:.1%}: about 5 more round(s)"


def test_nothing_is_waited_for_where_all_is_known(make_pace: Callable[..., Pace], clock: Clock) -> None:
    pace = make_pace()
    play(pace, clock, 1e-6)

    assert pace.waits_for() == ""


def test_a_short_round_may_fit_where_the_last_would_not(make_pace: Callable[..., Pace], clock: Clock) -> None:
    """What is left is of the beginning of a round; the shortest round decides whether there is one."""
    pace = make_pace(budget_s=100.0)
    for number, shortest_s in ((1, None), (2, 18.0)):
        assert pace.wants_round(number)
        assert pace.left_s == pytest.approx(100.0 - 40.0 * (number - 1))
        clock.now += 40.0
        pace.round_ended([standing("base", None, number), standing("other", 0.5, number)], shortest_s=shortest_s)

    assert pace.rounds_left() == 1
    assert pace.wants_round(3)
    clock.now += 15.0
    assert pace.left_s == pytest.approx(20.0)
    pace.round_ended([], shortest_s=18.0)
    assert not pace.wants_round(4)
    assert make_pace().left_s == float("inf")
