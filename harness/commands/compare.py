"""`lenet-bench compare`: runs, or entrants of a run, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console

from harness.analysis import joining as joining
from harness.analysis.by_column import by_column
from harness.analysis.conditions import conditions, spoiling
from harness.analysis.summary import accuracy_spread, inference_sweep, summarise
from harness.commands.options import Base, Strict
from harness.doctor.causes import likely_cause
from harness.errors import Disturbed, InputError
from harness.results.sweep_folder import expanded
from harness.tables import layout, run_tables, sweep_tables
from harness.tables.formats import FORMATS, WRITERS, check_format


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders under results/.", metavar="RUN...")],
    base: Base = "",
    entrant: Annotated[
        list[str] | None,
        typer.Option("--entrant", metavar="NAME", help="Only this entrant, 'torch eager' for instance; repeat it."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = "table",
    apart: Annotated[bool, typer.Option("--apart", help="Print several tables where rows cannot be compared.")] = False,
    by: Annotated[
        str,
        typer.Option("--by", metavar="COLUMN", help="Compare the values of a column of launches.csv."),
    ] = "",
    strict: Strict = False,
) -> None:
    """Join runs into one table, fastest first; refuse rows that cannot be compared, with the reason.

    Entrants of one run took turns, so their ratios are made of neighbouring turns. Between two runs the machine may
    have changed. So intervals between runs are wider, and verdicts between runs have a mark (*). Rows that differ in
    machine, network, data set, recipe, device, precision, environment or controls are refused. --apart gives each set
    of rows a table of its own.

    The folder of a sweep stands for its runs. --by compares launches that differ in one column and are alike in all
    other columns. The smallest value is the base.

    Examples:

    - `lenet-bench compare results/A`
    - `lenet-bench compare results/A results/B --base torch`
    - `lenet-bench compare results/A --entrant "torch eager" --entrant "mxnet hybrid"`
    - `lenet-bench compare results/A --format latex > table.tex`
    - `lenet-bench compare results/here results/there --apart`
    - `lenet-bench compare results/SWEEP --by batch_size`
    - `lenet-bench compare results/A --strict`
    """
    check_format(format_)
    runs = expanded(runs)
    if by:
        _check_beside_by(base, apart=apart)
        _show_by(joining.choose_entrants(joining.read_runs(runs), entrant or []), by, format_, strict=strict)
        return
    if not apart:
        chosen = joining.choose_entrants(joining.load_runs(runs), entrant or [])
        show(chosen, base=base, format_=format_)
        if strict:
            stop_if_disturbed(chosen.timed)
        return
    if format_ == "json":
        raise InputError("--apart makes several tables, and JSON holds one. Give --format csv, or one run at a time.")
    found = joining.choose_entrants(joining.read_runs(runs), entrant or [])
    reason = joining.difference(found.timed, found.machines)
    if reason:
        warn(f"set apart: {reason}")
    for number, part in enumerate(joining.comparable_sets(found)):
        if number:
            print()
        there = base if joining.has_entrant(part, base) else ""
        show(part, base=there, format_=format_)
    if strict:
        stop_if_disturbed(found.timed)


def _check_beside_by(base: str, *, apart: bool) -> None:
    found = ["--base"] * bool(base) + ["--apart"] * apart
    if found:
        raise InputError(
            f"--by has the smallest value for a base, and a table for each machine; got {' and '.join(found)}. Leave "
            "that out."
        )


def _show_by(runs: joining.Runs, column: str, format_: str, *, strict: bool) -> None:
    """Print what a column makes of speeds, a table for each machine."""
    if format_ not in ("table", "csv"):
        raise InputError(f"--by has --format table or csv, got {format_}.")
    found = by_column(runs.timed, column)
    if format_ == "csv":
        print(found.to_csv(index=False, lineterminator="\n"), end="")
    else:
        sweep_tables.show_by_column(layout.stdout(), found, column)
    for sentence in conditions(runs.timed):
        warn(sentence)
    if strict:
        stop_if_disturbed(runs.timed)


def stop_if_disturbed(timed: pd.DataFrame) -> None:
    """End with a sentence where these launches should not be compared: `--strict`.

    Args:
        timed: rows of launches.csv.

    Raises:
        Disturbed: with all that disturbed them.
    """
    found = spoiling(timed)
    if found:
        raise Disturbed(f"--strict takes no speeds that something disturbed. {' '.join(found)}")


def show(runs: joining.Runs, *, base: str, format_: str) -> None:
    """Print rows that may be compared.

    Raises:
        InputError: none was timed, and the format has room for timings alone.
    """
    for name in runs.unended:
        warn(f"{name} has not ended, or was killed: its finished launches are shown. Go on with it: run --resume.")
    summary = summarise(runs.launches, runs.epochs, base=base)
    if format_ != "table":
        if summary.empty:
            raise InputError(f"No launch was timed in these runs: there is nothing for --format {format_}.")
        said = conditions(runs.timed)
        print(WRITERS[format_](summary, said), end="")
        if format_ == "csv":
            # Its columns are those of summary.csv, and have no place for sentences.
            for sentence in said:
                warn(sentence)
        return
    console = layout.stdout()
    if len(summary):
        run_tables.show_summary(
            console, summary, inference_sweep(summary, runs.timed, runs.inference), conditions=conditions(runs.timed)
        )
        for name in runs.halved:
            show_halved(console, name)
        if (summary["verdict"] == "cannot tell").any():
            show_cause(console, runs.timed)
    show_accuracy(console, runs.epochs)


def show_halved(console: Console, name: str) -> None:
    """Print, under the table, what a run without a whole round is worth."""
    console.print(f"No round of {name} is whole: these are the launches of one that was cut off.", soft_wrap=True)


def show_cause(console: Console, timed: pd.DataFrame) -> None:
    """Print what most likely keeps verdicts from being found.

    Args:
        timed: rows of launches.csv.
    """
    cause = likely_cause(timed)
    console.print(f"Cannot tell everything. {cause[0].upper()}{cause[1:]}", soft_wrap=True)


def show_accuracy(console: Console, epochs: pd.DataFrame) -> None:
    """Print final accuracies by seed, where several seeds were trained.

    Args:
        epochs: rows of epochs.csv.
    """
    spread = accuracy_spread(epochs) if len(epochs) else None
    if spread:
        run_tables.show_accuracy(console, spread, ", ".join(sorted(epochs["data_set"].dropna().unique())))


def warn(text: str) -> None:
    """A sentence on standard error, so that what is piped on stays a table."""
    layout.say(layout.stderr(), f"lenet-bench: {text}", "yellow")
