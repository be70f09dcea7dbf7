"""How speed grows with threads, replicas and the batch size: ratios of entrants that differ in nothing else."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.analysis.comparison import KEY, SPEED, ratio_of
from harness.analysis.statistics import family_level, mean_of_logs
from harness.results.counted import succeeded
from harness.results.folder import frame_of
from harness.results.schema import SCALING, SCHEMA_VERSION

DIMENSIONS = ("threads", "replicas", "batch_size")
# Of which twice as many could be twice as fast.
WORKERS = ("threads", "replicas")


def scaling(launches: pd.DataFrame) -> pd.DataFrame:
    """A row for each entrant that has a smaller sibling, and for that sibling.

    Ratios are paired by round, as all ratios of a run; all of them hold together with 95 %.

    Args:
        launches: rows of launches.csv; those that failed, do not count or were not timed are passed over.
    """
    good = succeeded(launches)
    good = good[good[SPEED].notna()]
    families = [
        (dimension, [group for _, group in family.groupby(dimension)])
        for dimension in DIMENSIONS
        for _, family in good.groupby(["run", *(name for name in KEY if name != dimension)], dropna=False, sort=False)
        if family[dimension].nunique() > 1
    ]
    level = family_level(sum(len(groups) - 1 for _, groups in families))
    return frame_of([_row(each, groups[0], d, level) for d, groups in families for each in groups], SCALING)


def _row(group: pd.DataFrame, base: pd.DataFrame, dimension: str, level: float) -> dict[str, Any]:
    first = group.iloc[0]
    row = {name: first[name] for name in ("run", *KEY)} | {
        "schema_version": SCHEMA_VERSION,
        "dimension": dimension,
        "base_value": base[dimension].iloc[0],
        SPEED: mean_of_logs(group[SPEED].to_numpy(float)).estimate,
    }
    if group is base:
        return row | {"ratio": 1.0} | ({"efficiency": 1.0} if dimension in WORKERS else {})
    ratio = ratio_of(group, base, level=level)
    found = {"": ratio.estimate, "_low": ratio.low, "_high": ratio.high}
    row |= {f"ratio{end}": value if value == value else None for end, value in found.items()}
    if dimension in WORKERS:
        times = first[dimension] / row["base_value"]
        row |= {f"efficiency{end}": value / times if value == value else None for end, value in found.items()}
    return row
