"""Is the harness fair? Each backend and mode against a hand-written loop of the same framework, in turns.

    nox -s overhead                         all five in their default modes, six rounds
    nox -s overhead -- --backend torch --mode all --rounds 10
    python -m benchmarks.overhead -b torch,jax --device gpu      told to the loops in LENET_BENCH_LOOP_DEVICE

In each round both sides are started, and take turns of one block: same arrays, batch size, threads, CPUs, variables.
The median ratio of the turns is the round's. Ends with what the stopwatch itself adds to an interval.
"""

from __future__ import annotations

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

from harness.analysis.statistics import mean_of_logs
from harness.data.sources import load_dataset
from harness.errors import LenetBenchError
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.interpreters import find
from harness.runs.outlook import Piece
from harness.runs.scratch import scratch_folder, write_dataset
from harness.runs.worker_process import WorkerProcess
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.tables import layout
from harness.worker import catalogue, controls
from harness.worker.batches import Data
from harness.worker.job import Entrant, Job
from harness.worker.stopwatch import timed
from harness.worker.turns import RETURN_STEPS

LOOPS = Path(__file__).parent / "loops"
TURNS = 24
# Blocks that a hand-written loop goes round.
DISTINCT_BLOCKS = 5


class Harness:
    """A launch of the harness, as `run` makes it, that takes turns."""

    def __init__(self, entrant: Entrant, interpreter: str, scratch: Path, folder: Path) -> None:
        job = Job(
            kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(scratch),
            weights=str(scratch / "weights.npz"), asked=asked_controls(entrant, folder), steady_s=0.01,
            turns=TURNS, inference_sizes=(),
        )  # fmt: skip
        self._worker = WorkerProcess(job, interpreter=interpreter, folder=folder, timeout_s=300)
        self._worker.ready(lambda message: None)

    def turn(self) -> None:
        """Time a block."""
        self._worker.turn(lambda message: None)

    def end(self) -> np.ndarray:
        """Microseconds of a step in each turn."""
        with self._worker:
            result = self._worker.result(lambda message: None)
        return np.array(result["turn_step_us"].split(), float)


class Loop:
    """A process of the hand-written loop of the entrant's mode, under the same controls, that takes turns."""

    def __init__(self, entrant: Entrant, interpreter: str, scratch: Path, folder: Path) -> None:
        folder.mkdir()
        self._script = str(LOOPS / f"{entrant.backend}_loop.py")
        self._steps = catalogue.steps_of(entrant)
        self._seconds: list[float] = []
        cpus = controls.choose_cpus(entrant.threads)
        pinned = f"import os, runpy, sys; os.sched_setaffinity(0, {cpus}); sys.argv = sys.argv[1:]; "
        # run_path does for a script what `python script.py` does, once the process is pinned.
        code = pinned + f"sys.path.insert(0, {str(LOOPS)!r}); runpy.run_path({self._script!r}, run_name='__main__')"
        whole = entrant.mode in catalogue.blockwise(entrant.backend)
        back = self._steps if whole else RETURN_STEPS
        arguments = [entrant.mode, str(_arrays(scratch, entrant)), str(entrant.threads), str(back)]
        asked = controls.asked_variables(threads=entrant.threads, scratch=folder)
        self._log = folder / "log.txt"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [interpreter, "-c", code, self._script, *arguments],
                env=controls.launch_environment(os.environ, asked)[0] | {"LENET_BENCH_LOOP_DEVICE": entrant.device},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._answer()

    def turn(self) -> None:
        """Time a block."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._seconds.append(float(self._answer()))

    def end(self) -> np.ndarray:
        """Microseconds of a step in each turn."""
        self._process.communicate(timeout=60)
        return np.array(self._seconds) / self._steps * 1e6

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        if not answer:
            self._process.kill()
            raise LenetBenchError(f"{self._script} failed:\n{self._log.read_text()[-2000:]}")
        return answer


def one_round(
    entrant: Entrant, interpreter: str, scratch: Path, name: str, tell: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds of a step in each turn, of the harness and of the loop; started and timed in random order.

    Args:
        tell: told of every turn before it begins, and how many there are.
    """
    order = random.Random(name)
    sides: dict[type, Harness | Loop] = {}
    for side in order.sample([Harness, Loop], 2):
        sides[side] = side(entrant, interpreter, scratch, scratch / f"{name} {side.__name__}".replace(" ", "-"))
    for turn in range(1, TURNS + 1):
        tell(turn, TURNS)
        for each in order.sample(list(sides.values()), 2):
            each.turn()
    return sides[Harness].end(), sides[Loop].end()


