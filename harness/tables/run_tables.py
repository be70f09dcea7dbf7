"""The tables of a run, for people. Each fits the terminal that is there (`fitting.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.text import Text

from harness.analysis.limit import limit_shares
from harness.analysis.statistics import LEAST_ROUNDS
from harness.analysis.summary import AccuracySpread
from harness.tables.cells import as_interval, as_number, as_text
from harness.tables.fitting import FittingTable, Marks
from harness.tables.layout import make_columns, make_table
from harness.worker.job import USUAL, label_of

# Of entrants side by side, and of the letters in their names; with more, each has a line.
MOST_COLUMNS = 6
MOST_LETTERS = 60
# What tells entrants apart behind their mode, and how it is said there.
TELLING = {
    "threads": "{}t", "batch_size": "b{}", "replicas": "{}r", "feed": "{}", "device": "{}", "dtype": "{}",
    "environment": "{}", "network": "{}", "data_set": "{}", "variant": "{}",
}  # fmt: skip
START_FORMS = {"import_s": ".2f", "build_s": ".2f", "first_step_s": ".3f", "first_epoch_s": ".2f"}
UNTIL_FORMS = {"until_epochs": "g", "until_train_s": ".2f", "until_total_s": ".2f"}


def show_summary(
    console: Console, summary: pd.DataFrame, sweep: pd.DataFrame, *, conditions: Sequence[str] = ()
) -> None:
    """Print training, start-up, inference, machine and memory; what all entrants share is said once, above.

    Several runs get a letter each, which stands behind the backend and is explained below. So is a name that was cut.

    Args:
        sweep: images per second of each entrant (rows as in `summary`) at each batch size (columns).
        conditions: what else must be known of the speeds (`harness.analysis.conditions`), a sentence each.
    """
    runs = list(dict.fromkeys(sorted(summary["run"])))
    letters = {run: f" {_letter(number)}" if len(runs) > 1 else "" for number, run in enumerate(runs)}
    named = summary.assign(backend=summary["backend"] + summary["run"].map(letters), mode=_modes(summary))
    rows, marks = _unnamed(named), Marks()
    _show(console, _title("Training, steady", rows, summary), speed_table(rows), marks)
    _footnotes(console, named)
    for sentence in conditions:
        console.print(Text(sentence, style="bold"))
    _show(console, "\nStart-up: mean, and half of its 95 % interval", start_table(rows), marks)
    if named["latency_ms_p50"].notna().any():
        title = "\nInference, images already on the device; medians of launches"
        _show(console, title, inference_table(rows, sweep), marks)
    counts = named["launches"].unique()
    of = f"{counts[0]} launch{'es' if counts[0] > 1 else ''}" if len(counts) == 1 else "launches"
    _show(console, f"\nShare of the machine, memory, accuracy; medians of {of}", machine_table(rows), marks)
    if named["ratio_sd"].notna().any():
        console.print("cv %: spread of launches' speeds; sd %: of rounds' ratios, drift taken out")
    if named["peak_share"].notna().any():
        console.print("GFLOP/s, of peak: counted operations, not executed ones (docs/operations.md)")
    versions = dict.fromkeys(f"{row['backend']} {row['framework_version']}" for _, row in named.iterrows())
    console.print(Text(", ".join(versions) + "."))
    if named["until"].notna().any():
        on = f" on {named['data_set'].iloc[0]}" if named["data_set"].nunique() == 1 else ""
        for until, group in rows.groupby("until"):
            _show(console, f"\nTime to {until:.2%} test accuracy{on}, median of seeds", target_table(group), marks)
    for line in [*marks.below(), *(Text(f"{letter.strip()}: {run}") for run, letter in letters.items() if letter)]:
        console.print(line)


def _show(console: Console, title: str, table: FittingTable, marks: Marks) -> None:
    """Print a table under its title; what it cuts is said once for all tables."""
    console.print(Text(title, style="bold"))
    table.marks = marks
    console.print(table)


def _letter(number: int) -> str:
    """A, B … Z, and then AA, AB …: no two runs have the same."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)


