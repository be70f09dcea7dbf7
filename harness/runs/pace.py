"""When a run has enough rounds: precise enough, out of budget, or as many as were asked for; and how many are left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from harness.analysis.comparison import Comparison, paired_spread
from harness.analysis.statistics import guard, precise_enough, width
from harness.runs.plan import Plan


class Pace:
    """Decides whether another round is wanted, and guesses how many there will be.

    Attributes:
        rounds: that have ended.
        found: how the entrants stand after the last of them.
        ending: why no more rounds are wanted, a sentence; empty while they are.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        begun: int = 0,
        spent_s: float = 0.0,
        round_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count.

        Args:
            begun: rounds that an earlier part of the run, which is being resumed, has launches of.
            spent_s: by those launches.
            round_s: that one of those rounds took.
        """
        self.plan = plan
        self.rounds = 0
        self.found: list[Comparison] = []
        self.ending = ""
        self._clock = clock
        self._start = clock() - spent_s
        self._round_start = clock()
        self._begun = begun
        self._round_s = round_s
        self._shortest_s: float | None = None
        # A guess from few rounds is a wild one: what is said of it follows it by half, on the scale of ratios.
        self._wanted = 0.0

    @property
    def spent_s(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._start

    @property
    def widest(self) -> float:
        """Width of the widest interval of a comparison, as a share of its ratio; infinity where one has none yet."""
        return max((width(each.ratio) for each in self._compared if each.ratio), default=math.inf)

    @property
    def _compared(self) -> list[Comparison]:
        """Those whose precision is waited for: not the limit, which nobody chooses."""
        return [each for each in self.found if not each.is_limit] or self.found

    @property
    def compares(self) -> bool:
        """Whether there is anything to compare."""
        return len(self._compared or self.plan.entrants) > 1

    def wants_round(self, number: int) -> bool:
        """Whether the round of this number should begin; where not, `ending` says why."""
        plan = self.plan
        self._round_start = self._clock()
        if number <= self._begun:
            return True
        if number > plan.most_rounds:
            self.ending = f"All {plan.most_rounds} round(s) are done."
        elif number > plan.rounds and not self.compares:
            self.ending = f"{self.rounds} rounds; there is nothing to compare."
        elif number > plan.rounds and self._is_precise():
            self.ending = f"{self.rounds} rounds: every interval is narrower than {plan.precision:.1%} of its ratio."
        elif number > 1 and plan.budget_s and self.spent_s + self._least_s > plan.budget_s:
            self.ending = self._out_of_budget()
        return not self.ending

    @property
    def left_s(self) -> float:
        """Seconds from the beginning of this round to the end of the budget; infinity without one."""
        return self.plan.budget_s - (self._round_start - self._start) if self.plan.budget_s else math.inf

    @property
    def _least_s(self) -> float:
        """What one more round takes at the least."""
        return self._round_s if self._shortest_s is None else min(self._round_s, self._shortest_s)

    def round_ended(self, found: list[Comparison], *, shortest_s: float | None = None) -> None:
        """Count a round.

        Args:
            found: how the entrants stand now.
            shortest_s: that a round takes at the least; None for as long as this one.
        """
        self.rounds += 1
        self.found = found
        self._shortest_s = shortest_s
        took = max(0.0, self._clock() - self._round_start)
        # What was launched of a round before it was cut short took no time now.
        self._round_s = max(self._round_s, took) if self.rounds <= self._begun else took
        if self._is_open and self.rounds >= self.plan.rounds:
            self._wanted = self._calm(self._rounds_until_precise())

    @property
    def _is_open(self) -> bool:
        """Whether there may be more than the least rounds."""
        return bool(self.plan.precision and self.compares and self.plan.most_rounds > self.plan.rounds)

    @property
    def may_be_more(self) -> bool:
        """Whether nobody can say yet how many rounds more than the least there will be."""
        return self._is_open and self.rounds < self.plan.rounds

    def _calm(self, guess: int) -> float:
        """What is said of a guess of how many rounds there will be in all."""
        if self._is_precise():
            return self.rounds
        calm = math.sqrt(self._wanted * guess) if self._wanted else guess
        return max(calm, self.rounds + 1)

    def rounds_left(self) -> int:
        """How many rounds more there will be: a guess, once the least are over from the widest interval."""
        left = max(0, math.ceil(max(self.plan.rounds, self._wanted)) - self.rounds)
        if self.plan.budget_s and self._round_s:
            left_s = max(0.0, self.plan.budget_s - self.spent_s)
            left = min(left, max(int(left_s / self._round_s), left_s >= self._least_s))
        return left

    def title(self, number: int) -> str:
        """Of the round that begins: `round 2 of 5`, and as much as is known where their number is open."""
        if number <= self.plan.rounds:
            return f"round {number} of {self.plan.rounds}{' or more' * self._is_open}"
        return f"round {number} of about {max(number, self.rounds + self.rounds_left())}"

    def waits_for(self) -> str:
        """What more rounds would be for: the entrant that is known least, what it spreads by, how many there may be."""
        apart = [(width(each.ratio), each) for each in self._compared if each.ratio]
        if not apart or not self._is_open or self.may_be_more or self._is_precise():
            return ""
        least = max(apart, key=lambda pair: pair[0])[1]
        base = next(each for each in self.found if each.ratio is None)
        spread, left = paired_spread(least.launches, base.launches), self.rounds_left()
        if spread is None or left < 1:
            return ""
        return f"{least.label}'s rounds differ by {spread:.1%}: about {left} more round(s)"

    def _rounds_until_precise(self) -> int:
        """How many rounds there will be in all, if widths go with one over the root of their number."""
        for number in range(max(self.rounds, 1), self.plan.most_rounds):
            width = self.widest * math.sqrt(self.rounds / number) * guard(number, len(self._compared) - 1)
            if width <= self.plan.precision:
                return number
        return self.plan.most_rounds

    def _is_precise(self) -> bool:
        ratios = [each.ratio for each in self._compared if each.ratio]
        return self.plan.precision > 0 and len(ratios) > 0 and precise_enough(ratios, precision=self.plan.precision)

    def _out_of_budget(self) -> str:
        sentence = f"The budget of {self.plan.budget_s:g} s ended after {self.rounds} round(s)"
        if not self.compares or not math.isfinite(self.widest):
            return f"{sentence}."
        wanted = self.plan.precision
        return f"{sentence}; the widest interval is {self.widest:.1%} of its ratio, {wanted:.1%} was wanted."
