"""What the commands do, once their options are read. Prints through `tables`; raises errors with exit codes."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
from harness.summary import accuracy_spread, summarise
from harness.verification import ORDERS, Check, pose

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


def new_run(plan: Plan, *, results: Path, name: str | None, pythons: dict[str, str]) -> int:
    """Carry out a plan in a new folder, print its tables, return the exit code."""
    found = _prepare(plan, pythons)
    return _run(plan, found, RunFolder.create(results, name or default_name(list(found))), packages={})


def resume_run(path: Path, *, pythons: dict[str, str]) -> int:
    """Carry out what is missing of a run's own plan.

    Raises:
        InputError: the folder is not a run.
    """
    folder = RunFolder(path)
    plan = Plan.from_dict(folder.read_environment().get("plan", {}))
    found = _prepare(plan, pythons)
    _check_resumable(folder, found)
    folder.drop_failed_launches()
    return _run(plan, found, folder, packages=folder.read_environment().get("packages", {}))


def _prepare(plan: Plan, pythons: dict[str, str]) -> dict[str, Interpreter]:
    """Find the interpreters; refuse what the machine cannot do before anything is written."""
    for entrant in plan.entrants:
        rounds.asked_controls(entrant, Path("."))
    return {entrant.backend: interpreters.find(entrant.backend, given=pythons) for entrant in plan.entrants}


def _check_resumable(folder: RunFolder, found: dict[str, Interpreter]) -> None:
    """Refuse to add rows that could not be compared with those that are there."""
    launches = folder.read("launches")
    if set(launches["machine_sha256"].dropna()) - {this_machine().sha256}:
        machine = launches["machine"].iloc[0]
        raise InputError(f"{folder.path} was measured on another machine ({machine}); this is {this_machine().text}.")
    for name, version in set(zip(launches["backend"], launches["framework_version"])):
        if name in found and found[name].version != version:
            raise InputError(
                f"{folder.path} has {name} {version}; installed is {found[name].version}. Start a new run."
            )


def _check_batch_size(plan: Plan, dataset: Dataset) -> None:
    count = len(dataset.train_labels)
    for entrant in plan.entrants:
        if entrant.batch_size > count:
            raise InputError(f"--batch-size {entrant.batch_size} is more than {dataset.name} has: {count} images.")


def _run(plan: Plan, found: dict[str, Interpreter], folder: RunFolder, *, packages: dict[str, list[str]]) -> int:
    with Display() as display:
        dataset = load(plan.data_set, plan.data_dir, display)
        _check_batch_size(plan, dataset)
        if set(folder.read("launches")["data_sha256"].dropna()) - {dataset.sha256}:
            raise InputError(f"{folder.path} was measured on another data set than {dataset.name}. Start a new run.")
        announce(display, plan, dataset, found, folder)
        work = rounds.Rounds(plan, folder=folder, dataset=dataset, interpreters=found, display=display)
        interrupted = False
        folder.write_environment(environment_of(plan, dataset, found, packages))
        try:
            work.execute()
        except KeyboardInterrupt:
            interrupted = True
            display.note(f"Interrupted. Finished launches are kept; go on with --resume {folder.path}.", "bold red")
        folder.write_environment(environment_of(plan, dataset, found, packages | work.packages))
    return _report(folder, work, interrupted)


def _report(folder: RunFolder, work: rounds.Rounds, interrupted: bool) -> int:
    console = tables.stdout()
    summary = summarise(folder.read("launches"))
    folder.write_summary(summary)
    if len(summary):
        tables.show_summary(console, summary)
    _show_accuracy(folder.read("epochs"))
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
    entrants: list[Entrant],
    *,
    data_set: str,
    data_dir: str | None,
    seed: int,
    pythons: dict[str, str],
    timeout_s: float,
) -> Iterator[tuple[Entrant, list[Check]]]:
    """Launch each backend on one verification problem and compare its numbers with the reference's."""
    found = {entrant.backend: interpreters.find(entrant.backend, given=pythons) for entrant in entrants}
    network, dtype = get_network(entrants[0].network), entrants[0].dtype
    with Display() as display, rounds.scratch_folder() as scratch:
        dataset = load(data_set, data_dir, display)
        display.note(f"{network.name} on {dataset.name}, {dtype}, seed {seed}")
        display.start(ORDERS + 1 + len(entrants), "measuring what rounding allows")
        weights = initial_weights(network, seed=seed, initialiser=LENET5.initialiser)
        problem = pose(network, LENET5, dataset, weights, dtype=dtype, tick=display.advance)
        np.savez(scratch / "weights.npz", **weights)  # type: ignore[arg-type]
        np.savez(scratch / "problem.npz", images=problem.images.astype(dtype), labels=problem.labels)
        for entrant in entrants:
            interpreter = found[entrant.backend]
            display.note(f"{entrant.backend} {interpreter.version}")
            rounding = getattr(catalogue.facts(entrant.backend), "ROUNDING", {})
            allowance, reason = rounding.get(dtype, (1.0, ""))
            if reason:
                display.note(f"Tolerances x {allowance:g}: {reason}.", "yellow")
            quantities = _launch_verification(entrant, interpreter, scratch, timeout_s)
            display.advance()
            yield entrant, problem.check(quantities, allowance=allowance)


def _launch_verification(
    entrant: Entrant, interpreter: Interpreter, scratch: Path, timeout_s: float
) -> dict[str, np.ndarray]:
    folder = scratch / entrant.backend
    job = Job(
        kind="verify",
        entrant=entrant,
        recipe=LENET5.as_dict(),
        seed=0,
        data=str(scratch / "problem.npz"),
        weights=str(scratch / "weights.npz"),
        output=str(scratch / f"{entrant.backend}.npz"),
        asked=rounds.asked_controls(entrant, folder),
    )
    launch(job, interpreter=interpreter.path, folder=folder, timeout_s=timeout_s, listen=lambda message: None)
    with np.load(job.output, allow_pickle=False) as archive:
        return dict(archive)


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


def compare_runs(folders: list[Path]) -> None:
    """Print the tables of one or more runs, side by side."""
    runs = compare.load_runs(folders)
    if len(runs.timed):
        tables.show_summary(tables.stdout(), summarise(runs.timed))
    _show_accuracy(runs.epochs)


def _show_accuracy(epochs: pd.DataFrame) -> None:
    spread = accuracy_spread(epochs) if len(epochs) else None
    if spread:
        tables.show_accuracy(tables.stdout(), spread)


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
