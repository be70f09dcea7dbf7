"""What a page is made of: tables of cells, figures as Plotly's own JSON, and small helpers for both."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from harness.report.reading import Entrant
from harness.visible import visible

MISSING = "–"  # noqa: RUF001
# Pixels of one entrant in a figure with a row for each, and of what stands around the rows.
ROW, AROUND = 26, 90
HEIGHT = 420


@dataclass(frozen=True)
class Cell:
    """What people read, what a column is sorted by (None: behind everything), and where a press on it leads."""

    text: str
    value: float | str | None = None
    link: str = ""

    @property
    def sort(self) -> str:
        """What the page sorts numbers by, as JavaScript reads it; empty where there is none."""
        if self.value is None:
            return ""
        return "Infinity" if self.value == math.inf else str(self.value)


@dataclass(frozen=True)
class Row:
    """A row of cells; `entrant` is the number it is filtered by, None for a row that always stays."""

    cells: list[Cell]
    entrant: int | None = None


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row. `marked`: the mark of the row's entrant stands before its name."""

    headers: list[str]
    rows: list[Row]
    caption: str
    marked: bool = True

    @property
    def words(self) -> list[bool]:
        """Of each column, whether it has words, which stand on the left, or figures."""
        columns = zip(*(row.cells for row in self.rows)) if self.rows else ()
        return [any(isinstance(cell.value, str) for cell in cells) for cells in columns] or [False] * len(self.headers)

    def filled(self) -> Table:
        """The table without columns in which nothing is."""
        kept = [any(row.cells[place].value is not None for row in self.rows) for place in range(len(self.headers))]
        rows = [replace(row, cells=list(itertools.compress(row.cells, kept))) for row in self.rows]
        return replace(self, headers=list(itertools.compress(self.headers, kept)), rows=rows)


@dataclass(frozen=True)
class Key:
    """A line of a legend: the entrant whose mark it is, what it says, and the entrants of which one must be shown."""

    mark: int
    label: str
    entrants: list[int]


@dataclass(frozen=True)
class Figure:
    """A figure: traces and layout as Plotly's JSON has them, and the same in words and in a table.

    A trace's meta has `entrant`, the number of the entrant that it is of, or `entrants`, one for each of its points:
    what the page leaves out when it is filtered.

    Attributes:
        name: of the file that it is exported to.
        alt: what is to be seen, in a sentence, with the figures that matter.
        rows: whether each entrant has a row, so that the height depends on their number.
        half: whether it stands beside another one where the page is wide.
        legend: marks that are to be explained beside it; of a figure with a row for each entrant, none.
    """

    name: str
    title: str
    alt: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    table: Table
    rows: bool = False
    half: bool = False
    legend: list[Key] = field(default_factory=list)


def number(value: Any, form: str, *, scale: float = 1.0) -> Cell:
    """A figure as a cell; missing, NaN or infinite ones have a word of their own."""
    if value is None or pd.isna(value):
        return Cell(MISSING)
    found = float(value) * scale
    return Cell(format(found, form) if math.isfinite(found) else "never", found)


def interval(low: Any, high: Any, form: str) -> Cell:
    """An interval as a cell, sorted by its lower end."""
    if pd.isna(low) or pd.isna(high):
        return Cell(MISSING)
    return Cell(f"{float(low):{form}} – {float(high):{form}}", float(low))  # noqa: RUF001


def text(value: Any) -> Cell:
    """A word as a cell."""
    return Cell(MISSING) if value is None or pd.isna(value) or value == "" else Cell(str(value), str(value))


def span(least: Any, most: Any, form: str, unit: str) -> str:
    """`from 1.0 to 2.0 s`, or `1.0 s` where that is all there is."""
    first, last = format(float(least), form), format(float(most), form)
    return f"{first} {unit}" if first == last else f"from {first} to {last} {unit}"


def plain(label: str) -> str:
    """A text that Plotly shows as it is: Plotly reads a few HTML tags, links among them."""
    return html.escape(visible(label), quote=False)


def digits(values: Iterable[Any], count: int = 6) -> list[float | None]:
    """Numbers for a figure with so many significant digits, which keeps the page small; None for what is missing."""
    return [None if pd.isna(value) or math.isinf(value) else float(f"{float(value):.{count}g}") for value in values]


def row_layout(entrants: Sequence[Entrant], title: str, **xaxis: Any) -> dict[str, Any]:
    """The layout of a figure that has a row for each of these entrants, in this order."""
    labels = [plain(each.label) for each in entrants]
    return {
        "height": AROUND + ROW * len(labels),
        "margin": {"l": 10, "r": 16, "t": 10, "b": 50},
        "xaxis": {"title": {"text": title}, "automargin": True, "zeroline": False} | xaxis,
        "yaxis": {"categoryorder": "array", "categoryarray": labels, "range": [len(labels) - 0.5, -0.5],
                  "automargin": True, "type": "category", "showgrid": True},
        "hovermode": "closest",
        "showlegend": False,
        "meta": {"labels": {str(each.number): label for each, label in zip(entrants, labels)}},
    }  # fmt: skip


def line_layout(x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """The layout of a figure with two axes of numbers."""
    # Without standing off, a title is written over the labels of its ticks.
    x, y = (axis | {"title": {"standoff": 10} | axis["title"]} for axis in (x, y))
    return {
        "height": HEIGHT,
        "margin": {"l": 10, "r": 20, "t": 10, "b": 50},
        "xaxis": {"automargin": True, "zeroline": False} | x,
        "yaxis": {"automargin": True, "zeroline": False} | y,
        "hovermode": "closest",
        "showlegend": False,
        "meta": {},
    }


def log_axis(values: Iterable[float | None]) -> dict[str, Any]:
    """A logarithmic axis over these values, labelled at 1, 2 and 5 times powers of ten; linear where they are close."""
    known = [value for value in values if value]
    if not known or max(known) < 4 * min(known):
        return {"tickformat": ",~g", "rangemode": "tozero"}
    # Round numbers on both sides of the values, a little beyond.
    low, high = math.log10(min(known)) - 0.08, math.log10(max(known)) + 0.08
    steps = (1, 2, 5) if high - low < 2 else (1, 3) if high - low < 3 else (1,)
    ticks = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
    return {"type": "log", "range": [low, high], "tickvals": ticks, "ticktext": [f"{tick:,.12g}" for tick in ticks]}


def named(report_entrants: Sequence[Entrant], numbers: Iterable[Any]) -> list[Entrant]:
    """The entrants that have one of these numbers, in the order of the report."""
    wanted = {int(value) for value in numbers}
    return [each for each in report_entrants if each.number in wanted]


def legend_of(entrants: Sequence[Entrant]) -> list[Key]:
    """A line for each of these entrants."""
    return [Key(each.number, each.label, [each.number]) for each in entrants]
