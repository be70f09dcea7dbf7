"""`lenet-bench gate`: accuracy, and on request verification and speed; verdicts, reports, exit code."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from harness import certificates, checks, commands, gate, gate_report, interpreters, speed_gate
from harness.baseline import read_baseline
from harness.data import Dataset
from harness.entrants import make_entrants, parse_backends
from harness.errors import InputError
from harness.gate import FAILED, NO_RESULT, PASSED, Verdict
from harness.machine import this_machine
from harness.options import (
    Backends,
    DataDir,
    DataSet,
    NetworkName,
    Pythons,
    RecipeName,
    Results,
    Seed,
    Threads,
    Timeout,
    positive,
    seconds,
    whole,
)
from harness.plan import Plan
from harness.recipes import choose
from harness.speed_gate import BUDGET_S, SpeedTest

BASELINE_FILE = Path("results/baselines/accuracy.csv")
EPOCHS, SEEDS = 2, 2
percent = positive("percentage", below=100)
BaselineFile = Annotated[Path, typer.Option("--baseline", metavar="FILE", help="What accuracies are held against.")]


def gate_(
    backend: Backends,
    network: NetworkName = "",
    recipe: RecipeName = "",
    data_set: DataSet = "",
    data_dir: DataDir = None,
    epochs: Annotated[int, typer.Option(parser=whole(1), metavar="N", help="Epochs of the brief training.")] = EPOCHS,
    seeds: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="Trainings of each backend, each its own seed.")
    ] = SEEDS,
    seed: Seed = 1000,
    threads: Threads = 1,
    baseline: BaselineFile = BASELINE_FILE,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also verify what has no certificate for this code and version yet.")
    ] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Also time this code and --against's, in turns.")] = False,
    against: Annotated[
        str, typer.Option(metavar="REF", help="Commit, tag or branch of this repository that --speed is against.")
    ] = "",
    margin: Annotated[
        float, typer.Option(parser=percent, metavar="PERCENT", help="So much slower is still as fast.")
    ] = 5.0,
    rounds: Annotated[
        int | None, typer.Option(parser=whole(1), metavar="N", help="Of --speed. [default: as many as --margin needs]")
    ] = None,
    budget: Annotated[
        float, typer.Option(parser=seconds, metavar="S", help="Begin no round of --speed later, for each backend.")
    ] = BUDGET_S,
    strict: Annotated[
        bool, typer.Option("--strict", help="`cannot tell` fails (exit code 1), not only warns.")
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append the verdicts as Markdown, to $GITHUB_STEP_SUMMARY say."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdicts as JUnit XML.")] = None,
    results_dir: Results = Path("results"),
    launch_timeout: Timeout = 900,
    python: Pythons = None,
) -> None:
    """Train briefly and fail (exit code 1) where a backend is worse than it may be; a line a backend.

    Accuracy: the mean of the seeds has a one-sided prediction bound from the baseline's seeds, and each single seed a
    floor; an honest backend, its seeds normally distributed, falls below either in one gate of a thousand at most.
    --verify: as `lenet-bench verify`, for what has not passed yet. --speed: the present code and a commit are timed in
    the same rounds, in turns, on this machine; the ratio's interval must lie above 1 - margin. Where it holds the
    limit, the gate cannot tell, says how many rounds more would, and passes with a warning.

    Exit codes: 0 passed; 1 worse; 2 bad input, before anything is trained; 3 nothing is worse, but a worker failed.
    --summary appends, as steps of GitHub's do; --junit replaces. Both are also written where the gate fails.

    Examples:

    - `lenet-bench gate -b all`
    - `lenet-bench gate -b torch --epochs 2 --seeds 4`
    - `lenet-bench gate -b torch --verify --speed --against main --margin 3`
    - `lenet-bench gate -b all --summary "$GITHUB_STEP_SUMMARY" --junit gate.xml`
    """
    start = time.monotonic()
    if speed != bool(against):
        raise InputError("--speed and --against REF go together: which commit are speeds held against?")
    gate_report.check_reports(summary, junit)
    chosen = choose(network, recipe)
    entrants = make_entrants(
        parse_backends(backend), threads=(threads,), batch_sizes=(chosen.batch_size,), network=chosen.network,
        device="cpu", dtype="float32",
    )  # fmt: skip
    plan = commands.default_plan(
        entrants, recipe=chosen, data_set=data_set, data_dir=data_dir, rounds=seeds, most_rounds=seeds, seeds=seeds,
        seed=seed, epochs=epochs, timing=False, launch_timeout_s=launch_timeout,
    )  # fmt: skip
    test = SpeedTest(margin=margin / 100, rounds=rounds or 0, budget_s=budget) if speed else None
    verdicts, notes = run_gate(
        plan, baseline=baseline, results=results_dir, pythons=commands.parse_pythons(python or []), verify=verify,
        speed=test, against=against,
    )  # fmt: skip
    reasons = [f"{each.backend}: {each.details}" for each in verdicts if each.status != PASSED and each.details]
    for line in [*gate.lines(verdicts), *reasons, *notes]:
        print(line)
    if summary:
        gate_report.append_markdown(summary, verdicts, notes)
    if junit:
        gate_report.write_junit(junit, verdicts, notes, strict=strict, seconds=time.monotonic() - start)
    gate.stop_if_bad(verdicts, strict=strict)


def run_gate(
    plan: Plan,
    *,
    baseline: Path,
    results: Path,
    pythons: dict[str, str],
    verify: bool = False,
    speed: SpeedTest | None = None,
    against: str = "",
) -> tuple[list[Verdict], list[str]]:
    """Measure all that was asked for, and judge.

    Returns:
        the verdicts, and notes on what they are held against.

    Raises:
        InputError: no baseline for what was asked, or no such commit (before anything is measured).
    """
    known = read_baseline(baseline)
    with ExitStack() as ending:
        commit = None
        if speed:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="lenet-bench-against-"))
            commit = speed_gate.check_out(against, Path(folder))
        # Training is first, because it is what finds bad input; all that follows takes longer.
        run, verdicts, notes = accuracy(plan, known, results=results, pythons=pythons)
        if verify:
            verdicts += verification(plan, pythons=pythons)
        if speed and commit:
            verdicts += speed_gate.measure(plan, commit, speed, results=results / f"{run}-speed", pythons=pythons)
    return verdicts, notes


def accuracy(
    plan: Plan, known: pd.DataFrame, *, results: Path, pythons: dict[str, str]
) -> tuple[str, list[Verdict], list[str]]:
    """Train, and judge against the baseline's rows.

    Returns:
        the run's name, a verdict a backend, and notes on what these are held against.

    Raises:
        InputError: no baseline for what was asked (before anything is trained).
    """
    backends = [entrant.backend for entrant in plan.entrants]
    wanted: dict[str, Any] = {}

    def check(dataset: Dataset) -> None:
        wanted.update(keys_of(plan, dataset))
        for name in backends:
            gate.find_row(known, wanted | {"backend": name})

    trained = checks.train(plan, results=results, pythons=pythons, suffix="gate", before=check)
    epochs = trained.folder.read("epochs")
    found = gate.judge(epochs, known, wanted=wanted, backends=backends, errors=trained.errors)
    rows = [gate.find_row(known, wanted | {"backend": name}) for name in backends]
    versions = {name: interpreters.find(name, given=pythons).version for name in backends}
    return trained.folder.name, [each.verdict() for each in found], notes_on(rows, versions)


def keys_of(plan: Plan, dataset: Dataset) -> dict[str, Any]:
    """What the baseline's row of each backend must have."""
    entrant = plan.entrants[0]
    return {
        "network": entrant.network, "data_set": dataset.name, "recipe": plan.recipe.name,
        "batch_size": entrant.batch_size, "dtype": entrant.dtype, "epoch": plan.epochs,
        "data_sha256": dataset.sha256,
    }  # fmt: skip


