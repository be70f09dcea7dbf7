"""The parts of a gate: accuracy always, verification and speed on request. Each is measured, then judged."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.data.sources import Dataset
from harness.gate.baseline import read_baseline
from harness.gate.speed import SpeedTest, check_out, measure
from harness.gate.verdicts import FAILED, NO_RESULT, PASSED, Verdict, find_row, judge
from harness.proof import audit, register
from harness.proof.proving import LAUNCH
from harness.results.machines import difference_of_texts
from harness.runs import interpreters
from harness.runs.machine import this_machine
from harness.runs.plan import Plan
from harness.runs.scratch import scratch_folder
from harness.runs.training_run import train


def run_gate(
    plan: Plan,
    *,
    baseline: Path,
    results: Path,
    pythons: dict[str, str],
    verify: bool = False,
    speed: SpeedTest | None = None,
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
            commit = check_out(speed.against, ending.enter_context(scratch_folder()))
        # Training is first, because it is what finds bad input; all that follows takes longer.
        run, data_set, verdicts, notes = accuracy(plan, known, results=results, pythons=pythons)
        if verify:
            verdicts += verification(plan, pythons=pythons)
        if speed and commit:
            verdicts += measure(plan, commit, speed, results=results / f"{run}-speed", pythons=pythons)
    return [replace(each, data_set=data_set) for each in verdicts], notes


def accuracy(
    plan: Plan, known: pd.DataFrame, *, results: Path, pythons: dict[str, str]
) -> tuple[str, str, list[Verdict], list[str]]:
    """Train, and judge against the baseline's rows.

    Returns:
        the run's name, its data set, a verdict a backend, and notes on what these are held against.

    Raises:
        InputError: no baseline for what was asked (before anything is trained).
    """
    backends = [entrant.backend for entrant in plan.entrants]
    wanted: dict[str, Any] = {}

    def check(dataset: Dataset) -> None:
        wanted.update(keys_of(plan, dataset))
        for name in backends:
            find_row(known, wanted | {"backend": name})

    trained = train(plan, results=results, pythons=pythons, suffix="gate", auditor=audit.auditor_of, before=check)
    epochs = trained.run.folder.read_counted("epochs")
    found = judge(epochs, known, wanted=wanted, backends=backends, errors=trained.errors)
    rows = [find_row(known, wanted | {"backend": name}) for name in backends]
    versions = {name: interpreters.find(name, given=pythons).version for name in backends}
    return (
        trained.run.folder.name,
        trained.run.dataset.name,
        [each.verdict() for each in found],
        notes_on(rows, versions),
    )


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
        fresh = register.verify_missing(replace(plan, entrants=(entrant,)), pythons=pythons)
        bad = [each for each in fresh if not each.passed]
        words = " ".join(" ".join(each.sentences) for each in bad)
        if not bad:
            how = "verified now" if fresh else "has a certificate for this code and version"
            found.append(Verdict(entrant.backend, "verification", PASSED, "verification passed", f"It {how}."))
        elif any(check.quantity == LAUNCH for each in bad for check in each.checks):
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
            f"The baseline is from another machine ({difference_of_texts(machine, this_machine().text)}). Accuracies "
            "may be held against another machine's, speeds never."
        )
    older = [
        f"{row['backend']} {row['framework_version']} (here {versions[row['backend']]})"
        for row in rows
        if row["framework_version"] != versions[row["backend"]]
    ]
    return notes + ([f"The baseline was measured with {', '.join(older)}."] if older else [])
