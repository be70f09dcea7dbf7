"""How many turns the launches of a round have: time is shared between turns and rounds by what each costs and tells.

A round costs what its launches need to start, to warm up and to be audited, however many turns they have. So few turns
waste starts; many waste turns, once launches differ by more than what turns leave uncertain. With s turns' cost and c
the rest's, a run tells most for its time with sqrt(c / s * turn / launch) turns a round, where these are the variances
of both (Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time", section 6). Where a budget ends the run,
whole rounds must fill it: then the number of rounds is looked for that leaves the smallest variance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from harness.analysis.spread import Spread, spread_of

# Before so many rounds nothing is known of how launches differ.
LEAST_ROUNDS = 3
# A round has no more than so many times the turns that the first ones have: more would be a guess on thin ice, and
# rounds are what intervals are made of.
MOST_TIMES = 4
# Of what is left of a budget, rounds are planned to take so much: they do not take exactly as long as the last ones.
OF_BUDGET = 0.97


@dataclass(frozen=True)
class Cost:
    """What a round takes, seconds.

    Attributes:
        fixed_s: beside its turns.
        turn_s: a turn of all its launches.
    """

    fixed_s: float
    turn_s: float

    def of(self, turns: float) -> float:
        """Of a round with so many turns."""
        return self.fixed_s + turns * self.turn_s


class Allocation:
    """Counts what rounds take, and shares out the time that is left.

    Attributes:
        cost: of the last round that was timed; None before there was one.
        least: turns that the last round had to have; 0 before there was one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.cost: Cost | None = None
        self.least = 0
        self._clock = clock
        self._began = self._turns_began = self._turns_ended = 0.0
        self._turns = 0

    def round_begins(self) -> None:
        """A round begins to be timed."""
        self._began = self._clock()
        self._turns = 0

    def turns_begin(self) -> None:
        """Its launches are warm."""
        self._turns_began = self._clock()

    def turns_end(self, turns: int) -> None:
        """They have had so many."""
        self._turns, self._turns_ended = turns, self._clock()

    def round_ends(self) -> None:
        """Its launches have ended."""
        if self._turns:
            turns_s = self._turns_ended - self._turns_began
            self.cost = Cost(self._clock() - self._began - turns_s, turns_s / self._turns)

    @property
    def shortest_s(self) -> float | None:
        """What a round takes at the least; None before there was one."""
        return self.cost.of(self.least) if self.cost and self.least else None

    def turns(self, least: int, launches: pd.DataFrame, *, left_s: float = math.inf) -> int:
        """How many turns the next round has.

        Args:
            least: that it has in any case.
            launches: those of the run so far that count, rows of launches.csv with `label`.
            left_s: seconds from the beginning of this round to the end of the budget; infinity for none.
        """
        self.least = least
        spread = spread_of(launches, least_rounds=LEAST_ROUNDS)
        if spread is None or self.cost is None:
            return least
        most = MOST_TIMES * least
        wanted = fill(spread, self.cost, left_s, least, most) if math.isfinite(left_s) else best(spread, self.cost)
        return round(min(max(wanted, least), most))


def best(spread: Spread, cost: Cost) -> float:
    """Turns with which a run tells most for its time; infinity where launches do not differ."""
    if not spread.launch or cost.turn_s <= 0:
        return math.inf
    return math.sqrt(cost.fixed_s / cost.turn_s * spread.turn / spread.launch)


def fill(spread: Spread, cost: Cost, left_s: float, least: int, most: int) -> float:
    """Turns of rounds of one length that fill the time that is left and leave the smallest variance."""
    if cost.turn_s <= 0:
        return math.inf
    found, smallest = float(least), math.inf
    rounds = 1
    while (turns := (OF_BUDGET * left_s / rounds - cost.fixed_s) / cost.turn_s) >= least:
        turns = min(turns, most)
        if spread.of(turns) / rounds < smallest:
            found, smallest = turns, spread.of(turns) / rounds
        rounds += 1
    return found
