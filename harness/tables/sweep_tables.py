"""Tables of a sweep: its plan before it, its results after it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.text import Text

from harness.analysis.expected import Planned
from harness.tables.cells import as_interval, as_number
from harness.tables.fitting import FittingTable
from harness.tables.layout import make_columns, make_table
from harness.tables.run_tables import any_unverified, is_paired


def show_plan(console: Console, cells: Sequence[Planned]) -> None:
    """Print what each cell would do, and how long that would take."""
    table = make_table()
    make_columns(table, ["cell", "entrants"], ["rounds", "least", "at most"], None)
    for each in cells:
        mark = " ?" if each.expected.unknown else ""
        table.add_row(
            Text(each.name),
            Text(", ".join(each.labels)),
            f"{each.rounds}{'+' if each.more else ''}",
            duration(each.expected.least_s) + mark,
            duration(each.expected.most_s) + mark,
        )
    console.print(table)
    least, most = (sum(getattr(each.expected, name) for each in cells) for name in ("least_s", "most_s"))
    launches = sum(each.rounds * len(each.labels) for each in cells)
    console.print(
        f"{len(cells)} cell(s), {launches:,} timed launches at least: {duration(least)}, at most {duration(most)}, by "
        "the medians of earlier launches on this machine; verification and downloads not counted."
    )
    unknown = sorted({label for each in cells for label in each.expected.unknown})
    if unknown:
        console.print(f"? No earlier launch tells how long these take: {', '.join(unknown)}.")


def show_sweep(console: Console, rows: pd.DataFrame, *, conditions: Sequence[str] = ()) -> None:
    """Print a line for each entrant of each cell: speed, ratio to the cell's base, verdict, accuracy.

    Args:
        rows: as `harness.analysis.sweep_rows.read_cells`.
        conditions: what else must be known of the speeds (`harness.analysis.conditions`), a sentence each.
    """
    if rows.empty:
        return
    for hardware, of_kind in rows.groupby("hardware", sort=False):
        if rows["hardware"].nunique() > 1:
            console.print(Text(f"On {hardware}", style="bold"))
        console.print(_of_cells(of_kind))
    console.print("Ratios are within a cell, to its base; intervals of one cell hold together, those of all do not.")
    if (rows["nodes"] > 1).any():
        console.print("Of several nodes: the mean of the nodes' means; its interval speaks of these nodes.")
    for _, row in rows[rows["differ"].astype(bool)].iterrows():
        console.print(f"NODES DIFFER: the ratio of {row['label']} in cell {row['cell']} is not the same on all.")
    if any_unverified(rows):
        console.print("NOT VERIFIED: some of these were timed with --unverified.", style="bold")
    if (rows["data_set"] == "drawn-digits").any():
        console.print("DRAWN DIGITS, NOT MNIST: speeds compare, accuracies do not (docs/data.md).", style="bold")
    for sentence in conditions:
        console.print(Text(sentence, style="bold"))


def _of_cells(rows: pd.DataFrame) -> FittingTable:
    table, several = make_table(), (rows["nodes"] > 1).any()
    figures = [
        "images/s",
        "images/s\ninterval",
        "ratio",
        "ratio\ninterval",
        "test\nacc %",
        *(["nodes"] if several else []),
    ]
    make_columns(table, ["cell", "entrant"], figures, "verdict")
    last = 0
    for _, row in rows.iterrows():
        speed, ratio = ((row[f"{name}_low"], row[f"{name}_high"]) for name in ("train_images_per_s", "ratio"))
        table.add_row(
            "" if row["cell"] == last else str(row["cell"]),
            Text(row["label"]),
            as_number(row["train_images_per_s"], ",.0f"),
            as_interval(*speed, ",.0f"),
            as_number(row["ratio"], ".3f"),
            as_interval(*ratio, ".3f"),
            as_number(row["test_accuracy"] * 100, ".2f"),
            *([str(row["nodes"])] if several else []),
            Text("" if pd.isna(row["verdict"]) else f"{row['verdict']}{'' if is_paired(row) else ' *'}"),
        )
        last = row["cell"]
    return table


def show_by_column(console: Console, rows: pd.DataFrame, column: str) -> None:
    """Print the values of a column side by side, a table for each machine.

    Args:
        rows: as `harness.analysis.by_column.by_column`.
    """
    for _, of_machine in rows.groupby("machine_sha256", sort=False, dropna=False):
        console.print(Text(f"Training, steady, by {column}: {of_machine['machine'].iloc[0]}", style="bold"))
        table = make_table()
        make_columns(
            table, ["entrant", column], ["images/s", "images/s\ninterval", "ratio", "ratio\ninterval"], "verdict"
        )
        last = ""
        for row in of_machine.to_dict("records"):
            paired = pd.isna(row["paired"]) or bool(row["paired"])
            table.add_row(
                Text("" if row["entrant"] == last else row["entrant"]),
                Text(str(row["value"])),
                as_number(row["train_images_per_s"], ",.0f"),
                as_interval(row["train_images_per_s_low"], row["train_images_per_s_high"], ",.0f"),
                as_number(row["ratio"], ".3f"),
                as_interval(row["ratio_low"], row["ratio_high"], ".3f"),
                Text("" if pd.isna(row["verdict"]) else f"{row['verdict']}{'' if paired else ' *'}"),
            )
            last = row["entrant"]
        console.print(table)
    if (rows["paired"] == False).any():  # noqa: E712
        console.print("* between runs: not paired, and the machine may have changed since. Measure both in one run.")


def duration(seconds: float) -> str:
    """`0:05`, `12:30` or `3:20:00`: hours where there are any, minutes, seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