def is_paired(row: pd.Series) -> bool:
    """Whether a ratio is of pairs; the base's own row, and rows of older versions, are not told apart."""
    return bool(pd.isna(row["paired"]) or row["paired"])


def any_unverified(summary: pd.DataFrame) -> bool:
    """Whether some of it was timed with --unverified; rows of older versions do not know, and do not count."""
    return bool((~summary["verified"].fillna(True)).any())


def speed_table(summary: pd.DataFrame) -> FittingTable:
    """Training speed with its interval, share of the limit, ratio to the base with its interval, verdict."""
    table, shares = make_table(), limit_shares(summary)
    limited = ["of\nlimit"] if shares.notna().any() else []
    headers = ["images/s", "images/s\ninterval", *limited, "ratio", "ratio\ninterval"]
    make_columns(table, _names(summary), headers, "verdict")
    for (_, row), share in zip(summary.iterrows(), shares, strict=True):
        table.add_row(
            *_named(row, table),
            as_number(row["train_images_per_s"], ",.0f"),
            as_interval(row["train_images_per_s_low"], row["train_images_per_s_high"], ",.0f"),
            *([as_number(share, ".0%")] if limited else []),
            as_number(row["ratio"], ".3f"),
            as_interval(row["ratio_low"], row["ratio_high"], ".3f"),
            as_text(row["verdict"] if is_paired(row) else f"{row['verdict']} *"),
        )
    return table


def start_table(summary: pd.DataFrame) -> FittingTable:
    """Import, build, first step and first epoch with intervals, and the images after which a late start is made up."""
    table = make_table()
    headers = ["import\ns", "build\ns", "first step\ns", "first epoch\ns", "break-even\nimages"]
    make_columns(table, _names(summary), headers, None)
    for _, row in summary.iterrows():
        seconds = [_with_half(row, name, form) for name, form in START_FORMS.items()]
        table.add_row(*_named(row, table), *seconds, _break_even(row["break_even_images"]))
    return table


def inference_table(summary: pd.DataFrame, sweep: pd.DataFrame) -> FittingTable:
    """Latency of one image, and images per second by batch size."""
    table = make_table()
    headers = ["1 image\np50 ms", "1 image\np95 ms", "1 image\np99 ms"]
    make_columns(table, _names(summary), [*headers, *(f"batch {size}\nimages/s" for size in sweep.columns)], None)
    for (_, row), (_, speeds) in zip(summary.iterrows(), sweep.iterrows()):
        latencies = [as_number(row[f"latency_ms_{name}"], ".3f") for name in ("p50", "p95", "p99")]
        rates = [as_number(value, ",.0f") for value in speeds]
        table.add_row(*_named(row, table), *latencies, *rates)
    return table


def machine_table(summary: pd.DataFrame) -> FittingTable:
    """Operations per second, share of the peak, memory, energy, accuracy, spread; launches, if not all have as many."""
    table = make_table()
    headers = ["GFLOP/s", "of\npeak", "+import\nMiB", "memory\nMiB", "test\nacc %", "speeds\ncv %", "ratios\nsd %"]
    metered = summary["energy_j_per_image"].notna().any()
    if metered:
        headers.insert(4, "mJ/image")
    counted = summary["launches"].nunique() > 1
    make_columns(table, _names(summary), headers + ["launches"] * counted, None)
    for _, row in summary.iterrows():
        cells: list[Text | str] = [
            *_named(row, table),
            as_number(row["train_gflops"], ".1f"),
            as_number(row["peak_share"], ".1%"),
            as_number((row["peak_rss_bytes"] - row["rss_import_bytes"]) / 2**20, "+,.0f"),
            as_number(row["peak_rss_bytes"] / 2**20, ",.0f"),
            *([as_number(row["energy_j_per_image"] * 1e3, ".2f")] if metered else []),
            as_number(row["test_accuracy"] * 100, ".2f"),
            as_number(row["train_images_per_s_cv"] * 100, ".1f"),
            as_number(row["ratio_sd"] * 100, ".1f"),
            *([str(row["launches"])] if counted else []),
        ]
        table.add_row(*cells)
    return table


