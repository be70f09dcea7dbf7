"""Launches held against each other by one column: what is alike in all else, at each value of it.

They may be looked at part by part (`ByColumn`): of millions, no more are in memory at a time than of one part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.columns import codes_of, moments_by, together
from harness.analysis.comparison import SPEED
from harness.analysis.joining import MUST_AGREE
from harness.analysis.pairs import Launches, log_ratios, pair_up
from harness.analysis.statistics import Moments, family_level, verdict
from harness.errors import InputError, unknown
from harness.results.schema import ENTRANT
from harness.results.turn_times import TurnTimes
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


# What a launch is told from.
NEEDED = tuple(
    dict.fromkeys((*KEY, *BESIDE, "machine", "round", SPEED, "turn_step_us", "disturbed_turns", "batch_size"))
)


def by_column(timed: pd.DataFrame, column: str) -> pd.DataFrame:
    """Hold speeds against each other by one column.

    Rows of different machines never meet: the machine is part of what must be alike.

    Args:
        timed: rows of launches.csv that succeeded, count and were timed.
        column: one of COLUMNS.

    Returns:
        as `ByColumn.table`.

    Raises:
        InputError: as `ByColumn`.
    """
    found = ByColumn(column)
    found.add(found.look(timed, TurnTimes.of_cells(timed["turn_step_us"])))
    return found.table()


@dataclass
class _Group:
    """Launches that are alike in all but the column.

    Attributes:
        first: cells of the first of them.
        speeds: by value of the column, of logarithms of speeds.
        ratios: by value and the value that these are ratios to, of logarithms of the ratios of pairs.
    """

    first: dict[str, Any]
    speeds: dict[Any, Moments] = field(default_factory=dict)
    ratios: dict[tuple[Any, Any], Moments] = field(default_factory=dict)

    def add(self, other: _Group) -> None:
        """Take in what was found elsewhere of the same launches, or of others that are alike."""
        for mine, more in ((self.speeds, other.speeds), (self.ratios, other.ratios)):
            for key, moments in more.items():
                mine[key] = mine[key] + moments if key in mine else moments


@dataclass(frozen=True)
class Found:
    """What a part of the launches tells: groups by what they have in common, the seeds, values of the column."""

    groups: dict[tuple[str, ...], _Group]
    seeds: frozenset[Any]
    values: frozenset[Any]


class ByColumn:
    """Speeds held against each other by one column, of launches that come in parts.

    All launches of a run must come in the same part, because those of a round are pairs. Of each round the launch with
    the smallest value is what the others are held against; where that is not the group's smallest, the round tells
    nothing of ratios.
    """

    def __init__(self, column: str) -> None:
        """Begin without launches.

        Raises:
            InputError: no such column, or one that tells machines apart.
        """
        if column in ("machine", "machine_sha256"):
            raise InputError(
                f"Rows of different machines stand in no table together, so not --by {column}. See --apart."
            )
        if column not in COLUMNS:
            raise unknown("column to compare by", column, COLUMNS)
        self.column = column
        self._alike = [name for name in KEY if name not in (column, *ALONG.get(column, ()))]
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._seeds: frozenset[Any] = frozenset()
        self._values: frozenset[Any] = frozenset()

    def look(self, timed: pd.DataFrame, turns: TurnTimes) -> Found:
        """What a part tells; changes nothing, so that several threads may look at once.

        Args:
            timed: as for `by_column`.
            turns: of the same launches; `timed` need not have them.
        """
        seeds, values = (frozenset(timed[name].dropna().unique()) for name in ("seed", self.column))
        timed, turns = _having(timed, turns, self.column)
        if timed.empty:
            return Found({}, seeds, values)
        numbers, firsts = together([codes_of(timed[name])[0] for name in self._alike])
        names = [*dict.fromkeys((*ENTRANT, "seed", "machine", "machine_sha256", *self._alike))]
        cells = timed[names].iloc[firsts].astype(object).to_dict("records")
        groups = [_Group({str(name): cell for name, cell in row.items()}) for row in cells]
        codes, different = codes_of(timed[self.column])
        # Of a category some may be nowhere.
        order = np.argsort(np.array(different, dtype=object))
        ranks = np.argsort(order)[codes]
        sorts = [different[place] for place in order]
        cell, starts = together([numbers, ranks])
        for start, moments in zip(starts, moments_by(cell, np.log(timed[SPEED].to_numpy(float)))):
            groups[numbers[start]].speeds[sorts[ranks[start]]] = moments
        own, base = pair_up(timed, numbers, ranks)
        if len(own):
            logs = log_ratios(Launches.of(timed, turns), own, base)
            cell, starts = together([numbers[own], ranks[own], ranks[base]])
            for start, moments in zip(starts, moments_by(cell, logs)):
                pair = sorts[ranks[own[start]]], sorts[ranks[base[start]]]
                groups[numbers[own[start]]].ratios[pair] = moments
        keys = [tuple("" if pd.isna(each.first[name]) else str(each.first[name]) for name in self._alike)
                for each in groups]  # fmt: skip
        return Found(dict(zip(keys, groups)), seeds, values)

    def add(self, found: Found) -> None:
        """Take in what a part has told."""
        self._seeds |= found.seeds
        self._values |= found.values
        for key, group in found.groups.items():
            if key in self._groups:
                self._groups[key].add(group)
            else:
                self._groups[key] = group

    def table(self) -> pd.DataFrame:
        """All that was told.

        Returns:
            a row for each value of each group that is alike in all else and has several: `machine`, `machine_sha256`,
            `entrant` (without what the column says), `value`, speed and ratio with their limits, `verdict`, `paired`,
            `launches`. A group's first value, the smallest, has the ratio 1. Intervals of a group hold together.

        Raises:
            InputError: the column has the same value in all that is alike.
        """
        several_seeds = len(self._seeds) > 1 and self.column != "seed"
        rows = [
            row
            for group in self._groups.values()
            if len(group.speeds) > 1
            for row in _rows(group, self.column, several_seeds=several_seeds)
        ]
        if not rows:
            values = ", ".join(sorted({str(value)[:60] for value in self._values})) or "nothing"
            raise InputError(
                f"No two launches differ in {self.column} and are alike in all else: there is nothing to compare. In "
                f"{self.column} there is: {values}."
            )
        return pd.DataFrame(rows)


def _having(timed: pd.DataFrame, turns: TurnTimes, column: str) -> tuple[pd.DataFrame, TurnTimes]:
    """Launches of which the column is known."""
    known = timed[column].notna().to_numpy(bool)
    return (timed, turns) if known.all() else (timed[known], turns.of(known))


def _rows(group: _Group, column: str, *, several_seeds: bool) -> list[dict[str, Any]]:
    values: Sequence[Any] = sorted(group.speeds)
    first = group.first
    fields = {name: first[name] for name in ENTRANT} | dict.fromkeys((column, *ALONG.get(column, ())))
    words = [label_of(fields | {"backend": fields["backend"] or ""}).strip() or "all"]
    words += [f"seed {first['seed']}"] * several_seeds
    level, found = family_level(len(values) - 1), []
    for value in values:
        speed = group.speeds[value].interval()
        row: dict[str, Any] = {
            "machine": first["machine"], "machine_sha256": first["machine_sha256"], "entrant": " ".join(words),
            "column": column, "value": value, SPEED: speed.estimate, f"{SPEED}_low": speed.low,
            f"{SPEED}_high": speed.high, "ratio": 1.0, "launches": group.speeds[value].count,
        }  # fmt: skip
        if value != values[0]:
            pairs = group.ratios.get((value, values[0]))
            unpaired = group.speeds[value].over(group.speeds[values[0]], level=level)
            ratio = pairs.interval(level=level) if pairs else unpaired
            row |= {"ratio": ratio.estimate, "ratio_low": ratio.low, "ratio_high": ratio.high}
            row |= {"verdict": verdict(ratio), "paired": pairs is not None}
        found.append(row)
    return found
