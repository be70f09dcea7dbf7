"""Tables for people, at most 80 columns wide."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.network import Network
from harness.summary import AccuracySpread
from harness.verification import Check

WIDTH = 80


def stdout() -> Console:
    """The console that results are printed on; as wide as the terminal, 80 columns where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def show_summary(console: Console, summary: pd.DataFrame) -> None:
    """Print speed and ratio, then start-up, inference and accuracy: two tables that each fit 80 columns.

    Several runs get a letter each, which stands behind the backend and is explained below.
    """
    runs = list(dict.fromkeys(sorted(summary["run"])))
    letters = {run: f" {chr(ord('A') + number % 26)}" if len(runs) > 1 else "" for number, run in enumerate(runs)}
    summary = summary.assign(backend=summary["backend"] + summary["run"].map(letters), mode=_modes(summary))
    console.print(Text(_title("Training, steady", summary), style="bold"), soft_wrap=True)
    console.print(speed_table(summary))
    console.print(Text("\nStart-up, inference, memory, accuracy (n launches, medians)", style="bold"))
    console.print(other_table(summary))
    _footnotes(console, summary)
    for run, letter in letters.items():
        if letter:
            console.print(Text(f"{letter.strip()}: {run}"), soft_wrap=True)
    if len(runs) > 1:
        console.print("Between runs nothing is paired: those ratios have wider intervals.")


def speed_table(summary: pd.DataFrame) -> Table:
    """Training speed with its interval, the ratio to the fastest with its interval, the verdict."""
    table = _table()
    _columns(table, ["backend", "mode"], ["images/s", "interval", "ratio", "interval"], "verdict")
    for _, row in summary.iterrows():
        table.add_row(
            _text(row["backend"]),
            _text(row["mode"]),
            _number(row["train_images_per_s"], ",.0f"),
            _interval(row["train_images_per_s_low"], row["train_images_per_s_high"], ",.0f"),
            _number(row["ratio"], ".3f"),
            _interval(row["ratio_low"], row["ratio_high"], ".3f"),
            _text(row["verdict"]),
        )
    return table


def other_table(summary: pd.DataFrame) -> Table:
    """Start-up, inference, memory and accuracy."""
    table = _table()
    headers = ["import s", "first step s", "infer images/s", "p50 ms", "peak MiB", "test acc %", "n"]
    _columns(table, ["backend", "version"], headers, None)
    for _, row in summary.iterrows():
        table.add_row(
            _text(row["backend"]),
            _text(row["framework_version"]),
            _number(row["import_s"], ".2f"),
            _number(row["first_step_s"], ".3f"),
            _number(row["inference_images_per_s"], ",.0f"),
            _number(row["latency_ms_p50"], ".3f"),
            _number(row["peak_rss_bytes"] / 2**20, ",.0f"),
            _number(row["test_accuracy"] * 100, ".2f"),
            str(row["launches"]),
        )
    return table


def show_accuracy(console: Console, spread: AccuracySpread) -> None:
    """Print final accuracies by seed and backend, and whether backends differ by more than seeds do."""
    console.print(Text("\nTest accuracy after the last epoch, %", style="bold"))
    table = _table()
    _columns(table, ["seed"], list(spread.by_seed.columns), None)
    for seed, row in spread.by_seed.iterrows():
        table.add_row(str(seed), *(_number(value * 100, ".2f") for value in row))
    for name, figures in (("mean", spread.by_seed.mean()), ("sd", spread.by_seed.std(ddof=1))):
        table.add_row(name, *(_number(value * 100, ".3f") for value in figures), style="bold")
    console.print(table)
    console.print(
        f"Standard deviation between seeds of one backend {spread.between_seeds * 100:.3f} points, "
        f"between backends from one seed {_number(spread.between_backends * 100, '.3f')}.",
        soft_wrap=True,
    )


def _modes(summary: pd.DataFrame) -> pd.Series:
    """The mode, and behind it whatever else tells these entrants apart: `eager 2t b256 device`."""
    modes = summary["mode"]
    for name, form in (("threads", "{}t"), ("batch_size", "b{}"), ("feed", "{}")):
        if summary[name].nunique(dropna=False) > 1:
            modes = modes + " " + summary[name].map(form.format, na_action="ignore").astype("string").fillna("native")
    return modes


def _title(what: str, summary: pd.DataFrame) -> str:
    parts = [what]
    for name in ("network", "data_set", "feed", "device", "dtype", "batch_size", "threads"):
        values = summary[name].dropna().unique()
        if len(values) == 1:
            labels = {"batch_size": f"batch {values[0]}", "threads": f"{values[0]} thread(s)"}
            parts.append(labels.get(name, str(values[0])))
    return ", ".join(parts)


def _footnotes(console: Console, summary: pd.DataFrame) -> None:
    console.print("Intervals are 95 %, of launches; ratios are paired by round.")
    if (summary["launches"] < 4).any():
        console.print("Under four rounds the verdict is always 'cannot tell': give --rounds 4 or more.")
    for _, row in summary[summary["unsteady"] > 0].iterrows():
        console.print(f"{row['backend']}: {row['unsteady']} of {row['launches']} launches never became steady; kept.")
    if (summary["data_set"] == "drawn-digits").any():
        console.print("DRAWN DIGITS, NOT MNIST: speeds compare, accuracies do not (README, Data).", style="bold")


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def _columns(table: Table, left: list[str], right: list[str], last: str | None) -> None:
    for header in left:
        table.add_column(header, overflow="fold", no_wrap=header == "version")
    for header in right:
        # An interval that is folded in two cannot be read; names can.
        table.add_column(header, justify="right", overflow="fold", no_wrap=header == "interval")
    if last:
        table.add_column(last, overflow="fold")


def _text(value: Any) -> Text:
    # Text, not markup: a version or a run's name may contain brackets.
    return Text("-" if pd.isna(value) else str(value))


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else format(float(value), form)


def _interval(low: Any, high: Any, form: str) -> str:
    return "-" if pd.isna(low) or pd.isna(high) else f"{float(low):{form}}..{float(high):{form}}"


def show_checks(console: Console, title: str, checks: list[Check]) -> None:
    """Print a verification: error, tolerance and outcome of every quantity."""
    console.print(Text(f"{title} against the float64 reference", style="bold"))
    table = _table()
    _columns(table, ["quantity"], ["error", "tolerance"], "outcome")
    for check in checks:
        outcome = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
        table.add_row(check.quantity, f"{check.error:.1e}", f"{check.tolerance:.1e}", outcome)
    console.print(table)
    failed = [check for check in checks if not check.passed]
    if failed:
        console.print(f"{len(failed)} of {len(checks)} failed, first: {failed[0].quantity}.", style="bold red")
    else:
        console.print(f"all {len(checks)} passed")


def show_network(console: Console, network: Network) -> None:
    """Print a layer table with shapes, parameters and multiply-adds."""
    console.print(Text(f"{network.name}: {network.source}", style="bold"), soft_wrap=True)
    table = _table()
    _columns(table, ["layer", "kind", "output"], ["parameters", "multiply-adds"], None)
    table.add_row("input", "", " x ".join(map(str, network.input_shape)), "", "")
    total = 0
    for row in network.summary():
        total += row.multiply_adds
        table.add_row(
            row.layer.name,
            type(row.layer).__name__,
            " x ".join(map(str, row.output_shape)),
            f"{row.parameters:,}" if row.parameters else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "",
        )
    table.add_row("total", "", "", f"{network.parameters:,}", f"{total:,}", style="bold")
    console.print(table)
