"""Train a document's recipe, and hold what comes out against what the document printed, epoch by epoch."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import commands, interpreters, rounds
from harness.display import Display
from harness.errors import LenetBenchError, WorkerFailed
from harness.machine import this_machine
from harness.plan import Plan
from harness.published import FIGURES, Published
from harness.results import RunFolder, frame_of, read_table, write_table
from harness.schema import DOCUMENTS, SCHEMA_VERSION
from harness.tables import make_columns, make_table

NOTHING = Published()
# Rows of one training; a new training of the same replaces the old one in documents.csv.
KEY = ["recipe", "backend", "mode", "seed"]


def reproduce(plan: Plan, *, results: Path, pythons: dict[str, str]) -> pd.DataFrame:
    """Train every entrant of the plan; return rows of documents.csv.

    Raises:
        WorkerFailed: a training failed; what came before is in the run's folder.
    """
    backends = [entrant.backend for entrant in plan.entrants]
    found = {name: interpreters.find(name, given=pythons) for name in backends}
    with Display() as display:
        dataset = commands.load(plan.data_set or plan.recipe.data_set_asked, plan.data_dir, display)
        commands.check_fits(dataset, plan.recipe.network)
        folder = RunFolder.create(results, f"{commands.default_name(backends)}-{plan.recipe.name}")
        commands.announce(display, plan, dataset, found, folder)
        folder.write_environment(commands.environment_of(plan, dataset, found, {}))
        work = rounds.Rounds(plan, folder=folder, dataset=dataset, interpreters=found, display=display)
        work.execute()
        folder.write_environment(commands.environment_of(plan, dataset, found, work.packages))
    if work.failures:
        raise WorkerFailed("; ".join(f"{label}: {error}" for label, error in work.failures.items()))
    return _rows(folder.read("epochs"), plan)


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
    if path.exists():
        before = read_table(path, DOCUMENTS)
        again = set(map(tuple, rows[KEY].to_numpy()))
        kept = [tuple(key) not in again for key in before[KEY].to_numpy()]
        rows = pd.concat([before[kept], rows], ignore_index=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, rows.sort_values([*KEY, "epoch"], kind="stable"))
    except OSError as error:
        raise LenetBenchError(f"Cannot write {path}: {error.strerror}. Give another with --write.") from None


def show(console: Console, rows: pd.DataFrame) -> None:
    """Print published beside measured: a row an epoch, a column a backend; then the largest differences."""
    recipe = rows["recipe"].iloc[0]
    for column, published, title, form in (
        ("train_accuracy", "published_train_accuracy", "training accuracy, %", "percent"),
        ("train_loss", "published_loss", "mean training loss", "loss"),
        ("test_accuracy", "published_test_accuracy", "test accuracy, %", "percent"),
    ):
        if rows[column].notna().any():
            console.print(Text(f"{recipe}: {title}", style="bold"))
            console.print(_table(rows, column, published, form))


def _table(rows: pd.DataFrame, column: str, published: str, form: str) -> Table:
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