def target_table(summary: pd.DataFrame) -> FittingTable:
    """How many seeds reached the target, and the clock without and with the evaluations."""
    table = make_table()
    headers = ["seeds\nreached", "epochs", "training\ns", "with evaluation\ns"]
    make_columns(table, _names(summary), headers, None)
    for _, row in summary[summary["until"].notna()].iterrows():
        times = [_reached(row[name], form) for name, form in UNTIL_FORMS.items()]
        table.add_row(*_named(row, table), f"{row['seeds_reached']} of {row['seeds']}", *times)
    return table


def show_scaling(console: Console, scaling: pd.DataFrame) -> None:
    """Print, for threads, replicas and batch size, how speed grows from the smallest value on."""
    for dimension, rows in scaling.groupby("dimension", sort=False):
        what = str(dimension).replace("_", " ")
        console.print(Text(f"\nScaling with {what}: images/s at the smallest, then times that", style="bold"))
        console.print(scaling_table(rows, str(dimension)))
    console.print("± is half of the interval; all of these hold together with 95 %.")
    if (scaling["dimension"] == "replicas").any():
        console.print("%: efficiency, the speed of k replicas over k times that of one.")


def scaling_table(rows: pd.DataFrame, dimension: str) -> FittingTable:
    """An entrant a line, a value of the dimension a column."""
    values = sorted(rows[dimension].dropna().unique())
    word = dimension.removesuffix("_size")
    table = make_table()
    make_columns(table, ["entrant"], [f"{word}\n{value}" for value in values], None)
    labels = rows.apply(lambda row: label_of(dict(row) | {dimension: None}), axis=1)
    for label, group in rows.groupby(labels, sort=False):
        cells = {row[dimension]: _growth(row) for _, row in group.iterrows()}
        table.add_row(as_text(label), *(cells.get(value, "-") for value in values))
    return table


def _growth(row: pd.Series) -> str:
    if row["ratio"] == 1:
        return as_number(row["train_images_per_s"], ",.0f")
    efficiency = f", {row['efficiency']:.0%}" if row["dimension"] == "replicas" else ""
    return f"x {_with_half(row, 'ratio', '.2f')}{efficiency}"


def show_accuracy(console: Console, spread: AccuracySpread, data_set: str) -> None:
    """Print final accuracies by seed and backend, and whether backends differ by more than seeds do."""
    console.print(Text(f"\nTest accuracy on {data_set} after the last epoch, %", style="bold"))
    console.print(accuracy_table(spread.by_seed))
    console.print(
        f"Standard deviation between seeds of one entrant {spread.between_seeds * 100:.3f} points, "
        f"between entrants from one seed {as_number(spread.between_backends * 100, '.3f')}."
    )


def accuracy_table(by_seed: pd.DataFrame) -> FittingTable:
    """A seed a line; an entrant a line, without the single seeds, where there are too many entrants for columns."""
    table = make_table()
    percent = by_seed * 100
    figures = {"mean": percent.mean(), "sd": percent.std(ddof=1)}
    if len(by_seed.columns) > MOST_COLUMNS or sum(map(len, by_seed.columns)) > MOST_LETTERS:
        figures |= {"least": percent.min(), "most": percent.max(), "seeds": percent.count()}
        make_columns(table, ["entrant"], list(figures), None)
        for label in by_seed.columns:
            *cells, count = (values[label] for values in figures.values())
            table.add_row(as_text(label), *(as_number(value, ".3f") for value in cells), str(count))
        return table
    make_columns(table, ["seed"], list(by_seed.columns), None)
    for seed, row in percent.iterrows():
        table.add_row(str(seed), *(as_number(value, ".2f") for value in row))
    for name, values in figures.items():
        table.add_row(name, *(as_number(value, ".3f") for value in values), style="bold")
    return table


