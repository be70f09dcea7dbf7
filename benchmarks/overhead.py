"""Is the harness fair? Each backend and mode against a hand-written loop of the same framework, in paired rounds.

    nox -s overhead                         all five in their default modes, six rounds
    nox -s overhead -- --backend torch --mode all --rounds 10

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
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from harness import catalogue, controls, rounds, tables
from harness.batches import Data
from harness.data import load_dataset
from harness.display import Display
from harness.entrants import make_entrants, parse_backends
from harness.errors import LenetBenchError
from harness.interpreters import Interpreter, find
from harness.job import Entrant, Job
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
    """Images per second of one process of the hand-written loop of the entrant's mode, under the same controls."""
    folder.mkdir()
    asked = controls.asked_variables(threads=entrant.threads, scratch=folder)
    environment, _ = controls.launch_environment(os.environ, asked)
    cpus = controls.choose_cpus(entrant.threads)
    pinned = f"import os, runpy, sys; os.sched_setaffinity(0, {cpus}); sys.argv = sys.argv[1:]; "
    script = str(LOOPS / f"{entrant.backend}_loop.py")
    # run_path does for a script what `python script.py` does, once the process is pinned.
    code = pinned + f"sys.path.insert(0, {str(LOOPS)!r}); runpy.run_path({script!r}, run_name='__main__')"
    answer = subprocess.run(
        [
            interpreter.path,
            "-c",
            code,
            script,
            entrant.mode,
            str(_arrays(scratch, entrant)),
            str(entrant.threads),
            str(SECONDS),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if answer.returncode or not answer.stdout.strip():
        raise LenetBenchError(f"{script} failed:\n{answer.stderr[-2000:]}")
    return float(json.loads(answer.stdout.strip().splitlines()[-1])["train_images_per_s"])


def prepare(scratch: Path, entrant: Entrant) -> None:
    """Write what the harness reads: data set and weights."""
    rounds.write_dataset(load_dataset(), scratch)
    network = get_network(entrant.network)
    np.savez(scratch / "weights.npz", **initial_weights(network, seed=0))  # type: ignore[arg-type]


def _arrays(scratch: Path, entrant: Entrant) -> Path:
    """The file that a loop reads, with the very batches, in blocks of the very lengths, that the harness times."""
    steps = catalogue.steps_of(entrant)
    file = scratch / f"blocks-{steps}.npz"
    if not file.exists():
        network = get_network(entrant.network)
        data = Data(scratch, input_shape=network.input_shape, dtype=entrant.dtype)
        order = data.order(seed=0, epoch=0, batch_size=entrant.batch_size)[: steps * DISTINCT_BLOCKS]
        images, labels = (np.stack(part) for part in zip(*(data.train_batch(index) for index in order), strict=True))
        blocks = (DISTINCT_BLOCKS, steps)
        np.savez(
            file,
            images=images.reshape(*blocks, *images.shape[1:]),
            labels=labels.reshape(*blocks, *labels.shape[1:]),
        )
    return file


def stopwatch_seconds() -> float:
    """What `timed` adds: the median interval that it measures around nothing."""
    return float(np.median([timed(lambda: None, synchronize=lambda: None) for _ in range(10_000)]))


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["all"],  # noqa: B006
    mode: Annotated[str | None, typer.Option(help="As in lenet-bench run: names with commas, or all.")] = None,
    rounds_: Annotated[int, typer.Option("--rounds", min=2, help="Pairs of launches of each backend.")] = 6,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    batch_size: Annotated[int, typer.Option(min=1)] = LENET5.batch_size,
) -> None:
    """Print the ratio harness / hand-written loop of each entrant, with its interval."""
    names = [name for name in parse_backends(backend) if name in catalogue.FRAMEWORKS]
    found = {name: find(name) for name in names}
    entrants = make_entrants(
        names, modes=mode, threads=(threads,), batch_sizes=(batch_size,), network="lenet5", device="cpu",
        dtype="float32",
    )  # fmt: skip
    speeds: dict[tuple[str, str], list[float]] = {}
    with Display() as display, rounds.scratch_folder() as scratch:
        prepare(scratch, entrants[0])
        display.start(2 * len(entrants))
        for number in range(1, rounds_ + 1):
            display.round_started(number)
            for entrant, side in order_of(entrants, number):
                which = "harness" if side is harness_speed else "loop"
                display.launch_started(f"{entrant.label} {which}")
                folder = scratch / f"{number}-{entrant.label.replace(' ', '-')}-{which}"
                speed = side(entrant, found[entrant.backend], scratch, folder)
                speeds.setdefault((entrant.label, which), []).append(speed)
                display.note(f"round {number}/{rounds_}  {entrant.label} {which}: {speed:,.0f} images/s")
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
        ours, theirs = speeds[entrant.label, "harness"], speeds[entrant.label, "loop"]
        ratio = paired_ratio(ours, theirs)
        share = added / (catalogue.steps_of(entrant) * entrant.batch_size / float(np.median(ours)))
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
    steps = catalogue.steps_of(entrants[0])
    console.print(f"The stopwatch measures {added * 1e9:.0f} ns around nothing; an interval is {steps} steps.")


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"overhead: {error}")
