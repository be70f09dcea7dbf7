"""`lenet-bench baseline show` and `update`: what the gate holds accuracies against, and how that changes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.text import Text

from harness.commands.gate import BaselineFile
from harness.commands.options import (
    Backends,
    DataDir,
    DataSet,
    Here,
    NetworkName,
    Pythons,
    RecipeName,
    Results,
    Seed,
    Threads,
    Timeout,
    parse_pythons,
    whole,
)
from harness.errors import InputError, WorkerFailed
from harness.gate import baseline
from harness.proof import audit
from harness.results.folder import RunFolder
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.plan import default_plan
from harness.runs.training_run import train
from harness.spec.recipes import choose
from harness.tables import layout
from harness.tables.fitting import FittingTable

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
PROVENANCE = {
    "written_by": "Written by {}", "written_utc": "on {}", "machine": "measured on {}", "python_version": "Python {}",
    "lenet_bench_version": "lenet-bench {}", "run": "run {}",
}  # fmt: skip


@app.callback()
def root() -> None:
    """Show the accuracies that the gate compares others with, or measure them anew.

    Examples:

    - `lenet-bench baseline show`
    - `lenet-bench baseline update -b all`
    """


@app.command()
def show(
    backend: Backends = None,  # type: ignore[assignment]
    file: BaselineFile = None,
) -> None:
    """Print the baseline: accuracies with their spread over seeds, and who measured them, when and where.

    Examples:

    - `lenet-bench baseline show`
    - `lenet-bench baseline show -b torch --baseline other.csv`
    """
    file = baseline.find_baseline(file)
    rows = baseline.read_baseline(file)
    if backend:
        names = parse_backends(backend)
        rows = rows[rows["backend"].isin(names)]
    if not len(rows):
        raise InputError(f"{file} has no rows of {', '.join(names) if backend else 'any backend'}. {baseline.MAKE}")
    console = layout.stdout()
    for (network, recipe, data_set, batch_size, dtype), group in rows.groupby(
        ["network", "recipe", "data_set", "batch_size", "dtype"], sort=False
    ):
        parts = [network, *([f"recipe {recipe}"] if recipe != network else []), data_set, f"batch {batch_size}", dtype]
        console.print(Text(f"Test accuracy, %: {', '.join(map(str, parts))}", style="bold"))
        console.print(_table(group))
        _provenance(console, group)
    console.print("mean, sd (standard deviation), least: over the seeds. The gate holds new accuracies against these.")
    layout.say(console, f"Read from {file}")


def _table(rows: pd.DataFrame) -> FittingTable:
    table = layout.make_table()
    layout.make_columns(table, ["backend", "version"], ["epoch", "seeds", "mean\n%", "sd\npoints", "least\n%"], None)
    for _, row in rows.iterrows():
        shares = [f"{100 * float(row[f'test_accuracy_{name}']):.3f}" for name in ("mean", "sd", "min")]
        names = [Text(str(row[name])) for name in ("backend", "framework_version")]
        table.add_row(*names, str(row["epoch"]), str(row["seeds"]), *shares)
    return table


def _provenance(console: Console, rows: pd.DataFrame) -> None:
    for values in rows[list(PROVENANCE)].drop_duplicates().to_dict("records"):
        if pd.notna(values["written_utc"]):
            values["written_utc"] = f"{pd.Timestamp(values['written_utc']).tz_convert('UTC'):%Y-%m-%d, %H:%M UTC}"
        known = [PROVENANCE[str(name)].format(value) for name, value in values.items() if pd.notna(value)]
        text = ", ".join(known) or "Who measured this, when and where is not in the file (schema_version 1)."
        console.print(Text(text))
    console.print()


@app.command()
def update(
    backend: Backends = None,  # type: ignore[assignment]
    from_run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Take the trainings of this folder under results/.")
    ] = None,
    network: NetworkName = "",
    recipe: RecipeName = "",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    epochs: Annotated[int, typer.Option(parser=whole(1), metavar="N", help="Number of epochs of each training.")] = 5,
    seeds: Annotated[
        int,
        typer.Option(parser=whole(2), metavar="N", help="Number of trainings of each backend, each from another seed."),
    ] = 10,
    seed: Seed = 0,
    threads: Threads = 1,
    file: BaselineFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking, in CI for instance.")] = False,
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 900,
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Train, or take a run's trainings; show what would change; ask; write the baseline.

    Rows of the same backend, network, data set, recipe, batch size, precision and epoch are replaced. All other rows
    stay. Each row says who wrote it and when, and on which machine and with which versions it was measured. The first
    time, a file of your own begins with the rows that came with lenet-bench.

    Measure a new baseline only where another accuracy has become right: after a new recipe, new data, or a new network.
    A new version of a framework is no such reason: the gate is there to notice a loss in it.

    Examples:

    - `lenet-bench baseline update -b all`
    - `lenet-bench baseline update -b torch --seeds 20 --epochs 2`
    - `lenet-bench baseline update --from-run results/2026-11-21T12-56-40-torch-gate --yes`
    """
    if bool(backend) == bool(from_run):
        raise InputError("Which trainings? Give either --backend all, say, or --from-run results/RUN.")
    if not yes and not sys.stdin.isatty():
        raise InputError("There is no terminal to ask on whether the baseline may change. Give --yes.")
    known, file = baseline.find_baseline(file), file or baseline.FILE
    baseline.check_writable(file)
    if from_run:
        folder = RunFolder(from_run)
    else:
        chosen, names = choose(network, recipe), parse_backends(backend)
        folder = _train(
            make_entrants(
                names, threads=(threads,), batch_sizes=(chosen.batch_size,), network=chosen.network,
                device="cpu", dtype="float32",
            ),
            results=results_dir, pythons=parse_pythons(python or [], here=names if here else ()), recipe=chosen,
            data_set=data_set or chosen.data_set,
            data_dir=data_dir, rounds=seeds, most_rounds=seeds, seeds=seeds, seed=seed, epochs=epochs, timing=False,
            launch_timeout_s=launch_timeout,
        )  # fmt: skip
    new = baseline.from_run(folder)
    old = baseline.read_baseline(known) if known.exists() else None
    show_difference(layout.stdout(), baseline.difference(old, new))
    if not yes and not typer.confirm(f"Write these {len(new)} row(s) into {file}?"):
        layout.say(layout.stdout(), f"Nothing was written; the trainings are in {folder.path}")
        return
    begun = not file.exists() and known.exists()
    baseline.write_baseline(file, baseline.signed(new), begin=known)
    print(f"Wrote {file}." + " Its other rows are those that lenet-bench came with." * begun)


