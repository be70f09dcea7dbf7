"""What `gate` and `doctor` do, once their options are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import catalogue, gate, interpreters, rounds
from harness.commands import announce, check_fits, default_name, environment_of, load
from harness.display import Display
from harness.doctor import Finding, effective_threads
from harness.doctor import examine as examine_machine
from harness.errors import Regression, WorkerFailed
from harness.interpreters import Interpreter
from harness.job import Entrant, Job
from harness.launch import launch
from harness.networks import get_network
from harness.plan import Plan
from harness.recipes import LENET5
from harness.results import RunFolder
from harness.start import initial_weights


def run_gate(plan: Plan, *, results: Path, baseline: Path, write: bool, pythons: dict[str, str]) -> list[gate.Outcome]:
    """Train briefly and judge; with `write`, make the results the new baseline instead.

    Raises:
        InputError: no baseline for what was asked (before anything is trained).
        Regression: a backend fell below its bound.
    """
    backends = [entrant.backend for entrant in plan.entrants]
    found = {name: interpreters.find(name, given=pythons) for name in backends}
    with Display() as display:
        dataset = load(plan.data_set, plan.data_dir, display)
        entrant = plan.entrants[0]
        check_fits(dataset, entrant.network)
        wanted = {
            "network": entrant.network,
            "data_set": dataset.name,
            "recipe": plan.recipe.name,
            "batch_size": entrant.batch_size,
            "dtype": entrant.dtype,
            "epoch": plan.epochs,
        }
        if write:
            gate.check_writable(baseline)
        else:
            known = gate.read_baseline(baseline)
            for name in backends:
                gate.find_row(known, wanted | {"backend": name})
        folder = RunFolder.create(results, f"{default_name(backends)}-gate")
        announce(display, plan, dataset, found, folder)
        folder.write_environment(environment_of(plan, dataset, found, {}))
        work = rounds.Rounds(plan, folder=folder, dataset=dataset, interpreters=found, display=display)
        work.execute()
        folder.write_environment(environment_of(plan, dataset, found, work.packages))
    epochs = folder.read("epochs")
    if write:
        if work.failures:
            raise WorkerFailed("No baseline was written: " + "; ".join(map(str, work.failures.values())))
        gate.write_baseline(baseline, gate.make_baseline(epochs, dataset.sha256))
        return []
    outcomes = gate.judge(epochs, known, wanted=wanted, backends=backends)
    lost = {entrant.backend for entrant in plan.entrants if entrant.label in work.failures}
    # The seeds that were left may be good: a failed launch is not a pass.
    return [replace(each, measured=None) if each.passed and each.backend in lost else each for each in outcomes]


def stop_if_failed(outcomes: list[gate.Outcome]) -> None:
    """End with exit code 3 where a launch failed, 1 where an accuracy is below its bound."""
    if any(outcome.measured is None for outcome in outcomes):
        raise WorkerFailed(
            "The gate could not measure: " + ", ".join(o.backend for o in outcomes if o.measured is None)
        )
    failed = [outcome.backend for outcome in outcomes if not outcome.passed]
    if failed:
        raise Regression(f"Accuracy gate failed for {', '.join(failed)}.")


def examine(backends: list[str], *, threads: int, pythons: dict[str, str]) -> list[Finding]:
    """Examine the machine, and start every backend once for its threads."""
    found = {name: interpreters.find(name, given=pythons) for name in backends}
    with Display() as display, rounds.scratch_folder() as scratch:
        display.start(1 + len(backends), "examining the machine")
        findings = examine_machine(threads=threads)
        display.advance()

        def describe(name: str) -> dict[str, str]:
            display.launch_started(name)
            result = _launch_description(name, found[name], threads, scratch)
            display.advance()
            return result

        return findings + effective_threads(backends, launch_describe=describe)


def _launch_description(name: str, interpreter: Interpreter, threads: int, scratch: Path) -> dict[str, str]:
    facts = catalogue.facts(name)
    entrant = Entrant(
        backend=name, network="lenet5", mode=next(iter(facts.MODES)), feed="host", device="cpu", dtype="float32",
        threads=threads, batch_size=LENET5.batch_size, environment="controlled",
    )  # fmt: skip
    weights = scratch / "weights.npz"
    np.savez(weights, **initial_weights(get_network("lenet5"), seed=0))  # type: ignore[arg-type]
    folder = scratch / name
    job = Job(
        kind="describe", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data="", weights=str(weights),
        asked=rounds.asked_controls(entrant, folder),
    )  # fmt: skip
    return launch(job, interpreter=interpreter.path, folder=folder, timeout_s=120, listen=lambda message: None)
