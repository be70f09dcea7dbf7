"""Tables for people, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.limit import limit_shares
from harness.analysis.statistics import LEAST_ROUNDS
from harness.analysis.summary import AccuracySpread
from harness.tables.layout import make_columns, make_table
from harness.worker.job import FORMS, label_of

# Of entrants side by side, with names as long as tensorflow's.
MOST_COLUMNS = 6
START_FORMS = {"import_s": ".2f", "build_s": ".2f", "first_step_s": ".3f", "first_epoch_s": ".2f"}
UNTIL_FORMS = {"until_epochs": "g", "until_train_s": ".2f", "until_total_s": ".2f"}


def show_summary(
    console: Console, summary: pd.DataFrame, sweep: pd.DataFrame, *, conditions: Sequence[str] = ()
) -> None:
    """Print training, start-up, inference, machine and memory: tables that each fit 80 columns.

    Several runs get a letter each, which stands behind the backend and is explained below.

    Args:
        sweep: images per second of each entrant (rows as in `summary`) at each batch size (columns).
        conditions: what else must be known of the speeds (`harness.analysis.conditions`), a sentence each.
    """
    runs = list(dict.fromkeys(sorted(summary["run"])))
    letters = {run: f" {chr(ord('A') + number % 26)}" if len(runs) > 1 else "" for number, run in enumerate(runs)}
    named = summary.assign(backend=summary["backend"] + summary["run"].map(letters), mode=_modes(summary))
    console.print(Text(_title("Training, steady", named), style="bold"), soft_wrap=True)
    console.print(speed_table(named))
    _footnotes(console, named)
    for sentence in conditions:
        console.print(Text(sentence, style="bold"))
    console.print(Text("\nStart-up, seconds: mean and half of its 95 % interval", style="bold"))
    console.print(start_table(named))
    if named["latency_ms_p50"].notna().any():
        console.print(Text("\nInference, images already on the device; medians of launches", style="bold"))
        console.print(inference_table(named, sweep))
    console.print(Text("\nShare of the machine, memory, accuracy; medians of launches", style="bold"))
    console.print(machine_table(named))
    if named["ratio_sd"].notna().any():
        console.print("cv %: spread of launches; paired: of the rounds' ratios, drift taken out")
    versions = dict.fromkeys(f"{row['backend']} {row['framework_version']}" for _, row in named.iterrows())
    console.print(", ".join(versions) + ".")
    if named["until"].notna().any():
        on = f" on {named['data_set'].iloc[0]}" if named["data_set"].nunique() == 1 else ""
        for until, group in named.groupby("until"):
            console.print(Text(f"\nTime to {until:.2%} test accuracy{on}, median of seeds", style="bold"))
            console.print(target_table(group))
    for run, letter in letters.items():
        if letter:
            console.print(Text(f"{letter.strip()}: {run}"), soft_wrap=True)


def is_paired(row: pd.Series) -> bool:
    """Whether a ratio is of pairs; the base's own row, and rows of older versions, are not told apart."""
    return bool(pd.isna(row["paired"]) or row["paired"])


def any_unverified(summary: pd.DataFrame) -> bool:
    """Whether some of it was timed with --unverified; rows of older versions do not know, and do not count."""
    return bool((~summary["verified"].fillna(True)).any())


def speed_table(summary: pd.DataFrame) -> Table:
    """Training speed with its interval, share of the limit, ratio to the base with its interval, verdict."""
    table, shares = make_table(), limit_shares(summary)
    limited = ["limit"] if shares.notna().any() else []
    make_columns(table, ["backend", "mode"], ["images/s", "interval", *limited, "ratio", "interval"], "verdict")
    for (_, row), share in zip(summary.iterrows(), shares, strict=True):
        table.add_row(
            _text(row["backend"]),
            _text(row["mode"]),
            _number(row["train_images_per_s"], ",.0f"),
            _interval(row["train_images_per_s_low"], row["train_images_per_s_high"], ",.0f"),
            *([_number(share, ".0%")] if limited else []),
            _number(row["ratio"], ".3f"),
            _interval(row["ratio_low"], row["ratio_high"], ".3f"),
            _text(row["verdict"] if is_paired(row) else f"{row['verdict']} *"),
        )
    return table


