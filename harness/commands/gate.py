"""`lenet-bench gate`: accuracy, and on request verification and speed; verdicts, reports, exit code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.commands import as_json
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
    positive,
    seconds,
    whole,
)
from harness.errors import InputError
from harness.gate.baseline import FILE, find_baseline
from harness.gate.parts import run_gate
from harness.gate.report import append_markdown, check_reports, telling, write_junit
from harness.gate.speed import BUDGET_S, SpeedTest
from harness.gate.verdicts import PASSED, Verdict, exit_code, lines, stop_if_bad, worst
from harness.runs.entrants import make_entrants, parse_backends
from harness.runs.plan import default_plan
from harness.spec.recipes import choose
from harness.tables import layout

EPOCHS, SEEDS = 2, 2
percent = positive("percentage", below=100)
BaselineFile = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="FILE",
        help=f"The accuracies that new ones are compared with. [default: {FILE} where it is, else lenet-bench's own]",
    ),
]  # fmt: skip


def gate(
    backend: Backends,
    network: NetworkName = "",
    recipe: RecipeName = "",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    epochs: Annotated[int, typer.Option(parser=whole(1), metavar="N", help="Epochs of each training.")] = EPOCHS,
    seeds: Annotated[
        int,
        typer.Option(parser=whole(1), metavar="N", help="Number of trainings of each backend, each from another seed."),
    ] = SEEDS,
    seed: Seed = 1000,
    threads: Threads = 1,
    baseline: BaselineFile = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also run `verify`, where this code and version have not passed it yet.")
    ] = False,
    speed: Annotated[
        bool, typer.Option("--speed", help="Also time this code and that of --against, in turns.")
    ] = False,
    against: Annotated[str, typer.Option(metavar="REF", help="Commit, tag or branch that --speed compares with.")] = "",
    margin: Annotated[
        float, typer.Option(parser=percent, metavar="PERCENT", help="A code that is slower by less than this passes.")
    ] = 5.0,
    rounds: Annotated[
        int | None,
        typer.Option(
            parser=whole(1), metavar="N", help="Number of rounds of --speed. [default: as many as --margin needs]"
        ),
    ] = None,
    budget: Annotated[
        float,
        typer.Option(
            parser=seconds, metavar="S", help="Begin no round of --speed that would end later, for each backend."
        ),
    ] = BUDGET_S,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail where the gate cannot tell (exit code 1), or where something disturbed the speeds (3).",
        ),
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append the verdicts as Markdown: $GITHUB_STEP_SUMMARY, for instance."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdicts as JUnit XML.")] = None,
    format_: as_json.Format = "table",
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 900,
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Train briefly, and fail (exit code 1) where a backend has become worse.

    Accuracy: each backend is trained from a few seeds. It fails where their mean, or a single seed, is lower than the
    baseline makes likely. A backend that has not changed fails in about one gate of a thousand.

    Speed (--speed --against REF): this code and the commit are timed in the same rounds, in turns, on this machine.
    The gate looks at the interval of the ratio of their speeds. It passes where the interval lies above 1 - margin,
    and fails where it lies below. Otherwise the gate cannot tell: it says how many more rounds are needed, and passes
    with a warning.

    Proof (--verify): as `lenet-bench verify`.

    Each verdict names its data set: the recipe's own, unless --data-set names another. No other data set takes its
    place.

    Exit codes: 0 passed; 1 worse, or, with --strict, the gate cannot tell; 2 bad input, before anything is trained; 3
    nothing is worse, but a worker failed, or, with --strict, something disturbed the speeds. --summary appends to its
    file, --junit replaces its file. Both files are also written where the gate fails.

    Examples:

    - `lenet-bench gate -b all`
    - `lenet-bench gate -b torch --epochs 2 --seeds 4`
    - `lenet-bench gate -b torch --verify --speed --against main --margin 3`
    - `lenet-bench gate -b all --summary "$GITHUB_STEP_SUMMARY" --junit gate.xml`
    - `lenet-bench gate -b torch --format json > gate.json`
    """
    start, machines = time.monotonic(), as_json.wanted(format_)
    check_reports(summary, junit)
    with telling(summary, junit):
        if speed != bool(against):
            raise InputError("--speed and --against REF go together: which commit are speeds held against?")
        chosen = choose(network, recipe)
        names = parse_backends(backend)
        entrants = make_entrants(
            names, threads=(threads,), batch_sizes=(chosen.batch_size,), network=chosen.network,
            device="cpu", dtype="float32",
        )  # fmt: skip
        plan = default_plan(
            entrants, recipe=chosen, data_set=data_set or chosen.data_set, data_dir=data_dir, rounds=seeds,
            most_rounds=seeds, seeds=seeds, seed=seed, epochs=epochs, timing=False, launch_timeout_s=launch_timeout,
        )  # fmt: skip
        test = (
            SpeedTest(against, margin=margin / 100, rounds=rounds or 0, budget_s=budget, strict=strict)
            if speed
            else None
        )
        verdicts, notes = run_gate(
            plan, baseline=find_baseline(baseline), results=results_dir, verify=verify, speed=test,
            pythons=parse_pythons(python or [], here=names if here else ()),
        )  # fmt: skip
    if machines:
        _show_json(verdicts, notes, strict=strict)
    else:
        reasons = [
            f"{each.backend}, {each.kind}: {each.details}"
            for each in verdicts
            if each.status != PASSED and each.details
        ]
        for line in [*lines(verdicts), *reasons, *notes]:
            layout.say(layout.stdout(), line)
    if summary:
        append_markdown(summary, verdicts, notes)
    if junit:
        write_junit(junit, verdicts, notes, strict=strict, seconds=time.monotonic() - start)
    stop_if_bad(verdicts, strict=strict)


def _show_json(verdicts: Sequence[Verdict], notes: Sequence[str], *, strict: bool) -> None:
    code = exit_code(verdicts, strict=strict)
    found = {"status": worst(verdicts), "exit_code": code, "verdicts": list(map(asdict, verdicts)), "notes": notes}
    as_json.show("gate", found)
