"""Which of a plan's rounds a folder has, and which of their rows count.

A round is whole or it is nothing: launches are compared with those of their own round, turn by turn, so one that was
made up for later would be paired with others of another hour. A round that was cut off is done again with all its
entrants, as a round of its own number; what is left of it stays in the tables and counts nowhere.

An entrant that fails leaves the run, and the rounds of the others are whole without it. A run that goes on (`--resume`)
tries it again, in the first round that lacks it; these rounds are done again as long as it does not fail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from harness.analysis.comparison import KEY
from harness.results.counted import counting
from harness.results.folder import RunFolder
from harness.runs.plan import Plan
from harness.worker.job import label_of


class Done:
    """The launches of a plan's entrants that are in a folder."""

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._folder = folder
        self._labels = frozenset(entrant.label for entrant in plan.entrants)
        # Of the file as it was when it was read last: several ask between two launches, and reading takes longest.
        self._state: tuple[int, ...] | None = None
        self._all, self._rows = pd.DataFrame(), pd.DataFrame()

    def _read(self) -> None:
        """Read launches.csv, if it is another file than last time: it is replaced whenever it changes."""
        state = None
        with contextlib.suppress(FileNotFoundError):
            found = (self._folder.path / "launches.csv").stat()
            state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if state is not None and state == self._state:
            return
        self._all = self._folder.read("launches")
        rows = counting(self._all)
        cells = [dict(zip(KEY, values)) for values in rows[KEY].itertuples(index=False, name=None)]
        labels = pd.Series([label_of(each) for each in cells], index=rows.index, dtype="string")
        rows = rows.assign(label=labels, plan_round=rows["plan_round"].fillna(rows["round"]))
        self._rows = rows[labels.isin(self._labels).to_numpy(bool)]
        self._state = state

    def rows(self) -> pd.DataFrame:
        """Launches that count, of the plan's entrants (a run may have earlier ones, see `harness.runs.resume`).

        Returns:
            rows of launches.csv with `label`, the entrant's, and `plan_round`, which older rows have as `round`; the
            same to all who ask, so nobody changes them.
        """
        self._read()
        return self._rows

    def epochs(self) -> pd.DataFrame:
        """Rows of epochs.csv of these launches."""
        rows, epochs = self.rows(), self._folder.read("epochs")
        places = set(zip(rows["round"], rows["position"]))
        return epochs[np.array([place in places for place in zip(epochs["round"], epochs["position"])], dtype=bool)]

    def lacks(self, plan_round: int, labels: Iterable[str]) -> bool:
        """Whether one of these entrants has no good launch in a round of the plan."""
        rows = self.rows()
        good = rows[(rows["plan_round"] == plan_round) & (rows["status"] == "ok")]
        return not set(labels) <= set(good["label"])

    def next_number(self) -> int:
        """The number of the round that is launched next: no row has it."""
        self._read()
        rounds = self._all["round"]
        return int(rounds.max()) + 1 if len(rounds) else 1

    def tidy(self) -> None:
        """Set right what a killed or interrupted run has left: half launches go, half rounds do not count."""
        self._folder.drop_unended_launches()
        rows = self.rows()
        gone: set[str] = set()
        cut = []
        for _, of_plan in rows.groupby("plan_round", sort=True):
            for number, launches in of_plan.groupby("round", sort=True):
                failed = set(launches["label"][launches["status"] == "failed"])
                if self._labels - gone - failed <= set(launches["label"]):
                    gone |= failed
                else:
                    cut.append(int(str(number)))
        self._folder.uncount(cut)
        again = self.rows().groupby("plan_round")["round"].nunique()
        for plan_round, rounds in again.items():
            if rounds > 1:
                self.settle(int(str(plan_round)))

    def settle(self, plan_round: int) -> None:
        """Of the rounds that were launched for one of the plan's, count only the last of those with most entrants."""
        rows = self.rows()
        rows = rows[rows["plan_round"] == plan_round]
        numbers = sorted(set(rows["round"].astype(int)))
        if len(numbers) > 1:
            good = rows[rows["status"] == "ok"].groupby("round")["label"].nunique()
            best = max(numbers, key=lambda number: (int(good.get(number, 0)), number))
            self._folder.uncount(number for number in numbers if number != best)