def verification(plan: Plan, *, pythons: dict[str, str]) -> list[Verdict]:
    """A verdict a backend; where it has a certificate, nothing is launched."""
    found = []
    for entrant in plan.entrants:
        fresh = certificates.verify_missing(replace(plan, entrants=(entrant,)), pythons=pythons)
        bad = [each for each in fresh if not each.passed]
        words = " ".join(" ".join(each.sentences) for each in bad)
        if not bad:
            how = "verified now" if fresh else "has a certificate for this code and version"
            found.append(Verdict(entrant.backend, "verification", PASSED, "verification passed", f"It {how}."))
        elif any(check.quantity == "launch" for each in bad for check in each.checks):
            found.append(Verdict(entrant.backend, "verification", NO_RESULT, "verification: a launch failed", words))
        else:
            found.append(Verdict(entrant.backend, "verification", FAILED, "verification FAILED", words))
    return found


def notes_on(rows: list[pd.Series], versions: dict[str, str]) -> list[str]:
    """Where the baseline is from, as far as that is known, and in what it differs from here."""
    notes = []
    elsewhere = {str(row["machine"]) for row in rows if str(row["machine_sha256"]) != this_machine().sha256}
    for machine in sorted(elsewhere - {"<NA>"}):
        notes.append(
            f"The baseline is from: {machine}; this is: {this_machine().text}. Accuracies may be held against another "
            "machine's, speeds never."
        )
    older = [
        f"{row['backend']} {row['framework_version']} (here {versions[row['backend']]})"
        for row in rows
        if row["framework_version"] != versions[row["backend"]]
    ]
    return notes + ([f"The baseline was measured with {', '.join(older)}."] if older else [])
