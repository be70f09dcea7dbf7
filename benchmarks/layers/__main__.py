"""Where is the time of a step? Each framework's and the limit's, layer by layer, as a table and a figure.

    python -m benchmarks.layers                          the modes of the README, three rounds, ten minutes
    python -m benchmarks.layers -b torch,numba --mode torch:all --rounds 1 --figure ""

One process for each entrant and round, in random order, under the same controls as a launch of a run. Run it alone.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Table

from benchmarks.layers.figure import draw
from benchmarks.layers.networks import PARTS, parts
from harness.errors import LenetBenchError, WorkerFailed
from harness.files import ROOT
from harness.report.export import find_browser
from harness.runs.asked_controls import asked_controls
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.interpreters import find
from harness.runs.scratch import scratch_folder
from harness.tables import layout
from harness.worker import catalogue, controls
from harness.worker.job import Entrant

MODES = (
    "torch:eager,tensorflow:graph,tensorflow:epoch,jax:jit,jax:stencil,mxnet:hybrid,paddle:dynamic,paddle:apart,"
    "numba:kernels"
)
LIMIT = "numba kernels"
# For one process to compile and time all parts.
LIMIT_S = 600


def time_parts(entrant: Entrant, interpreter: str, folder: Path, seed: int) -> dict[str, float]:
    """Seconds that each part of a step takes in one process of its own.

    Raises:
        WorkerFailed: with the end of what the process said, or where it does not end.
    """
    folder.mkdir()
    asked = asked_controls(entrant, folder)
    told: dict[str, Any] = {
        "backend": entrant.backend, "mode": entrant.mode, "threads": entrant.threads, "batch_size": entrant.batch_size,
        "cpus": asked["cpus"], "steps": catalogue.steps_of(entrant), "seed": seed,
    }  # fmt: skip
    variables = controls.launch_environment(os.environ, asked["environment"])[0]  # type: ignore[arg-type]
    try:
        done = subprocess.run(
            [interpreter, "-m", "benchmarks.layers.times", json.dumps(told)],
            env=variables | {"PYTHONPATH": str(ROOT)}, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise WorkerFailed(f"{entrant.label}: its steps were not timed within {LIMIT_S} s.") from error
    if done.returncode:
        raise WorkerFailed(f"{entrant.label}: {' '.join(done.stderr.split())[-500:]}")
    return parts(json.loads(done.stdout.splitlines()[-1]))


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["all,numba"],  # noqa: B006
    mode: Annotated[str | None, typer.Option(help="As in lenet-bench run.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of a process of each entrant.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    figure: Annotated[str, typer.Option(help="SVG to write; empty for none.")] = "docs/figures/layers.svg",
) -> None:
    """Print what each part of a step takes, its share, and how often the limit's time that is; draw it."""
    if figure:
        # Before ten minutes of timing, not behind them.
        find_browser()
    names = parse_backends(backend)
    chosen = mode or ",".join(each for each in MODES.split(",") if each.split(":")[0] in names)
    entrants = make_entrants(
        names, modes=chosen, threads=(1,), batch_sizes=(batch_size,), network="lenet5", device="cpu", dtype="float32",
    )  # fmt: skip
    pythons = {each.backend: find(each.backend).path for each in entrants}
    rows = []
    with scratch_folder() as scratch:
        for number in range(1, rounds + 1):
            for entrant in random.Random(number).sample(entrants, len(entrants)):
                folder = scratch / f"{number} {entrant.label}".replace(" ", "-")
                found = time_parts(entrant, pythons[entrant.backend], folder, number)
                print(f"round {number}/{rounds}  {entrant.label}: {sum(found.values()) * 1e6:,.0f} us", file=sys.stderr)
                rows.append({"entrant": entrant.label, "round": number} | {part: found[part] * 1e6 for part in PARTS})
    times = pd.DataFrame(rows)
    show(times, batch_size)
    if figure:
        draw(times.groupby("entrant")[list(PARTS)].mean(), Path(figure))


def show(times: pd.DataFrame, batch_size: int) -> None:
    """Print microseconds, shares of the step and multiples of the limit's time.

    Args:
        times: a row for each entrant and round; columns entrant, round and PARTS, in us.
    """
    console, groups = layout.stdout(), times.groupby("entrant")[list(PARTS)]
    mean, half = groups.mean(), (groups.max() - groups.min()) / 2
    step = mean.sum(axis=1).sort_values()
    mean, half = mean.loc[step.index], half.loc[step.index]
    launches = times["round"].nunique()
    of = f"mean of {launches} launches, half of their range" if launches > 1 else "of one launch"
    console.print(f"Training step of {batch_size} images, us: {of}")
    cells = mean.map("{:,.0f}".format) + (half.map(" ±{:,.0f}".format) if launches > 1 else "")
    console.print(_table(cells.assign(step=step.map("{:,.0f}".format))))
    console.print("\nShare of the step")
    console.print(_table(mean.div(step, axis=0).map("{:.0%}".format)))
    if LIMIT in mean.index:
        console.print("\nTimes as long as the limit's")
        ratios = mean.div(mean.loc[LIMIT]).assign(step=step / step[LIMIT])
        console.print(_table(ratios.drop(index=LIMIT).map("{:.1f}".format)))
    for name, what in PARTS.items():
        console.print(f"{name}: {what}")


def _table(cells: pd.DataFrame) -> Table:
    table = layout.make_table()
    layout.make_columns(table, ["entrant"], list(cells.columns), None)
    for entrant, row in cells.iterrows():
        table.add_row(str(entrant), *row)
    return table


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"layers: {error}")