def _train(entrants: list[Any], *, results: Path, pythons: dict[str, str], **fields: Any) -> RunFolder:
    """Train for a baseline.

    Raises:
        WorkerFailed: a launch failed; a baseline of the seeds that are left would be of those that are easy.
    """
    plan = default_plan(entrants, **fields)
    trained = train(plan, results=results, pythons=pythons, suffix="baseline", auditor=audit.auditor_of)
    if trained.errors:
        words = "; ".join(f"{name}: {error}" for name, error in trained.errors.items())
        raise WorkerFailed(f"No baseline was written. {words}")
    return trained.run.folder


def show_difference(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print what would change: old and new mean, the difference in points, whether seeds alone explain it."""
    first = rows[0]
    title = f"Test accuracy, %: {first['network']}, recipe {first['recipe']}, {first['data_set']}"
    console.print(Text(title, style="bold"))
    table = layout.make_table()
    layout.make_columns(table, ["backend"], ["epoch", "old mean\n%", "new mean\n%", "difference\npoints"], "")
    for row in rows:
        words = {None: "new row", True: "within the noise of seeds", False: "MORE than the noise of seeds"}
        old = "-" if row["old"] is None else f"{100 * row['old']:.3f}"
        points = "-" if row["points"] is None else f"{row['points']:+.3f}"
        table.add_row(
            Text(str(row["backend"])), str(row["epoch"]), old, f"{100 * row['new']:.3f}", points, words[row["noise"]]
        )
    console.print(table)
    if any(row["noise"] is not None for row in rows):
        console.print("Noise of seeds: what other seeds could do, with 95 % confidence for all rows together.")
