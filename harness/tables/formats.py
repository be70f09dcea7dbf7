"""The headline table for other programs and for papers: CSV, Markdown, JSON, LaTeX."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from harness.analysis.limit import limit_shares
from harness.errors import unknown
from harness.results.folder import csv_of
from harness.tables import markdown
from harness.tables.run_tables import any_unverified, is_paired
from harness.visible import visible
from harness.worker.job import FORMS

# Columns of figures, and those that stand in the headline only where entrants differ in them.
RIGHT = {"images/s", "of limit", "ratio", "launches", "test accuracy"}
TELLING = (
    "run", "network", "data_set", "feed", "device", "dtype", "threads", "batch_size", "replicas", "environment",
    "variant",
)  # fmt: skip


def headline(summary: pd.DataFrame) -> pd.DataFrame:
    """The columns that people quote, as text: who, images/s with interval, ratio with interval, verdict, accuracy.

    Args:
        summary: rows of summary.csv, in the order in which they are to stand.
    """
    telling = [name for name in TELLING if summary[name].nunique(dropna=False) > 1]
    rows, shares = [], limit_shares(summary)
    for (_, row), share in zip(summary.iterrows(), shares, strict=True):
        cells = {name: _text(row[name]) for name in ("backend", "framework_version", "mode", *telling)}
        cells |= {
            "images/s": _number(row["train_images_per_s"], ",.0f"),
            "95 % interval": _interval(row, "train_images_per_s", ",.0f"),
            **({"of limit": _number(share, ".1%")} if shares.notna().any() else {}),
            "ratio": _number(row["ratio"], ".3f"),
            "its interval": _interval(row, "ratio", ".3f"),
            "verdict": _text(row["verdict"]) + ("" if is_paired(row) else " (unpaired)"),
            "launches": str(row["launches"]),
            "test accuracy": _number(row["test_accuracy"], ".2%"),
        }
        rows.append(cells)
    return pd.DataFrame(rows)


def caption(summary: pd.DataFrame) -> str:
    """What the headline leaves out because it is the same for all, and how its figures are to be read."""
    same = [
        FORMS.get(name, "{}").format(summary[name].iloc[0])
        for name in TELLING
        if name != "run"
        and summary[name].nunique(dropna=False) == 1
        and not pd.isna(summary[name].iloc[0])
        and not (name == "replicas" and summary[name].iloc[0] == 1)
    ]
    base = summary["base"].iloc[0]
    unverified = " NOT VERIFIED: some were timed with --unverified." if any_unverified(summary) else ""
    return (
        f"Training, steady: {', '.join([*same, str(summary['machine'].iloc[0])])}. Ratios are to {base}; all of them "
        f"hold together with 95 %.{unverified}"
    )


def as_csv(summary: pd.DataFrame, conditions: Sequence[str] = ()) -> str:
    """All of summary.csv's columns, and no line of anything else: who prints it says `conditions` elsewhere."""
    return csv_of(visible_cells(summary))


def visible_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with all text `visible`."""
    texts = [str(name) for name in frame.columns if frame[name].dtype == "string"]
    return frame.assign(**{name: frame[name].map(visible, na_action="ignore").astype("string") for name in texts})


def as_markdown(summary: pd.DataFrame, conditions: Sequence[str] = ()) -> str:
    """A table as GitHub and most others read it; below it its caption, and what the machine did."""
    table = headline(summary)
    lines = [markdown.row(row) for row in [list(table.columns), *table.to_numpy().tolist()]]
    rule = "| " + " | ".join("---:" if name in RIGHT else "---" for name in table.columns) + " |"
    said = [line for sentence in conditions for line in ("", f"**{markdown.plain(sentence)}**")]
    return "\n".join([lines[0], rule, *lines[1:], "", markdown.plain(caption(summary)), *said, ""])


def as_json(summary: pd.DataFrame, conditions: Sequence[str] = ()) -> str:
    """A list of summary.csv's rows; null where there is no value, and the text "inf" for never.

    Each has `conditions`, the sentences that hold for all of them.
    """
    said = {"conditions": [visible(sentence) for sentence in conditions]}
    rows = [{name: _plain(value) for name, value in row.items()} | said for row in summary.to_dict("records")]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def as_latex(summary: pd.DataFrame, conditions: Sequence[str] = ()) -> str:
    """A `table` with the rules of the package booktabs; its caption says what the machine did."""
    table = headline(summary)
    columns = "".join("r" if name in RIGHT else "l" for name in table.columns)
    table.columns = [_tex(name) for name in table.columns]
    under = " ".join([caption(summary), *conditions])
    return table.map(_tex).to_latex(index=False, escape=False, column_format=columns, caption=_tex(under))


# Each takes the rows of summary.csv, and what else must be known of them (`harness.analysis.conditions`).
WRITERS: dict[str, Callable[[pd.DataFrame, Sequence[str]], str]] = {
    "csv": as_csv,
    "markdown": as_markdown,
    "json": as_json,
    "latex": as_latex,
}
FORMATS = ("table", *WRITERS)


def check_format(name: str) -> None:
    """Refuse a format that there is none of.

    Raises:
        InputError: with those there are.
    """
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)


def _text(value: Any) -> str:
    return "-" if pd.isna(value) or value == "" else visible(str(value))


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else format(float(value), form)


def _interval(row: pd.Series, name: str, form: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "-" if pd.isna(low) or pd.isna(high) else f"{low:{form}}..{high:{form}}"


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(each, f"\\{each}" if each in "&%$#_{}" else each) for each in visible(text))


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    value = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(value, float) and math.isinf(value) else value
