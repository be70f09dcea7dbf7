"""Launches of a results store, compared part by part: of millions of rows few are in memory at a time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.analysis.by_column import NEEDED, ByColumn, Found
from harness.analysis.conditions import NEEDED as OF_CONDITIONS
from harness.analysis.conditions import Told
from harness.errors import InputError
from harness.results.store import Store
from harness.results.turn_times import TurnTimes


def by_column_of(store: Path, column: str) -> tuple[pd.DataFrame, Told]:
    """Hold the speeds of a store's launches against each other by one column.

    Returns:
        as `ByColumn.table`, and what must be known of these launches.

    Raises:
        InputError: as `ByColumn`, or as `Store.each_part`.
    """
    found, told = ByColumn(column), list[Told]()

    def look(timed: pd.DataFrame, turns: TurnTimes) -> tuple[Found, Told]:
        return found.look(timed, turns), Told.of(timed, turned=turns.counts > 0)

    for of_part, said in Store(store).each_part([*NEEDED, *OF_CONDITIONS], look):
        found.add(of_part)
        told.append(said)
    if not any(said.launches for said in told):
        raise InputError(f"None of the runs in {store} has a launch that succeeded: there is nothing to compare.")
    return found.table(), Told.joined(told)
