"""The history of entrants as people read it: in a terminal, and as Markdown."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.tables import markdown
from harness.tables.cells import as_interval, as_number, as_text
from harness.tables.fitting import FittingTable
from harness.tables.layout import make_columns, make_table
from harness.tables.run_tables import is_paired

BARS = "▁▂▃▄▅▆▇█"
# Under so many points a line of bars shows nothing.
LEAST_BARS = 3
# Of what changed, so much is shown in a terminal; the other formats have all.
MOST_CHANGES = 8
MOST_NAMES = 4
NOTES = (
    "ratio: to the run before (within a run: to the version before, paired by turn).",
    "* Between runs nothing is paired and the machine drifts from hour to hour: where",
    "nothing is listed as changed, a difference is noise or the machine. 'Against'",
    "takes out the drift that all entrants share. Where one of those entrants has",
    "itself become slower, the others look faster there. What changed at the same",
    "time need not be the cause. Each interval is 95 %: one of twenty is wrong.",
)


def show(console: Console, frames: list[pd.DataFrame]) -> None:
    """Print the runs, then each entrant that is in several of them, then those that are in one only.

    Args:
        frames: one an entrant, with the columns of `harness.results.schema.HISTORY`.
    """
    everything = pd.concat(frames, ignore_index=True)
    runs = everything.drop_duplicates("run").sort_values(["started_utc", "run"], kind="stable")
    numbers = {run: str(number) for number, run in enumerate(runs["run"], start=1)}
    first = runs.iloc[0]
    console.print(Text(f"{len(runs)} run(s) on {first['machine']}", style="bold"))
    console.print(_runs_table(runs, numbers))
    several = [frame for frame in frames if len(frame) > 1]
    for frame in several:
        _show_entrant(console, frame, numbers)
    alone = [frame for frame in frames if len(frame) == 1]
    if alone:
        console.print(Text("\nIn one run only", style="bold"))
        rows = pd.concat(alone, ignore_index=True).sort_values(["started_utc", "run", "entrant"], kind="stable")
        console.print(_alone_table(rows, numbers))
    if several:
        console.print()
        for line in NOTES:
            console.print(line, style="dim")
    else:
        console.print("\nNo entrant is in two of the runs: nothing to compare yet.")


def _runs_table(runs: pd.DataFrame, numbers: dict[str, str]) -> FittingTable:
    table = make_table()
    make_columns(table, ["run", "started, UTC", "lenet-bench"], [], "folder")
    for _, row in runs.iterrows():
        started = str(row["started_utc"])[:16].replace("T", " ")
        table.add_row(numbers[row["run"]], as_text(started), as_text(row["lenet_bench"]), as_text(row["run"]))
    return table


def _show_entrant(console: Console, frame: pd.DataFrame, numbers: dict[str, str]) -> None:
    first = frame.iloc[0]
    title = Text(f"\n{first['entrant']}, {first['data_set']}, recipe {first['recipe']}", style="bold")
    speeds = [float(speed) for speed in frame["train_images_per_s"].dropna()]
    if len(speeds) >= LEAST_BARS:
        title.append(f"  {bars(speeds)} {min(speeds):,.0f}..{max(speeds):,.0f}", style="not bold")
    console.print(title)
    console.print(_speeds_table(frame, numbers))
    if frame["against_ratio"].notna().any():
        console.print(Padding(_against_table(frame, numbers), (0, 0, 0, 2)))
    for _, row in frame.iterrows():
        if pd.notna(row["changed"]) and row["changed"]:
            console.print(_changes_line(str(row["changed"]), numbers[row["run"]]))


def bars(values: list[float]) -> str:
    """Values as bars of eight heights, the lowest for the least of them and the highest for the largest."""
    least, most = min(values), max(values)
    if least == most:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - least) / (most - least) * (len(BARS) - 1))] for value in values)


def _speeds_table(frame: pd.DataFrame, numbers: dict[str, str]) -> FittingTable:
    table = make_table()
    headers = ["images/s", "images/s\ninterval", "ratio", "ratio\ninterval"]
    make_columns(table, ["run", "version"], headers, "verdict")
    for header in ("test\nacc %", "epochs"):
        table.add_column(header, justify="right")
    # A run that only trained has none.
    for _, row in frame.fillna({"verdict": ""}).iterrows():
        table.add_row(
            numbers[row["run"]],
            as_text(str(row["framework_version"]).partition("+")[0]),
            as_number(row["train_images_per_s"], ",.0f"),
            _interval(row, "train_images_per_s", ",.0f"),
            as_number(row["ratio"], ".3f"),
            _interval(row, "ratio", ".3f"),
            # As `compare` marks them.
            as_text(row["verdict"] if is_paired(row) or not row["verdict"] else f"{row['verdict']} *"),
            as_number(row["test_accuracy"] * 100, ".2f"),
            as_number(row["epochs"], ".0f"),
        )
    return table


def _against_table(frame: pd.DataFrame, numbers: dict[str, str]) -> FittingTable:
    table = make_table()
    make_columns(table, ["run"], ["ratio", "ratio\ninterval"], "verdict")
    table.add_column("against")
    for _, row in frame[frame["against_ratio"].notna()].iterrows():
        ratio, interval = as_number(row["against_ratio"], ".3f"), _interval(row, "against", ".3f")
        words = as_text(row["against_verdict"]), as_text(_few(row["against"]))
        table.add_row(numbers[row["run"]], ratio, interval, *words)
    return table


def _few(against: str) -> str:
    """The entrants by name, where they fit a line or two; else some of them."""
    names = against.split(", ")
    return against if len(names) <= MOST_NAMES else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _changes_line(changed: str, number: str) -> Padding:
    parts = changed.split("; ")
    shown = parts[:MOST_CHANGES]
    if len(parts) > MOST_CHANGES:
        shown.append(f"and {len(parts) - MOST_CHANGES} more (--format csv)")
    return Padding(Text(f"changed with run {number}: {'; '.join(shown)}"), (0, 0, 0, 2))


def _alone_table(frame: pd.DataFrame, numbers: dict[str, str]) -> FittingTable:
    table = make_table()
    headers = ["images/s", "images/s\ninterval", "test\nacc %", "epochs"]
    make_columns(table, ["entrant", "data set", "version", "run"], headers, None)
    for _, row in frame.iterrows():
        table.add_row(
            as_text(row["entrant"]), as_text(row["data_set"]), as_text(str(row["framework_version"]).partition("+")[0]),
            numbers[row["run"]], as_number(row["train_images_per_s"], ",.0f"),
            _interval(row, "train_images_per_s", ",.0f"), as_number(row["test_accuracy"] * 100, ".2f"),
            as_number(row["epochs"], ".0f"),
        )  # fmt: skip
    return table


def as_markdown(frames: list[pd.DataFrame]) -> str:
    """All entrants in one Markdown table, and the sentences that belong to it."""
    headers = [
        "entrant", "data set", "started, UTC", "run", "version", "images/s", "95 % interval", "ratio", "95 % interval",
        "verdict", "drift out", "95 % interval", "verdict", "test accuracy, %", "epochs", "changed",
    ]  # fmt: skip
    lines = [markdown.row(headers), f"|{' --- |' * len(headers)}"]
    for _, row in pd.concat(frames, ignore_index=True).iterrows():
        cells = [row["entrant"], row["data_set"], str(row["started_utc"])[:16].replace("T", " "), row["run"]]
        cells += [row["framework_version"]]
        cells += [as_number(row["train_images_per_s"], ",.0f"), _interval(row, "train_images_per_s", ",.0f")]
        cells += [as_number(row["ratio"], ".3f"), _interval(row, "ratio", ".3f"), row["verdict"]]
        cells += [as_number(row["against_ratio"], ".3f"), _interval(row, "against", ".3f"), row["against_verdict"]]
        cells += [as_number(row["test_accuracy"] * 100, ".2f"), as_number(row["epochs"], ".0f"), row["changed"]]
        lines.append(markdown.row("" if pd.isna(cell) else str(cell) for cell in cells))
    return "\n".join([*lines, "", " ".join(NOTES).replace("'Against'", "'Drift out'"), ""])


def _interval(row: pd.Series, name: str, form: str) -> str:
    return as_interval(row[f"{name}_low"], row[f"{name}_high"], form)
