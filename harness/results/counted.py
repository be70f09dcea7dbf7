"""Which rows count: those of whole rounds, not those of rounds that were cut off, done again or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from harness.results.schema import ENTRANT
from harness.worker.job import label_of

_PLACE = ("plan_round", "round", "label", "status")


def counting(launches: pd.DataFrame) -> pd.DataFrame:
    """Rows of launches.csv that figures may be made of, and failures told from."""
    return launches[launches["counted"].fillna(True).to_numpy(bool)]


def succeeded(launches: pd.DataFrame) -> pd.DataFrame:
    """Of those, the launches that succeeded."""
    rows = counting(launches)
    return rows[rows["status"] == "ok"]


def of_launches(rows: pd.DataFrame, launches: pd.DataFrame) -> pd.DataFrame:
    """The rows of another table that belong to these launches."""
    places = set(zip(launches["run"], launches["round"], launches["position"]))
    belongs = [place in places for place in zip(rows["run"], rows["round"], rows["position"])]
    return rows[pd.array(belongs, dtype="boolean").to_numpy(bool)]


def with_labels(launches: pd.DataFrame) -> pd.DataFrame:
    """Rows of launches.csv with `label`, the entrant's, and `plan_round`, which older rows have as `round`."""
    names = list(ENTRANT)
    cells = [dict(zip(names, values)) for values in launches[names].itertuples(index=False, name=None)]
    labels = pd.Series([label_of(each) for each in cells], index=launches.index, dtype="string")
    return launches.assign(label=labels, plan_round=launches["plan_round"].fillna(launches["round"]))


def cut_rounds(launches: pd.DataFrame, entrants: frozenset[str]) -> list[int]:
    """Numbers of the rounds that were cut off: an entrant has no row in them, though it had not left the run.

    Args:
        launches: of one plan's entrants, that count; as `with_labels`.
        entrants: the labels of all of the plan's.
    """
    # Round -> label -> whether that launch failed.
    rounds: dict[tuple[int, int], dict[str, bool]] = {}
    for plan_round, number, label, status in zip(*(launches[name] for name in _PLACE)):
        of_round = rounds.setdefault((int(plan_round), int(number)), {})
        of_round[label] = of_round.get(label, False) or status == "failed"
    gone: set[str] = set()
    cut = []
    # Trainings, whose numbers are below zero, come after all that is timed.
    for place in sorted(rounds, key=lambda each: (each[0] < 0, abs(each[0]), each[1])):
        failed = {label for label, has_failed in rounds[place].items() if has_failed}
        if entrants - gone - failed <= set(rounds[place]):
            gone |= failed
        else:
            cut.append(place[1])
    return cut


def whole(launches: pd.DataFrame, plans: Iterable[frozenset[str]]) -> tuple[pd.DataFrame, bool]:
    """Of rows that count, those of whole rounds; all of them where no round is whole.

    A kill leaves the rows of a round that it cut as they were, and only a resume can mark them: whoever reads them
    before that must see for himself.

    Args:
        plans: the labels of the entrants of each plan that the run was carried out by.

    Returns:
        these rows, and whether a round is whole.
    """
    rows = with_labels(launches)
    cut: set[int] = set()
    for entrants in plans:
        cut.update(cut_rounds(rows[rows["label"].isin(entrants).to_numpy(bool)], entrants))
    left = launches[~launches["round"].isin(cut).to_numpy(bool)]
    return (left, True) if len(left) or launches.empty else (launches, False)


def entrants_of(environment: Mapping[str, Any]) -> list[frozenset[str]]:
    """The labels of the entrants of each plan in environment.json; without those that nobody can read."""
    parts = [environment, *(environment.get("earlier") or [])]
    plans = [part.get("plan") for part in parts if isinstance(part, dict)]
    found = [plan.get("entrants") for plan in plans if isinstance(plan, dict)]
    return [
        frozenset(label_of({name: each.get(name) for name in ENTRANT}) for each in entrants if isinstance(each, dict))
        for entrants in found
        if isinstance(entrants, list)
    ]
