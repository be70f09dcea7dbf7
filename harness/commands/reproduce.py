"""Train a document's recipe, and hold what comes out against what the document printed, epoch by epoch."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.text import Text

from harness.commands.options import (
    Backends,
    DataDir,
    Here,
    Mode,
    Pythons,
    Results,
    Seed,
    Threads,
    Timeout,
    parse_pythons,
    whole,
)
from harness.errors import LenetBenchError, WorkerFailed, unknown
from harness.files import alone_in
from harness.proof import audit
from harness.results.folder import frame_of, read_table, write_table
from harness.results.schema import DOCUMENTS, SCHEMA_VERSION
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.machine import this_machine
from harness.runs.plan import Plan, default_plan
from harness.runs.training_run import train
from harness.spec.published import FIGURES, FRAMEWORKS, Published, any_train_accuracy
from harness.spec.recipes import get_recipe
from harness.tables import layout
from harness.tables.fitting import FittingTable
from harness.tables.layout import make_columns, make_table

NOTHING = Published()
# Rows of one training; a new training of the same replaces the old one in documents.csv.
KEY = ["recipe", "backend", "mode", "seed"]


def reproduce(
    recipe: Annotated[str, typer.Argument(help=f"{', '.join(FIGURES)}: a document's recipe.")],
    backend: Backends = None,  # type: ignore[assignment]
    mode: Mode = None,
    epochs: Annotated[
        int | None, typer.Option(parser=whole(1), metavar="N", help="Number of epochs. [default: the document's]")
    ] = None,
    data_dir: DataDir = None,
    threads: Threads = 1,
    seed: Seed = 0,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the rows to this table, results/documents.csv for instance."),
    ] = None,
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 7200,
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Train what a source document trained; print published figures beside measured ones, epoch by epoch.

    The document's own framework trains, or those of --backend. All have the same initialiser, optimizer, loss and
    batches.

    Examples:

    - `lenet-bench reproduce folk`
    - `lenet-bench reproduce folk -b all --write results/documents.csv`
    - `lenet-bench reproduce gluon -b torch --epochs 5`
    """
    if recipe not in FIGURES:
        raise unknown("document's recipe", recipe, FIGURES)
    chosen = get_recipe(recipe)
    names = parse_backends(backend) if backend else [FRAMEWORKS[recipe]]
    entrants = make_entrants(
        names, modes=mode, threads=(threads,),
        batch_sizes=(chosen.batch_size,), network=chosen.network, device="cpu", dtype="float32",
    )  # fmt: skip
    plan = default_plan(
        entrants, recipe=chosen, data_set=chosen.data_set, data_dir=data_dir, rounds=1, most_rounds=1, seeds=1,
        seed=seed, epochs=epochs or chosen.epochs, timing=False, train_accuracy=any_train_accuracy(recipe),
        launch_timeout_s=launch_timeout,
    )  # fmt: skip
    pythons = parse_pythons(python or [], here=names if here else ())
    rows = train_recipe(plan, results=results_dir, pythons=pythons)
    show(layout.stdout(), rows)
    if write:
        record(rows, write)
        print(f"Wrote {write}.")


def train_recipe(plan: Plan, *, results: Path, pythons: dict[str, str]) -> pd.DataFrame:
    """Train every entrant of the plan; return rows of documents.csv.

    Raises:
        WorkerFailed: a training failed; what came before is in the run's folder.
    """
    trained = train(plan, results=results, pythons=pythons, suffix=plan.recipe.name, auditor=audit.auditor_of)
    if trained.failures:
        raise WorkerFailed("; ".join(f"{label}: {error}" for label, error in trained.failures.items()))
    return _rows(trained.run.folder.read_counted("epochs"), plan)


def _rows(epochs: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    figures = FIGURES[plan.recipe.name]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    rows = []
    for row in epochs.to_dict("records"):
        published = figures.get(row["epoch"], NOTHING)
        rows.append(
            {name: None if row.get(name) is pd.NA else row[name] for name in DOCUMENTS if name in row}
            | {
                "schema_version": SCHEMA_VERSION, "machine": this_machine().text, "measured_utc": now,
                "published_loss": published.loss, "published_train_accuracy": published.train_accuracy,
                "published_test_accuracy": published.test_accuracy,
            }
        )  # fmt: skip
    return frame_of(rows, DOCUMENTS)


def record(rows: pd.DataFrame, path: Path) -> None:
    """Add rows to documents.csv, in place of those of earlier trainings of the same.

    Raises:
        InputError: the file is there and is no such table.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LenetBenchError(f"Cannot write {path}: {error.strerror}. Give another with --write.") from None
    with alone_in(path.parent):
        if path.exists():
            before = read_table(path, DOCUMENTS)
            again = set(map(tuple, rows[KEY].to_numpy()))
            kept = [tuple(key) not in again for key in before[KEY].to_numpy()]
            rows = pd.concat([before[kept], rows], ignore_index=True)
        write_table(path, rows.sort_values([*KEY, "epoch"], kind="stable"))


def show(console: Console, rows: pd.DataFrame) -> None:
    """Print published beside measured: a row an epoch, a column a backend; then the largest differences."""
    recipe, data_set = rows["recipe"].iloc[0], rows["data_set"].iloc[0]
    for column, published, title, form in (
        ("train_accuracy", "published_train_accuracy", "training accuracy, %", "percent"),
        ("train_loss", "published_loss", "mean training loss", "loss"),
        ("test_accuracy", "published_test_accuracy", "test accuracy, %", "percent"),
    ):
        if rows[column].notna().any():
            console.print(Text(f"{recipe} on {data_set}: {title}", style="bold"))
            console.print(_table(rows, column, published, form))


def _table(rows: pd.DataFrame, column: str, published: str, form: str) -> FittingTable:
    measured = rows.pivot_table(index="epoch", columns="backend", values=column, dropna=False)
    printed = rows.groupby("epoch")[published].first()
    table = make_table()
    make_columns(table, ["epoch"], ["published", *measured.columns], None)
    for epoch in _shown(list(measured.index)):
        values = [printed[epoch], *measured.loc[epoch]]
        table.add_row(str(epoch), *(_cell(value, form) for value in values))
    return table


def _shown(epochs: list[int]) -> list[int]:
    """All epochs of a short training, and every tenth of a long one."""
    if len(epochs) <= 20:
        return epochs
    return [epoch for epoch in epochs if epoch == epochs[0] or epoch % 10 == 0 or epoch == epochs[-1]]


def _cell(value: float, form: str) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:.2%}".rstrip("%") if form == "percent" else f"{value:.5f}"