def prepare(scratch: Path, entrant: Entrant) -> None:
    """Write what the harness reads: data set and weights."""
    write_dataset(load_dataset(), scratch)
    network = get_network(entrant.network)
    np.savez(scratch / "weights.npz", **initial_weights(network, seed=0))  # type: ignore[arg-type]


def _arrays(scratch: Path, entrant: Entrant) -> Path:
    """The file that a loop reads: batches of the harness's own making, in blocks of the very lengths that it times."""
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
    rounds_: Annotated[int, typer.Option("--rounds", min=2, help="Of a launch of each side for each entrant.")] = 6,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    batch_size: Annotated[int, typer.Option(min=1)] = LENET5.batch_size,
    device: Annotated[str, typer.Option(help="cpu, or gpu: torch and jax have loops for it.")] = "cpu",
) -> None:
    """Print the ratio harness / hand-written loop of each entrant, with its interval."""
    names = [name for name in parse_backends(backend) if name in catalogue.FRAMEWORKS]
    pythons = {name: find(name, device=device).path for name in names}
    entrants = make_entrants(
        names, modes=mode, threads=(threads,), batch_sizes=(batch_size,), network="lenet5", device=device,
        dtype="float32",
    )  # fmt: skip
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {entrant.label: [] for entrant in entrants}
    with Display() as display, scratch_folder() as scratch:
        prepare(scratch, entrants[0])
        display.start(len(entrants))
        display.outlook.expect(Piece("loop", each.label) for each in entrants * rounds_)
        for number in range(1, rounds_ + 1):
            display.round_started(number, f"round {number} of {rounds_}")
            for entrant in random.Random(number).sample(entrants, len(entrants)):
                display.outlook.begin(Piece("loop", entrant.label))
                display.launch_started(entrant.label)
                name = f"{number} {entrant.label}"
                pair = one_round(entrant, pythons[entrant.backend], scratch, name, display.turn_started)
                found[entrant.label].append(pair)
                ratio = float(np.median(pair[1] / pair[0]))
                display.note(f"round {number}/{rounds_}  {entrant.label}: harness / loop {ratio:.3f}")
                display.launch_finished({}, None)
    show(entrants, found)


def show(entrants: list[Entrant], found: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Print the table and what the stopwatch adds."""
    table = Table("backend", "mode", box=None, pad_edge=False, header_style="bold")
    for header in ("harness", "loop", "ratio", "95 % interval", "clock adds"):
        table.add_column(header, justify="right", no_wrap=True)
    added = stopwatch_seconds()
    for entrant in entrants:
        pairs = found[entrant.label]
        ours, theirs = (float(np.median([np.median(pair[side]) for pair in pairs])) for side in (0, 1))
        # Of speeds, so the loop's time over ours.
        ratio = mean_of_logs([float(np.exp(np.median(np.log(pair[1] / pair[0])))) for pair in pairs])
        table.add_row(
            entrant.backend,
            entrant.mode,
            f"{entrant.batch_size / ours * 1e6:,.0f}",
            f"{entrant.batch_size / theirs * 1e6:,.0f}",
            f"{ratio.estimate:.3f}",
            f"{ratio.low:.3f}..{ratio.high:.3f}",
            f"{added * 1e6 / (catalogue.steps_of(entrant) * ours):.5%}",
        )
    console = layout.stdout()
    console.print("Training images/s: harness, hand-written loop, their ratio by turn and round")
    console.print(table)
    steps = catalogue.steps_of(entrants[0])
    console.print(f"The stopwatch measures {added * 1e9:.0f} ns around nothing; an interval is {steps} steps.")


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"overhead: {error}")