def start_table(summary: pd.DataFrame) -> Table:
    """Import, build, first step and first epoch with intervals, and the images after which a late start is made up."""
    table = make_table()
    headers = ["import", "build", "first step", "first epoch", "break-even"]
    make_columns(table, ["backend", "mode"], headers, None)
    for _, row in summary.iterrows():
        seconds = [_with_half(row, name, form) for name, form in START_FORMS.items()]
        table.add_row(_text(row["backend"]), _text(row["mode"]), *seconds, _break_even(row["break_even_images"]))
    return table


def inference_table(summary: pd.DataFrame, sweep: pd.DataFrame) -> Table:
    """Latency of one image, and images per second by batch size."""
    table = make_table()
    sizes = [f"b{size} img/s" for size in sweep.columns]
    make_columns(table, ["backend", "mode"], ["p50 ms", "p95 ms", "p99 ms", *sizes], None)
    for (_, row), (_, speeds) in zip(summary.iterrows(), sweep.iterrows()):
        latencies = [_number(row[f"latency_ms_{name}"], ".3f") for name in ("p50", "p95", "p99")]
        rates = [_number(value, ",.0f") for value in speeds]
        table.add_row(_text(row["backend"]), _text(row["mode"]), *latencies, *rates)
    return table


def machine_table(summary: pd.DataFrame) -> Table:
    """Operations per second, share of the peak, memory, energy, accuracy, launches and their spread."""
    table = make_table()
    headers = ["GFLOP/s", "of peak", "+import", "peak MiB", "acc %", "cv %", "paired", "n"]
    if summary["energy_j_per_image"].notna().any():
        headers.insert(4, "mJ/image")
    make_columns(table, ["backend", "mode"], headers, None)
    for _, row in summary.iterrows():
        cells: list[Text | str] = [
            _text(row["backend"]),
            _text(row["mode"]),
            _number(row["train_gflops"], ".1f"),
            _number(row["peak_share"], ".1%"),
            _number((row["peak_rss_bytes"] - row["rss_import_bytes"]) / 2**20, "+,.0f"),
            _number(row["peak_rss_bytes"] / 2**20, ",.0f"),
            _number(row["test_accuracy"] * 100, ".2f"),
            _number(row["train_images_per_s_cv"] * 100, ".1f"),
            _number(row["ratio_sd"] * 100, ".1f"),
            str(row["launches"]),
        ]
        if "mJ/image" in headers:
            cells.insert(6, _number(row["energy_j_per_image"] * 1e3, ".2f"))
        table.add_row(*cells)
    return table


def target_table(summary: pd.DataFrame) -> Table:
    """How many seeds reached the target, and the clock without and with the evaluations."""
    table = make_table()
    make_columns(table, ["backend", "mode"], ["reached", "epochs", "training s", "with evaluation s"], None)
    for _, row in summary[summary["until"].notna()].iterrows():
        times = [_reached(row[name], form) for name, form in UNTIL_FORMS.items()]
        table.add_row(
            _text(row["backend"]), _text(row["mode"]), f"{row['seeds_reached']} of {row['seeds']}", *times
        )  # fmt: skip
    return table


def show_scaling(console: Console, scaling: pd.DataFrame) -> None:
    """Print, for threads and batch size, how speed grows from the smallest value on."""
    for dimension, rows in scaling.groupby("dimension", sort=False):
        what = {"threads": "threads", "batch_size": "batch size"}[str(dimension)]
        console.print(Text(f"\nScaling with {what}: images/s at the smallest, then times that", style="bold"))
        console.print(scaling_table(rows, str(dimension)))
    console.print("± is half of the interval; all of these hold together with 95 %.")


def scaling_table(rows: pd.DataFrame, dimension: str) -> Table:
    """An entrant a line, a value of the dimension a column."""
    values = sorted(rows[dimension].dropna().unique())
    form = FORMS[dimension]
    table = make_table()
    make_columns(table, ["entrant"], [form.format(value) for value in values], None)
    labels = rows.apply(lambda row: label_of(dict(row) | {dimension: None}), axis=1)
    for label, group in rows.groupby(labels, sort=False):
        cells = {row[dimension]: _growth(row) for _, row in group.iterrows()}
        table.add_row(_text(label), *(cells.get(value, "-") for value in values))
    return table