def _names(rows: pd.DataFrame) -> list[str]:
    """The columns that name an entrant; its mode alone where the backend is said above (`_unnamed`)."""
    return ["mode"] if (rows["backend"] == "").all() else ["backend", "mode"]


def _named(row: pd.Series, table: FittingTable) -> list[Text]:
    """The cells below these columns."""
    return [as_text(row[name]) for name in ("backend", "mode")[-table.keys :]]


def _unnamed(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows without their backend, where several modes of one are all that there is."""
    one = len(summary) > 1 and summary["backend"].nunique() == 1 and summary["mode"].is_unique
    return summary.assign(backend="") if one else summary


def _modes(summary: pd.DataFrame) -> pd.Series:
    """The mode, and behind it whatever else tells these entrants apart: `eager 2t b256 device`."""
    modes = summary["mode"]
    for name, form in TELLING.items():
        if summary[name].nunique(dropna=False) > 1:
            missing = "native" if name == "threads" else ""
            said = summary[name].map(form.format, na_action="ignore").astype("string").fillna(missing)
            modes = (modes + " " + said).str.strip()
    return modes


def _title(what: str, rows: pd.DataFrame, summary: pd.DataFrame) -> str:
    """What is below, and all that the entrants share: the backend too, where the rows do not name it."""
    parts = [what] + [summary["backend"].iloc[0]] * bool((rows["backend"] == "").all())
    for name in ("network", "data_set", "feed", "device", "dtype", "batch_size", "threads", "replicas", "environment"):
        values = summary[name].dropna().unique()
        if len(values) == 1:
            value = values[0]
            labels = {
                "batch_size": f"batch {value}",
                "threads": f"{value} thread{'' if value == 1 else 's'}",
                "replicas": "" if value == USUAL["replicas"] else f"{value} replicas",
                "environment": "" if value == USUAL["environment"] else value,
            }
            parts.append(labels.get(name, str(value)))
    return ", ".join(filter(None, parts))


def _footnotes(console: Console, summary: pd.DataFrame) -> None:
    console.print("Intervals are 95 %, of launches; ratios are paired by turn and round.")
    if limit_shares(summary).notna().any():
        console.print("limit: share of what kernels made for this machine reach (docs/limit.md).")
    if len(summary) > 2:
        console.print("Intervals of ratios are wider: all of them hold together with 95 %.")
    if (summary["launches"] < LEAST_ROUNDS).any():
        console.print(f"Under {LEAST_ROUNDS} rounds the verdict is always 'cannot tell'.")
    if not summary.apply(is_paired, axis=1).all():
        console.print("* between runs: not paired, and the machine may have changed since. Measure both in one run.")
    if any_unverified(summary):
        console.print("NOT VERIFIED: some of these were timed with --unverified.", style="bold")
    for _, row in summary[summary["unsteady"] > 0].iterrows():
        name, of = f"{row['backend']} {row['mode']}", f"{row['unsteady']} of {row['launches']}"
        console.print(Text(f"{name}: {of} launches never became steady; kept."))
    if (summary["data_set"] == "drawn-digits").any():
        console.print("DRAWN DIGITS, NOT MNIST: speeds compare, accuracies do not (docs/data.md).", style="bold")


def _with_half(row: pd.Series, name: str, form: str) -> str:
    """A mean with half of its interval: `0.68 ±.02`."""
    if pd.isna(row[name]) or pd.isna(row[f"{name}_low"]):
        return as_number(row[name], form)
    half = format((row[f"{name}_high"] - row[f"{name}_low"]) / 2, form)
    # Four of these stand side by side, beside modes as long as `channels-last`.
    return f"{row[name]:{form}} ±{half.removeprefix('0')}"


def _break_even(images: Any) -> str:
    if pd.isna(images):
        return "-"
    return f"{images:,.0f}" if np.isfinite(images) else "never"


def _reached(value: Any, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "not reached"
