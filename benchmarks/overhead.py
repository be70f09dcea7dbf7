"""Is the harness fair? Each backend against a hand-written loop of the same framework, in paired rounds.

    nox -s overhead                         all five, six rounds
    nox -s overhead -- --backend torch --rounds 10

Both sides get the same arrays, batch size, threads, CPUs and variables, one right after the other, in random order;
the ratio is of launches paired by round. Ends with what the stopwatch itself adds to an interval.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from harness import catalogue, commands, controls, rounds, tables
from harness.batches import Data
from harness.data import load_dataset
from harness.display import Display
from harness.errors import LenetBenchError
from harness.interpreters import Interpreter, find
from harness.job import Entrant, Job, block_steps
from harness.launch import launch
from harness.measure import DISTINCT_BLOCKS, timed
from harness.network import get_network
from harness.recipe import LENET5
from harness.start import initial_weights
from harness.statistics import paired_ratio

LOOPS = Path(__file__).parent / "loops"
SECONDS = 2.0

Side = Callable[[Entrant, Interpreter, Path, Path], float]


def harness_speed(entrant: Entrant, interpreter: Interpreter, scratch: Path, folder: Path) -> float:
    """Images per second of one launch of the harness."""
    job = Job(
        kind="measure",
        entrant=entrant,
        recipe=LENET5.as_dict(),
        seed=0,
        data=str(scratch),
        weights=str(scratch / "weights.npz"),
        asked=rounds.asked_controls(entrant, folder),
        steady_s=SECONDS,
        inference_sizes=(),
    )
    result = launch(job, interpreter=interpreter.path, folder=folder, timeout_s=300, listen=lambda message: None)
    return float(result["train_images_per_s"])


def loop_speed(entrant: Entrant, interpreter: Interpreter, scratch: Path, folder: Path) -> float:
    """Images per second of one process of the hand-written loop, under the same controls."""
    folder.mkdir()
    asked = controls.asked_variables(threads=entrant.threads, scratch=folder)
    environment, _ = controls.launch_environment(os.environ, asked)
    cpus = controls.choose_cpus(entrant.threads)
    pinned = f"import os, runpy, sys; os.sched_setaffinity(0, {cpus}); sys.argv = sys.argv[1:]; "
    script = str(LOOPS / f"{entrant.backend}_loop.py")
    # run_path does for a script what `python script.py` does, once the process is pinned.
    code = pinned + f"sys.path.insert(0, {str(LOOPS)!r}); runpy.run_path({script!r}, run_name='__main__')"
    answer = subprocess.run(
        [interpreter.path, "-c", code, script, str(scratch / "blocks.npz"), str(entrant.threads), str(SECONDS)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if answer.returncode or not answer.stdout.strip():
        raise LenetBenchError(f"{script} failed:\n{answer.stderr[-2000:]}")
    return float(json.loads(answer.stdout.strip().splitlines()[-1])["train_images_per_s"])


def prepare(scratch: Path, entrant: Entrant) -> None:
    """Write what both sides read: data set and weights for the harness, its very batches for the loop."""
    rounds.write_dataset(load_dataset(), scratch)
    network = get_network(entrant.network)
    np.savez(scratch / "weights.npz", **initial_weights(network, seed=0))  # type: ignore[arg-type]
    data = Data(scratch, input_shape=network.input_shape, dtype=entrant.dtype)
    steps = block_steps(entrant.batch_size)
    order = data.order(seed=0, epoch=0, batch_size=entrant.batch_size)[: steps * DISTINCT_BLOCKS]
    images, labels = (np.stack(part) for part in zip(*(data.train_batch(index) for index in order), strict=True))
    blocks = (DISTINCT_BLOCKS, steps)
    np.savez(
        scratch / "blocks.npz",
        images=images.reshape(*blocks, *images.shape[1:]),
        labels=labels.reshape(*blocks, *labels.shape[1:]),
    )


def stopwatch_seconds() -> float:
    """What `timed` adds: the median interval that it measures around nothing."""
    return float(np.median([timed(lambda: None, synchronize=lambda: None) for _ in range(10_000)]))


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["all"],  # noqa: B006
    rounds_: Annotated[int, typer.Option("--rounds", min=2, help="Pairs of launches of each backend.")] = 6,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    batch_size: Annotated[int, typer.Option(min=1)] = LENET5.batch_size,
) -> None:
    """Print the ratio harness / hand-written loop of each backend, with its interval."""
    names = commands.parse_backends(backend)
    found = {name: find(name) for name in names}
    fields: dict[str, Any] = {"network": "lenet5", "feed": "host", "device": "cpu", "dtype": "float32"}
    entrants = [
        commands.make_entrant(
            name, mode=None, environment="controlled", threads=threads, batch_size=batch_size, **fields
        )
        for name in names
        if name in catalogue.FRAMEWORKS
    ]
    speeds: dict[tuple[str, str], list[float]] = {}
    with Display() as display, rounds.scratch_folder() as scratch:
        prepare(scratch, entrants[0])
        display.start(2 * len(entrants))
        for number in range(1, rounds_ + 1):
            display.round_started(number)
            for entrant, side in order_of(entrants, number):
                label = f"{entrant.backend} {'harness' if side is harness_speed else 'loop'}"
                display.launch_started(label)
                folder = scratch / f"{number}-{label.replace(' ', '-')}"
                speed = side(entrant, found[entrant.backend], scratch, folder)
                speeds.setdefault((entrant.backend, label.split()[1]), []).append(speed)
                display.note(f"round {number}/{rounds_}  {label}: {speed:,.0f} images/s")
                display.launch_finished({}, None)
    show(entrants, speeds)


def order_of(entrants: list[Entrant], number: int) -> list[tuple[Entrant, Side]]:
    """A round: entrants in random order, the two sides of each one after the other, in random order too.

    The machine drifts over minutes; neighbours in time share the drift, so their ratio does not have it.
    """
    shuffled = random.Random(number)
    order = []
    for entrant in shuffled.sample(entrants, len(entrants)):
        order += [(entrant, side) for side in shuffled.sample([harness_speed, loop_speed], 2)]
    return order


def show(entrants: list[Entrant], speeds: dict[tuple[str, str], list[float]]) -> None:
    """Print the table and what the stopwatch adds."""
    table = Table("backend", "mode", box=None, pad_edge=False, header_style="bold")
    for header in ("harness", "loop", "ratio", "95 % interval", "clock adds"):
        table.add_column(header, justify="right", no_wrap=True)
    added = stopwatch_seconds()
    for entrant in entrants:
        ours, theirs = speeds[entrant.backend, "harness"], speeds[entrant.backend, "loop"]
        ratio = paired_ratio(ours, theirs)
        share = added / (block_steps(entrant.batch_size) * entrant.batch_size / float(np.median(ours)))
        table.add_row(
            entrant.backend,
            entrant.mode,
            f"{np.median(ours):,.0f}",
            f"{np.median(theirs):,.0f}",
            f"{ratio.estimate:.3f}",
            f"{ratio.low:.3f}..{ratio.high:.3f}",
            f"{share:.5%}",
        )
    console = tables.stdout()
    console.print("Training images/s: the harness, a hand-written loop, harness / loop paired by round")
    console.print(table)
    steps = block_steps(entrants[0].batch_size)
    console.print(f"The stopwatch measures {added * 1e9:.0f} ns around nothing; an interval is {steps} steps.")


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"overhead: {error}")
