"""What the commands do, once their options are read. Prints through `tables`; raises errors with exit codes."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import harness
from harness import catalogue, compare, gate, interpreters, rounds, tables
from harness.data import Dataset, load_dataset
from harness.display import Display
from harness.errors import InputError, Regression, WorkerFailed, unknown
from harness.interpreters import Interpreter
from harness.job import Entrant, Job
from harness.launch import launch
from harness.machine import this_machine
from harness.network import get_network
from harness.plan import Plan
from harness.recipe import LENET5
from harness.results import RunFolder
from harness.start import initial_weights
from harness.summary import summarise
from harness.verification import Check, pose

INTERRUPTED = 130


def parse_backends(values: list[str]) -> list[str]:
    """Read `--backend torch --backend jax`, `--backend torch,jax` and `--backend all` (the five frameworks)."""
    found: list[str] = []
    for value in ",".join(values).split(","):
        for name in catalogue.FRAMEWORKS if value == "all" else (value.strip(),):
            catalogue.facts(name)
            if name not in found:
                found.append(name)
    return found


def parse_pythons(values: list[str]) -> dict[str, str]:
    """Read `--python torch=/path/to/python`.

    Raises:
        InputError: no such form, or no such backend.
    """
    found = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            raise InputError(f"--python takes BACKEND=INTERPRETER, got {value!r}.")
        catalogue.facts(name)
        found[name] = path
    return found


def make_entrant(backend: str, *, mode: str | None, environment: str, threads: int, **fields: Any) -> Entrant:
    """Make an entrant from options, checked against what the backend has.

    Raises:
        InputError: a mode, precision or device that it does not have; the message lists those it has.
    """
    facts = catalogue.facts(backend)
    mode = mode or next(iter(facts.MODES))
    for value, kind, known in (
        (mode, f"mode of {backend}", facts.MODES),
        (fields["dtype"], f"precision of {backend}", facts.DTYPES),
        (fields["device"], f"device of {backend}", facts.DEVICES),
        (fields["feed"], "feed", ("host", "device")),
        (environment, "environment", ("controlled", "native")),
    ):
        if value not in known:
            raise unknown(kind, value, known)
    threads = 0 if environment == "native" else threads
    return Entrant(backend=backend, mode=mode, environment=environment, threads=threads, **fields)


def run(plan: Plan, *, results: Path, name: str | None, resume: Path | None, pythons: dict[str, str]) -> int:
    """Carry out a plan, print its tables, return the exit code."""
    folder = RunFolder(resume) if resume else None
    if folder:
        plan = Plan.from_dict(folder.read_environment().get("plan", {}))
    for entrant in plan.entrants:
        if entrant.threads:
            rounds.asked_controls(entrant, Path("."))
    found = {entrant.backend: interpreters.find(entrant.backend, given=pythons) for entrant in plan.entrants}
    folder = folder or RunFolder.create(results, name or default_name([e.backend for e in plan.entrants]))
    with Display() as display:
        dataset = load(plan.data_set, plan.data_dir, display)
        announce(display, plan, dataset, found, folder)
        work = rounds.Rounds(plan, folder=folder, dataset=dataset, interpreters=found, display=display)
        interrupted = False
        folder.write_environment(environment_of(plan, dataset, found, {}))
        try:
            work.execute()
        except KeyboardInterrupt:
            interrupted = True
            display.note(f"Interrupted. Finished launches are kept; go on with --resume {folder.path}.", "bold red")
        packages = work.packages or folder.read_environment().get("packages", {})
        folder.write_environment(environment_of(plan, dataset, found, packages))
    return _report(folder, work, interrupted)


def _report(folder: RunFolder, work: rounds.Rounds, interrupted: bool) -> int:
    console = tables.stdout()
    summary = summarise(folder.read("launches"))
    folder.write_summary(summary)
    if len(summary):
        tables.show_summary(console, summary)
    console.print(f"Results: {folder.path}", soft_wrap=True)
    if interrupted:
        return INTERRUPTED
    for label, error in work.failures.items():
        console.print(f"{label} failed: {error}", style="bold red", markup=False, soft_wrap=True)
    return WorkerFailed.exit_code if work.failures else 0


def load(name: str, data_dir: str | None, display: Display) -> Dataset:
    """Load a data set; an empty name is the default, MNIST or the drawn digits."""
    return load_dataset(
        name or None,
        data_dir=Path(data_dir) if data_dir else None,
        notify=lambda text: display.note(text, "yellow"),
    )


def default_name(backends: list[str]) -> str:
    """A folder name that sorts by time and says what ran."""
    now = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    return f"{now}-{'-'.join(backends) if len(backends) < 4 else f'{len(backends)}-backends'}"


def announce(display: Display, plan: Plan, dataset: Dataset, found: dict[str, Interpreter], folder: RunFolder) -> None:
    """Say what is about to happen, on what, and what was set aside for it."""
    versions = ", ".join(f"{name} {interpreter.version}" for name, interpreter in found.items())
    display.note(f"{versions} | {plan.entrants[0].network} on {dataset.name} ({dataset.source})")
    display.note(f"{this_machine().text} | {plan.rounds} round(s), {plan.epochs} epoch(s) | {folder.path}")
    aside = rounds.set_aside()
    if aside and plan.entrants[0].environment == "controlled":
        display.note(f"Set aside for controlled launches: {', '.join(aside)} (keep them: --environment native)")


def environment_of(
    plan: Plan, dataset: Dataset, found: dict[str, Interpreter], packages: dict[str, list[str]]
) -> dict[str, Any]:
    """What environment.json holds."""
    controlled = plan.entrants[0].environment == "controlled"
    return {
        "lenet_bench": harness.__version__,
        "plan": plan.as_dict(),
        "data_set": {"name": dataset.name, "source": dataset.source, "sha256": dataset.sha256},
        "machine": this_machine().details,
        "interpreters": {name: interpreter.path for name, interpreter in found.items()},
        "controls": {entrant.label: rounds.asked_controls(entrant, Path("<launch>")) for entrant in plan.entrants},
        "variables_set_aside": rounds.set_aside() if controlled else [],
        "packages": packages,
    }


def verify(
    entrant: Entrant,
    *,
    data_set: str,
    data_dir: str | None,
    seed: int,
    pythons: dict[str, str],
    timeout_s: float,
) -> list[Check]:
    """Launch a backend on the verification problem and compare its numbers with the reference's."""
    interpreter = interpreters.find(entrant.backend, given=pythons)
    network = get_network(entrant.network)
    with Display() as display, rounds.scratch_folder() as scratch:
        dataset = load(data_set, data_dir, display)
        display.note(
            f"{entrant.backend} {interpreter.version}, {entrant.mode}, {entrant.dtype}: {entrant.network} on "
            f"{dataset.name}; measuring what rounding allows ..."
        )
        weights = initial_weights(network, seed=seed, initialiser=LENET5.initialiser)
        rounding = getattr(catalogue.facts(entrant.backend), "ROUNDING", {})
        allowance, reason = rounding.get(entrant.dtype, (1.0, ""))
        if reason:
            display.note(f"Tolerances x {allowance:g}: {reason}.", "yellow")
        problem = pose(network, LENET5, dataset, weights, dtype=entrant.dtype, allowance=allowance)
        np.savez(scratch / "weights.npz", **weights)  # type: ignore[arg-type]
        images = problem.images.astype(entrant.dtype)
        np.savez(scratch / "problem.npz", images=images, labels=problem.labels)
        job = Job(
            kind="verify",
            entrant=entrant,
            recipe=LENET5.as_dict(),
            seed=seed,
            data=str(scratch / "problem.npz"),
            weights=str(scratch / "weights.npz"),
            output=str(scratch / "found.npz"),
            asked=rounds.asked_controls(entrant, scratch / "launch"),
        )
        launch(
            job,
            interpreter=interpreter.path,
            folder=scratch / "launch",
            timeout_s=timeout_s,
            listen=lambda message: None,
        )
        with np.load(job.output, allow_pickle=False) as archive:
            return problem.check(dict(archive))


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
        wanted = {
            "network": entrant.network,
            "data_set": dataset.name,
            "recipe": plan.recipe.name,
            "batch_size": entrant.batch_size,
            "dtype": entrant.dtype,
            "epoch": plan.epochs,
        }
        if not write:
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
    return gate.judge(epochs, known, wanted=wanted, backends=backends)


def compare_runs(folders: list[Path]) -> None:
    """Print the tables of one or more runs, side by side."""
    launches = compare.load_runs(folders)
    tables.show_summary(tables.stdout(), summarise(launches), several_runs=launches["run"].nunique() > 1)


def default_plan(entrants: list[Entrant], **fields: Any) -> Plan:
    """A plan with the default recipe at the entrants' batch size."""
    recipe = replace(LENET5, batch_size=entrants[0].batch_size)
    return Plan(entrants=tuple(entrants), recipe=recipe, **fields)


def stop_if_failed(outcomes: list[gate.Outcome]) -> None:
    """End with exit code 3 where a launch failed, 1 where an accuracy is below its bound."""
    if any(outcome.measured is None for outcome in outcomes):
        raise WorkerFailed(
            "The gate could not measure: " + ", ".join(o.backend for o in outcomes if o.measured is None)
        )
    failed = [outcome.backend for outcome in outcomes if not outcome.passed]
    if failed:
        raise Regression(f"Accuracy gate failed for {', '.join(failed)}.")


def show_interpreters() -> str:
    """The map of interpreters, as JSON."""
    return json.dumps(interpreters.read_map(), indent=1, sort_keys=True) + os.linesep
