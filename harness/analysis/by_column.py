"""Launches held against each other by one column: what is alike in all else, at each value of it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.analysis.comparison import SPEED, are_paired, ratio_of
from harness.analysis.joining import MUST_AGREE
from harness.analysis.statistics import family_level, mean_of_logs, verdict
from harness.errors import InputError, unknown
from harness.results.schema import ENTRANT
from harness.worker.job import label_of

# Columns that can be compared by: what an entrant is, and what else a launch was of.
BESIDE = (
    "recipe",
    "seed",
    "until",
    "run",
    "python_version",
    "packages_sha256",
    "layout",
    "fast_math",
    "optimizer",
    "compiler",
)
COLUMNS = (*ENTRANT, *BESIDE)
# What goes with a column: who compares networks has other recipes and images, too.
ALONG: dict[str, tuple[str, ...]] = {
    "network": ("recipe", "data_set", "data_sha256"), "recipe": ("data_set", "data_sha256"),
    "data_set": ("data_sha256",), "backend": ("mode", "framework_version", "variant"),
    "framework_version": ("variant",), "variant": ("framework_version",),
    "environment": ("controls_sha256", "threads"), "device": ("controls_sha256",),
}  # fmt: skip
KEY = (*ENTRANT, *(name for name in MUST_AGREE if name not in ENTRANT), "seed")


def by_column(timed: pd.DataFrame, column: str) -> pd.DataFrame:
    """Hold speeds against each other by one column.

    Rows of different machines never meet: the machine is part of what must be alike.

    Args:
        timed: rows of launches.csv that succeeded, count and were timed.
        column: one of COLUMNS.

    Returns:
        a row for each value of each group that is alike in all else and has several: `machine`, `machine_sha256`,
        `entrant` (without what the column says), `value`, speed and ratio with their limits, `verdict`, `paired`,
        `launches`. A group's first value, the smallest, has the ratio 1. Intervals of a group hold together.

    Raises:
        InputError: no such column, one that tells machines apart, or one with the same value in all that is alike.
    """
    if column in ("machine", "machine_sha256"):
        raise InputError(f"Rows of different machines stand in no table together, so not --by {column}. See --apart.")
    if column not in COLUMNS:
        raise unknown("column to compare by", column, COLUMNS)
    alike = [name for name in KEY if name not in (column, *ALONG.get(column, ()))]
    keys = timed[alike].astype("string").fillna("")
    rows = []
    for _, group in timed.groupby([keys[name] for name in alike], sort=False):
        if group[column].nunique(dropna=True) > 1:
            rows += _rows(group, column, several_seeds=timed["seed"].nunique() > 1 and column != "seed")
    if not rows:
        values = ", ".join(sorted({str(value)[:60] for value in timed[column].dropna()})) or "nothing"
        raise InputError(
            f"No two launches differ in {column} and are alike in all else: there is nothing to compare. In {column} "
            f"there is: {values}."
        )
    return pd.DataFrame(rows)


def _rows(group: pd.DataFrame, column: str, *, several_seeds: bool) -> list[dict[str, Any]]:
    values = sorted(group[column].dropna().unique())
    first = group.iloc[0]
    fields = {name: first[name] for name in ENTRANT} | dict.fromkeys((column, *ALONG.get(column, ())))
    words = [label_of(fields | {"backend": fields["backend"] or ""}).strip() or "all"]
    words += [f"seed {first['seed']}"] * several_seeds
    level, found = family_level(len(values) - 1), []
    base = group[(group[column] == values[0]).fillna(False).to_numpy(bool)]
    for value in values:
        own = group[(group[column] == value).fillna(False).to_numpy(bool)]
        speed = mean_of_logs(own[SPEED].to_numpy(float))
        row: dict[str, Any] = {
            "machine": first["machine"], "machine_sha256": first["machine_sha256"], "entrant": " ".join(words),
            "column": column, "value": value, SPEED: speed.estimate, f"{SPEED}_low": speed.low,
            f"{SPEED}_high": speed.high, "ratio": 1.0, "launches": len(own),
        }  # fmt: skip
        if value is not values[0]:
            ratio = ratio_of(own, base, level=level)
            row |= {"ratio": ratio.estimate, "ratio_low": ratio.low, "ratio_high": ratio.high}
            row |= {"verdict": verdict(ratio), "paired": are_paired(own, base)}
        found.append(row)
    return found
