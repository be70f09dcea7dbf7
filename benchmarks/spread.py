"""Why do launches differ? The same launch under the harness's controls and with one of them changed at a time.

    nox -s spread                                             controlled, its twin, and native, ten launches each
    nox -s spread -- --variant controlled --variant allocator --backend torch --rounds 6
    nox -s spread -- --backend jax --variant controlled --set XLA_FLAGS=--xla_cpu_enable_fast_math=true

In each round all variants of a backend are started, and take turns of one block, as entrants of a run do. For each: the
spread of its launches (standard deviation over mean); its speed against the first variant's, paired by turn and round,
with an interval; what is left of the spread in these pairs, from which the machine's drift is gone; page faults.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.text import Text

from benchmarks.overhead import prepare
from harness.analysis.comparison import paired_spread, ratio_of
from harness.errors import InputError, LenetBenchError, WorkerFailed, unknown
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.interpreters import find
from harness.runs.outlook import Piece
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import WorkerProcess
from harness.spec.recipes import LENET5
from harness.tables import layout
from harness.worker.controls import ALLOCATOR
from harness.worker.job import Entrant, Job

Asked = dict[str, Any]
Row = dict[str, Any]
Variant = tuple[int, Callable[[Asked], Asked]]
TURNS = 24
KEPT = (
    "train_images_per_s", "turn_step_us", "page_faults_per_step", "steal_share", "other_load", "preemptions_per_step",
)  # fmt: skip


def _without(*names: str) -> Callable[[Asked], Asked]:
    return lambda asked: asked | {"environment": {k: v for k, v in asked["environment"].items() if k not in names}}


def _with(**variables: str) -> Callable[[Asked], Asked]:
    return lambda asked: asked | {"environment": asked["environment"] | variables}


# What is changed of a controlled launch: its threads, and its controls.
VARIANTS: dict[str, Variant] = {
    "controlled": (1, lambda asked: asked),
    "twin": (1, lambda asked: asked),
    "allocator": (1, _without(*ALLOCATOR)),
    "hugepages": (1, _with(GLIBC_TUNABLES="glibc.malloc.hugetlb=1")),
    "hashseed": (1, _with(PYTHONHASHSEED="0")),
    "unpinned": (1, lambda asked: asked | {"cpus": []}),
    "two-threads": (2, lambda asked: asked),
    "two-passive": (2, _with(OMP_WAIT_POLICY="passive")),
    "two-active": (2, _with(OMP_WAIT_POLICY="active")),
    "native": (0, lambda asked: {}),
}
SENTENCES = {
    "controlled": "all controls, one thread",
    "twin": "the same: what launches differ by in any case",
    "allocator": "without fixed allocator thresholds",
    "hugepages": "with huge pages for malloc (glibc.malloc.hugetlb=1)",
    "hashseed": "with PYTHONHASHSEED=0",
    "unpinned": "without CPU affinity (JAX takes all CPUs then, and is refused)",
    "two-threads": "all controls, two threads",
    "two-passive": "two threads, OMP_WAIT_POLICY=passive",
    "two-active": "two threads, OMP_WAIT_POLICY=active (alone: its threads spin while others have their turns)",
    "native": "--environment native",
}


class Launch:
    """A worker under a variant that takes turns.

    Attributes:
        error: why it was refused; it then does nothing more.
    """

    def __init__(self, entrant: Entrant, variant: Variant, interpreter: str, scratch: Path, folder: Path) -> None:
        threads, change = variant
        entrant = replace(entrant, threads=threads, environment="controlled" if threads else "native")
        job = Job(
            kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(scratch),
            weights=str(scratch / "weights.npz"), asked=change(asked_controls(entrant, folder)), steady_s=0.01,
            turns=TURNS, inference_sizes=(),
        )  # fmt: skip
        self.error = ""
        self._worker = WorkerProcess(job, interpreter=interpreter, folder=folder, timeout_s=300)
        self._attempt(lambda: self._worker.ready(lambda message: None))

    def turn(self) -> None:
        """Time a block."""
        self._attempt(lambda: self._worker.turn(lambda message: None))

    def end(self) -> Row:
        """What it found, or why it was refused."""
        result: Row = {}
        self._attempt(lambda: result.update(self._worker.result(lambda message: None)))
        self._worker.close()
        return {"error": self.error} if self.error else {name: result[name] for name in KEPT}

    def _attempt(self, step: Callable[[], None]) -> None:
        if self.error:
            return
        try:
            step()
        except WorkerFailed as error:
            self.error = str(error).splitlines()[0]


def one_round(
    entrant: Entrant, variants: dict[str, Variant], interpreter: str, scratch: Path, number: int, display: Display
) -> list[Row]:
    """Start every variant in random order, let them take turns, return a row for each."""
    order = random.Random(f"{number} {entrant.backend}")
    launches = {}
    for place, name in enumerate(order.sample(list(variants), len(variants))):
        display.launch_started(f"{entrant.backend} {name}")
        folder = scratch / f"{number}-{entrant.backend}-{place}"
        launches[name] = Launch(entrant, variants[name], interpreter, scratch, folder)
    for turn in range(1, TURNS + 1):
        display.turn_started(turn, TURNS)
        for each in order.sample(list(launches.values()), len(launches)):
            each.turn()
    identity = {"run": "spread", "round": number, "backend": entrant.backend, "batch_size": entrant.batch_size}
    return [identity | {"variant": name} | launches[name].end() for name in variants]


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["all"],  # noqa: B006
    variant: Annotated[list[str], typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = ["controlled", "twin", "native"],  # noqa: B006
    set_: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A variant with this variable.")] = [],  # noqa: B006
    rounds_: Annotated[int, typer.Option("--rounds", min=2, help="Launches of each backend in each variant.")] = 10,
    csv: Annotated[Path | None, typer.Option(help="Write every launch here, too.")] = None,
) -> None:
    """Print the spread of launches of each backend in each variant."""
    variants = _variants(variant, set_)
    entrants = make_entrants(parse_backends(backend), network="lenet5", device="cpu", dtype="float32")
    pythons = {entrant.backend: find(entrant.backend).path for entrant in entrants}
    rows: list[Row] = []
    with Display() as display, scratch_folder() as scratch:
        prepare(scratch, entrants[0])
        display.start(len(entrants))
        display.outlook.expect(Piece("variants", f"{each.backend} {' '.join(variants)}") for each in entrants * rounds_)
        for number in range(1, rounds_ + 1):
            display.round_started(number, f"round {number} of {rounds_}")
            for entrant in random.Random(number).sample(entrants, len(entrants)):
                display.outlook.begin(Piece("variants", f"{entrant.backend} {' '.join(variants)}"))
                rows += one_round(entrant, variants, pythons[entrant.backend], scratch, number, display)
                display.launch_finished({}, None)
    frame = pd.DataFrame(rows)
    if csv:
        frame.to_csv(csv, index=False)
    show(frame, list(variants))


def _variants(names: list[str], settings: list[str]) -> dict[str, Variant]:
    """The variants that were asked for, and one for each variable that is to be set."""
    for name in names:
        if name not in VARIANTS:
            raise unknown("variant", name, VARIANTS)
    found = {name: VARIANTS[name] for name in names}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise InputError(f"--set takes NAME=VALUE, got {setting!r}.")
        found[setting] = (1, _with(**{name: value}))
    return found


def show(frame: pd.DataFrame, variants: list[str]) -> None:
    """Print a line for each backend and variant; ratios are to the first variant."""
    console = layout.stdout()
    table = layout.make_table()
    headers = ["images/s", "spread", "ratio", "interval", "paired", "faults a step", "n"]
    layout.make_columns(table, ["backend", "variant"], headers, None)
    for backend, of_backend in frame.groupby("backend", sort=False):
        good = of_backend[of_backend["train_images_per_s"].notna()]
        groups = {name: good[good["variant"] == name] for name in variants}
        for name, group in groups.items():
            cells = _cells(group, groups[variants[0]]) if len(group) else ["refused"]
            table.add_row(str(backend), name, *cells)
    console.print(Text("Launches of the same thing, in turns; ratios to the first variant", style="bold"))
    console.print(table)
    console.print("spread: of launches, sd / mean; paired: of the rounds' ratios; faults: least..most")
    for name in variants:
        console.print(f"{name}: {SENTENCES.get(name, 'all controls, and this variable')}", soft_wrap=True)


def _cells(group: pd.DataFrame, base: pd.DataFrame) -> list[str]:
    speeds, faults = group["train_images_per_s"].to_numpy(float), group["page_faults_per_step"]
    compared = ["-", "-", "-"]
    if group is not base and len(base):
        ratio, paired = ratio_of(group, base), paired_spread(group, base)
        limits = f"{ratio.low:.3f}..{ratio.high:.3f}"
        compared = [f"{ratio.estimate:.3f}", limits, f"{paired:.1%}" if paired is not None else "-"]
    spread = f"{speeds.std(ddof=1) / speeds.mean():.1%}" if len(speeds) > 1 else "-"
    return [f"{speeds.mean():,.0f}", spread, *compared, f"{faults.min():,.1f}..{faults.max():,.1f}", str(len(group))]


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"spread: {error}")
