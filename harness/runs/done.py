"""Which of a plan's rounds a folder has, and which of their rows count.

A round is whole or it is nothing: launches are compared with those of their own round, turn by turn, so one that was
made up for later would be paired with others of another hour. A round that was cut off is done again with all its
entrants, as a round of its own number; what is left of it stays in the tables and counts nowhere.

An entrant that fails leaves the run, and the rounds of the others are whole without it. A run that goes on (`--resume`)
tries it again, in the first round that lacks it; these rounds are done again as long as it does not fail.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from harness.results.counted import counting, cut_rounds, with_labels
from harness.results.folder import RunFolder
from harness.runs.plan import Plan


class Done:
    """The launches of a plan's entrants that are in a folder."""

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._folder = folder
        self._labels = frozenset(entrant.label for entrant in plan.entrants)
        # Which file it was made of, and what `rows` has made of it: it is asked for a dozen times a round.
        self._known: tuple[object, pd.DataFrame] | None = None

    def rows(self) -> pd.DataFrame:
        """Launches that count, of the plan's entrants (a run may have earlier ones, see `harness.runs.resume`).

        Returns:
            rows of launches.csv with `label`, the entrant's, and `plan_round`, which older rows have as `round`; not to
            be changed.
        """
        state = self._folder.state("launches")
        if self._known is None or self._known[0] != state:
            rows = with_labels(counting(self._folder.read("launches")))
            self._known = state, rows[rows["label"].isin(self._labels).to_numpy(bool)]
        return self._known[1]

    def timed(self) -> pd.DataFrame:
        """The launches of `rows` that are of rounds which are timed, where the plan times any."""
        rows = self.rows()
        return rows[(rows["plan_round"] > 0).to_numpy(bool)]

    def lacks(self, plan_round: int, labels: Iterable[str]) -> bool:
        """Whether one of these entrants has no good launch in a round of the plan."""
        rows = self.rows()
        good = rows["label"][(rows["plan_round"] == plan_round) & (rows["status"] == "ok")]
        return not set(labels) <= set(good)

    def next_number(self) -> int:
        """The number of the round that is launched next: no row has it."""
        rounds = self._folder.read("launches")["round"]
        return int(rounds.max()) + 1 if len(rounds) else 1

    def tidy(self) -> None:
        """Set right what a killed or interrupted run has left: half launches go, half rounds do not count."""
        self._folder.drop_unended_launches()
        self._folder.uncount(cut_rounds(self.rows(), self._labels))
        again = self.rows().groupby("plan_round")["round"].nunique()
        for plan_round, rounds in again.items():
            if rounds > 1:
                self.settle(int(str(plan_round)))

    def settle(self, plan_round: int) -> None:
        """Of the rounds that were launched for one of the plan's, count only the last of those with most entrants."""
        rows = self.rows()[["plan_round", "round", "label", "status"]]
        rows = rows[rows["plan_round"] == plan_round]
        numbers = sorted(set(rows["round"].astype(int)))
        if len(numbers) > 1:
            good = rows[rows["status"] == "ok"].groupby("round")["label"].nunique()
            best = max(numbers, key=lambda number: (int(good.get(number, 0)), number))
            self._folder.uncount(number for number in numbers if number != best)
