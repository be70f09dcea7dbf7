"""Which rows count: not those of rounds that were cut off and done again."""

from __future__ import annotations

import pandas as pd


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
