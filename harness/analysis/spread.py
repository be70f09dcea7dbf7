"""What launches differ by, apart from what their turns do: more rounds mend the one, more turns the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.analysis.disturbed import kept, numbers_of

# The variance of a median of normal values over that of their mean.
OF_MEDIAN = math.pi / 2
# Between its quartiles a normal distribution has so many standard deviations.
QUARTILES = 1.349


@dataclass(frozen=True)
class Spread:
    """Variances of the logarithm of a launch's time against those beside it in its round.

    Attributes:
        turn: what one turn adds, before it is divided by how many of them the median is of.
        launch: what no number of turns takes away; 0 where turns alone explain how launches differ.
    """

    turn: float
    launch: float

    def of(self, turns: float) -> float:
        """Of a launch with so many turns."""
        return self.launch + self.turn / turns


def spread_of(launches: pd.DataFrame, *, least_rounds: int) -> Spread | None:
    """Tell the two apart, over all entrants.

    Each turn is held against the same turn of all others in its round: the mean over entrants is taken out, and with
    it what the machine did to all. What differs from round to round beyond what turns explain is the launches'.

    Args:
        launches: rows of launches.csv with `label`, of one run.
        least_rounds: in which all entrants must have the same number of turns.

    Returns:
        None where there are fewer such rounds, or one entrant only.
    """
    labels = launches["label"].nunique()
    rounds = [
        _apart(rows)
        for _, rows in launches.groupby("round")
        if len(rows) == labels and rows["turn_step_us"].notna().all()
    ]
    found = [each for each in rounds if each is not None and each.shape[1] > 1]
    if labels < 2 or len(found) < max(2, least_rounds):
        return None
    quartiles = np.array([np.subtract(*np.percentile(each, [75, 25], axis=1)) for each in found])
    turn = OF_MEDIAN * (quartiles / QUARTILES) ** 2
    counts = np.array([each.shape[1] for each in found])[:, None]
    medians = np.array([np.median(each, axis=1) for each in found])
    between = medians.var(axis=0, ddof=1).mean() - (turn / counts).mean()
    return Spread(float(turn.mean()), max(0.0, float(between)))


def _apart(rows: pd.DataFrame) -> np.ndarray | None:
    """Logarithms of a round's turns less their means over entrants, by label (entrants, turns); None where unlike."""
    rows = rows.sort_values("label")
    turns = [np.array(str(text).split(), float) for text in rows["turn_step_us"]]
    if len({len(each) for each in turns}) != 1:
        return None
    clean = kept(len(turns[0]), frozenset().union(*map(numbers_of, rows["disturbed_turns"])))
    logs = np.log(np.array(turns)[:, clean])
    apart: np.ndarray = logs - logs.mean(axis=0)
    return apart
