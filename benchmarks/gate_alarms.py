"""Does the gate cry wolf, and does it sleep? Honest trainings from new seeds, formed into gates of a few seeds each.

    nox -s gate-alarms                                        PyTorch, 40 gates of 2 seeds and 2 epochs: 80 trainings
    nox -s gate-alarms -- --backend mxnet --gates 20
    nox -s gate-alarms -- --from-run results/2026-11-21T12-56-40-torch-gate

Every gate is judged as `lenet-bench gate` judges, against the committed baseline. Then the same trainings are judged
once more with a point (--loss) taken off each accuracy: how many of these gates fail says how surely that is found.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.text import Text

from harness.commands.gate import EPOCHS, SEEDS
from harness.errors import InputError, LenetBenchError, WorkerFailed
from harness.gate import verdicts
from harness.gate.baseline import FILE, KEY, read_baseline
from harness.gate.verdicts import Accuracy
from harness.results.folder import RunFolder
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.plan import default_plan
from harness.runs.training_run import train
from harness.spec.recipes import LENET5
from harness.tables import layout


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["torch"],  # noqa: B006
    gates: Annotated[int, typer.Option(min=1, help="Of each backend.")] = 40,
    seeds: Annotated[int, typer.Option(min=1, help="Of a gate.")] = SEEDS,
    epochs: Annotated[int, typer.Option(min=1, help="Of a training.")] = EPOCHS,
    seed: Annotated[int, typer.Option(min=0, help="The first; the baseline's are 0 to 9.")] = 1000,
    loss: Annotated[float, typer.Option(help="Points that are taken off for the second table.")] = 1.0,
    from_run: Annotated[list[Path] | None, typer.Option(help="Take the trainings of these folders.")] = None,
    baseline: Annotated[Path, typer.Option(help="What accuracies are held against.")] = FILE,
    results_dir: Annotated[Path, typer.Option(help="Where the trainings go.")] = Path("results"),
) -> None:
    """Train, or take trainings; count the gates that fail."""
    known = read_baseline(baseline)
    trainings = read_runs(from_run) if from_run else train_all(backend, gates * seeds, epochs, seed, results_dir)
    last = trainings[trainings["epoch"] == epochs]
    if not len(last):
        raise InputError(f"These trainings have no epoch {epochs}.")
    honest = {str(name): form_gates(group, known, seeds)[:gates] for name, group in last.groupby("backend")}
    worse = last.assign(test_accuracy=last["test_accuracy"] - loss / 100)
    lossy = {str(name): form_gates(group, known, seeds)[:gates] for name, group in worse.groupby("backend")}
    show(honest, lossy, loss)


def train_all(backend: list[str], count: int, epochs: int, seed: int, results: Path) -> pd.DataFrame:
    """Train every backend from `count` seeds; rows of epochs.csv."""
    entrants = make_entrants(parse_backends(backend), network="lenet5", device="cpu", dtype="float32")
    plan = default_plan(
        entrants, recipe=LENET5, data_set="", data_dir=None, rounds=count, most_rounds=count, seeds=count, seed=seed,
        epochs=epochs, timing=False,
    )  # fmt: skip
    trained = train(plan, results=results, pythons={}, suffix="alarms")
    if trained.errors:
        raise WorkerFailed(f"Not all trainings succeeded: {trained.errors}")
    print(f"Trainings: {trained.run.folder.path}")
    return trained.run.folder.read("epochs")


def read_runs(folders: list[Path]) -> pd.DataFrame:
    """Rows of epochs.csv of several runs."""
    return pd.concat([RunFolder(folder).read("epochs") for folder in folders], ignore_index=True)


def form_gates(epochs: pd.DataFrame, known: pd.DataFrame, seeds: int) -> list[Accuracy]:
    """Judge neighbouring seeds together, as many times as there are whole gates; no training is in two gates."""
    rows = epochs.sort_values("seed").drop_duplicates("seed", ignore_index=True)
    first = rows.iloc[0]
    wanted = {name: first[name] for name in KEY}
    found: list[Accuracy] = []
    for start in range(0, len(rows) - seeds + 1, seeds):
        found += verdicts.judge(rows[start : start + seeds], known, wanted=wanted, backends=[str(first["backend"])])
    return found


def show(honest: dict[str, list[Accuracy]], lossy: dict[str, list[Accuracy]], loss: float) -> None:
    """Print alarms of honest gates with the nearest miss, and how many are caught that lost points."""
    console = layout.stdout()
    table = layout.make_table()
    headers = ["gates", "alarms", "mean %", "bound %", "least %", "floor %", "nearest", f"-{loss:g}: caught"]
    layout.make_columns(table, ["backend"], headers, None)
    for name, found in honest.items():
        table.add_row(
            name,
            str(len(found)),
            str(sum(each.below for each in found)),
            f"{100 * sum(each.measured or 0 for each in found) / len(found):.2f}",
            f"{100 * found[0].bound:.2f}",
            f"{100 * min(each.least or 0 for each in found):.2f}",
            f"{100 * found[0].floor:.2f}",
            f"{100 * min(each.distance for each in found):+.2f}",
            f"{sum(each.below for each in lossy[name])} of {len(lossy[name])}",
        )
    console.print(Text(f"Honest gates of {next(iter(honest.values()))[0].seeds} new seeds", style="bold"))
    console.print(table)
    console.print("nearest: the least distance of a gate to bound or floor, in points")


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"gate-alarms: {error}")