def _growth(row: pd.Series) -> str:
    return _number(row["train_images_per_s"], ",.0f") if row["ratio"] == 1 else "x " + _with_half(row, "ratio", ".2f")


def show_accuracy(console: Console, spread: AccuracySpread, data_set: str) -> None:
    """Print final accuracies by seed and backend, and whether backends differ by more than seeds do."""
    console.print(Text(f"\nTest accuracy on {data_set} after the last epoch, %", style="bold"), soft_wrap=True)
    console.print(accuracy_table(spread.by_seed))
    console.print(
        f"Standard deviation between seeds of one entrant {spread.between_seeds * 100:.3f} points, "
        f"between entrants from one seed {_number(spread.between_backends * 100, '.3f')}.",
        soft_wrap=True,
    )


def accuracy_table(by_seed: pd.DataFrame) -> Table:
    """A seed a line; an entrant a line, without the single seeds, where entrants are too many for 80 columns."""
    table = make_table()
    percent = by_seed * 100
    figures = {"mean": percent.mean(), "sd": percent.std(ddof=1)}
    if len(by_seed.columns) > MOST_COLUMNS:
        figures |= {"least": percent.min(), "most": percent.max(), "seeds": percent.count()}
        make_columns(table, ["entrant"], list(figures), None)
        for label in by_seed.columns:
            *cells, count = (values[label] for values in figures.values())
            table.add_row(_text(label), *(_number(value, ".3f") for value in cells), str(count))
        return table
    make_columns(table, ["seed"], list(by_seed.columns), None)
    for seed, row in percent.iterrows():
        table.add_row(str(seed), *(_number(value, ".2f") for value in row))
    for name, values in figures.items():
        table.add_row(name, *(_number(value, ".3f") for value in values), style="bold")
    return table


def _modes(summary: pd.DataFrame) -> pd.Series:
    """The mode, and behind it whatever else tells these entrants apart: `eager 2t b256 device`."""
    modes = summary["mode"]
    for name, form in (("threads", "{}t"), ("batch_size", "b{}"), ("feed", "{}"), ("variant", "{}")):
        if summary[name].nunique(dropna=False) > 1:
            missing = "native" if name == "threads" else ""
            modes = modes + " " + summary[name].map(form.format, na_action="ignore").astype("string").fillna(missing)
    return modes.str.strip()


def _title(what: str, summary: pd.DataFrame) -> str:
    parts = [what]
    for name in ("network", "data_set", "feed", "device", "dtype", "batch_size", "threads"):
        values = summary[name].dropna().unique()
        if len(values) == 1:
            labels = {
                "batch_size": f"batch {values[0]}",
                "threads": f"{values[0]} thread{'' if values[0] == 1 else 's'}",
            }
            parts.append(labels.get(name, str(values[0])))
    return ", ".join(parts)


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
        console.print(f"{row['backend']}: {row['unsteady']} of {row['launches']} launches never became steady; kept.")
    if (summary["data_set"] == "drawn-digits").any():
        console.print("DRAWN DIGITS, NOT MNIST: speeds compare, accuracies do not (docs/data.md).", style="bold")


def _text(value: Any) -> Text:
    # Text, not markup: a version or a run's name may contain brackets.
    return Text("-" if pd.isna(value) else str(value))


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else format(float(value), form)


def _interval(low: Any, high: Any, form: str) -> str:
    return "-" if pd.isna(low) or pd.isna(high) else f"{float(low):{form}}..{float(high):{form}}"


def _with_half(row: pd.Series, name: str, form: str) -> str:
    """A mean with half of its interval: `0.68 ±.02`."""
    if pd.isna(row[name]) or pd.isna(row[f"{name}_low"]):
        return _number(row[name], form)
    half = format((row[f"{name}_high"] - row[f"{name}_low"]) / 2, form)
    # Four of these stand side by side, beside modes as long as `channels-last`.
    return f"{row[name]:{form}} ±{half.removeprefix('0')}"


def _break_even(images: Any) -> str:
    if pd.isna(images):
        return "-"
    return f"{images:,.0f}" if np.isfinite(images) else "never"


def _reached(value: Any, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "not reached"
