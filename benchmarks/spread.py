"""Why do launches differ? The same launch under the harness's controls and with one of them changed at a time.

    nox -s spread                                             controlled and native, ten launches each
    nox -s spread -- --variant controlled --variant allocator --backend torch --rounds 6

Variants take turns within a round, in random order, so that they share what the machine does meanwhile. For each:
the spread of launches (standard deviation over mean), what is left of it between neighbours in time (from successive
differences, von Neumann 1941: slow drift of the machine is not in it), and page faults per step.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.text import Text

from benchmarks.overhead import prepare
from harness import rounds, tables
from harness.controls import ALLOCATOR
from harness.display import Display
from harness.entrants import make_entrants, parse_backends
from harness.errors import LenetBenchError, WorkerFailed, unknown
from harness.interpreters import find
from harness.job import Entrant, Job
from harness.launch import launch
from harness.recipe import LENET5

Asked = dict[str, Any]


def _without(*names: str) -> Callable[[Asked], Asked]:
    return lambda asked: asked | {"environment": {k: v for k, v in asked["environment"].items() if k not in names}}


def _with(**variables: str) -> Callable[[Asked], Asked]:
    return lambda asked: asked | {"environment": asked["environment"] | variables}


# What is changed of a controlled launch: its threads, and its controls.
VARIANTS: dict[str, tuple[int, Callable[[Asked], Asked]]] = {
    "controlled": (1, lambda asked: asked),
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
    "allocator": "without fixed allocator thresholds",
    "hugepages": "with huge pages for malloc (glibc.malloc.hugetlb=1)",
    "hashseed": "with PYTHONHASHSEED=0",
    "unpinned": "without CPU affinity (JAX takes all CPUs then, and is refused)",
    "two-threads": "all controls, two threads",
    "two-passive": "two threads, OMP_WAIT_POLICY=passive",
    "two-active": "two threads, OMP_WAIT_POLICY=active",
    "native": "--environment native",
}


def one_launch(entrant: Entrant, variant: str, interpreter: str, scratch: Path, folder: Path) -> dict[str, Any]:
    """Time one launch under a variant; what it says, or why it was refused."""
    threads, change = VARIANTS[variant]
    entrant = replace(entrant, threads=threads, environment="controlled" if threads else "native")
    job = Job(
        kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(scratch),
        weights=str(scratch / "weights.npz"), asked=change(rounds.asked_controls(entrant, folder)), steady_s=1.0,
        inference_sizes=(),
    )  # fmt: skip
    try:
        result = launch(job, interpreter=interpreter, folder=folder, timeout_s=300, listen=lambda message: None)
    except WorkerFailed as error:
        return {"error": str(error).splitlines()[0]}
    names = ("train_images_per_s", "page_faults_per_step", "steal_share", "other_load", "preemptions_per_step")
    return {name: result[name] for name in names}


def main(
    backend: Annotated[list[str], typer.Option("--backend", "-b", help="As in lenet-bench run.")] = ["all"],  # noqa: B006
    variant: Annotated[list[str], typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = ["controlled", "native"],  # noqa: B006
    rounds_: Annotated[int, typer.Option("--rounds", min=2, help="Launches of each backend in each variant.")] = 10,
    csv: Annotated[Path | None, typer.Option(help="Write every launch here, too.")] = None,
) -> None:
    """Print the spread of launches of each backend in each variant."""
    for name in variant:
        if name not in VARIANTS:
            raise unknown("variant", name, VARIANTS)
    entrants = make_entrants(parse_backends(backend), network="lenet5", device="cpu", dtype="float32")
    pythons = {entrant.backend: find(entrant.backend).path for entrant in entrants}
    rows: list[dict[str, Any]] = []
    with Display() as display, rounds.scratch_folder() as scratch:
        prepare(scratch, entrants[0])
        display.start(len(entrants) * len(variant))
        for number in range(1, rounds_ + 1):
            display.round_started(number)
            places = [(entrant, name) for entrant in entrants for name in variant]
            for entrant, name in random.Random(number).sample(places, len(places)):
                display.launch_started(f"{entrant.backend} {name}")
                folder = scratch / f"{number}-{entrant.backend}-{name}"
                row = one_launch(entrant, name, pythons[entrant.backend], scratch, folder)
                rows.append({"round": number, "backend": entrant.backend, "variant": name} | row)
                display.launch_finished({}, None)
    frame = pd.DataFrame(rows)
    if csv:
        frame.to_csv(csv, index=False)
    show(frame, variant)


def show(frame: pd.DataFrame, variants: list[str]) -> None:
    """Print a line for each backend and variant."""
    console = tables.stdout()
    table = tables.make_table()
    headers = ["images/s", "spread", "neighbours", "faults a step", "n"]
    tables.make_columns(table, ["backend", "variant"], headers, None)
    for backend, of_backend in frame.groupby("backend", sort=False):
        for name in variants:
            group = of_backend[of_backend["variant"] == name]
            good = group[group["train_images_per_s"].notna()]
            if good.empty:
                table.add_row(str(backend), name, "refused", "", "", "", "0")
                continue
            speeds, faults = good["train_images_per_s"].to_numpy(float), good["page_faults_per_step"]
            table.add_row(
                str(backend),
                name,
                f"{speeds.mean():,.0f}",
                f"{speeds.std(ddof=1) / speeds.mean():.1%}",
                f"{np.sqrt((np.diff(speeds) ** 2).mean() / 2) / speeds.mean():.1%}",
                f"{faults.min():,.1f}..{faults.max():,.1f}",
                str(len(good)),
            )
    console.print(Text("Launches of the same thing: mean, spread, page faults (least..most)", style="bold"))
    console.print(table)
    for name in variants:
        console.print(f"{name}: {SENTENCES[name]}", soft_wrap=True)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LenetBenchError as error:
        sys.exit(f"spread: {error}")
