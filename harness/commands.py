"""What the commands do, once their options are read. Prints through `tables`; raises errors with exit codes."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

import harness
from harness import catalogue, interpreters, rounds, standings, tables
from harness.causes import likely_cause
from harness.data import Dataset, load_dataset
from harness.display import Display
from harness.errors import InputError, WorkerFailed
from harness.interpreters import Interpreter
from harness.job import Entrant
from harness.machine import this_machine
from harness.networks import get_network
from harness.plan import Plan, Preset
from harness.recipe import Recipe
from harness.recipes import LENET5
from harness.results import RunFolder
from harness.scaling import scaling
from harness.summary import accuracy_spread, inference_sweep

INTERRUPTED = 130
# Of a run with a target.
TARGET_SEEDS = 5
TARGET_EPOCHS = 10


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


def new_run(
    plan: Plan,
    *,
    results: Path,
    name: str | None,
    pythons: dict[str, str],
    before: Callable[[], None] = lambda: None,
) -> int:
    """Carry out a plan in a new folder, print its tables, return the exit code.

    Args:
        before: called once all that was asked for is known to be possible, and before anything is written.
    """
    found = _prepare(plan, pythons)
    dataset = _load_what_fits(plan)
    before()
    backends = list(dict.fromkeys(entrant.backend for entrant in plan.entrants))
    return _run(plan, found, dataset, RunFolder.create(results, name or default_name(backends)), packages={})


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
    dataset = _load_what_fits(plan)
    if set(folder.read("launches")["data_sha256"].dropna()) - {dataset.sha256}:
        raise InputError(f"{folder.path} was measured on another data set than {dataset.name}. Start a new run.")
    return _run(plan, found, dataset, folder, packages=folder.read_environment().get("packages", {}))


def _prepare(plan: Plan, pythons: dict[str, str]) -> dict[str, Interpreter]:
    """Find the interpreters; refuse what the machine cannot do before anything is written."""
    for entrant in plan.entrants:
        rounds.asked_controls(entrant, Path("."))
    return interpreters.find_all(plan.entrants, given=pythons)


def _check_resumable(folder: RunFolder, found: dict[str, Interpreter]) -> None:
    """Refuse to add rows that could not be compared with those that are there."""
    launches = folder.read("launches")
    if set(launches["machine_sha256"].dropna()) - {this_machine().sha256}:
        machine = launches["machine"].iloc[0]
        raise InputError(f"{folder.path} was measured on another machine ({machine}); this is {this_machine().text}.")
    for name, version in set(zip(launches["backend"], launches["framework_version"])):
        here = {each.version for installed, each in found.items() if installed.partition("==")[0] == name}
        # A CUDA wheel of PyTorch calls itself 2.11.0+cu130, and 2.11.0 in its metadata.
        if here and not here & {version, version.partition("+")[0]}:
            raise InputError(
                f"{folder.path} has {name} {version}; installed is {', '.join(sorted(here))}. Start a new run."
            )


def check_fits(dataset: Dataset, network: str) -> None:
    """Refuse images that a network cannot take, before a worker fails on them.

    Raises:
        InputError: images with other channels than the network's input, or larger than it.
    """
    wanted, found = get_network(network).input_shape, dataset.train_images.shape[1:]
    if found[0] != wanted[0] or found[1] > wanted[1] or found[2] > wanted[2]:
        takes, has = ("x".join(map(str, shape)) for shape in (wanted, found))
        raise InputError(
            f"The network {network} takes images of {takes} (channels, height, width), or lower and narrower; those "
            f"of {dataset.name} are {has}. Choose another --data-set or --network (`lenet-bench list`)."
        )


def _check_batch_size(plan: Plan, dataset: Dataset) -> None:
    count, tests = len(dataset.train_labels), len(dataset.test_labels)
    for entrant in plan.entrants:
        if entrant.batch_size > count:
            raise InputError(f"--batch-size {entrant.batch_size} is more than {dataset.name} has: {count} images.")
    if plan.inference_sizes and max(plan.inference_sizes) > tests:
        largest = max(plan.inference_sizes)
        raise InputError(f"--inference-sizes {largest} is more than {dataset.name} has: {tests} test images.")


def _load_what_fits(plan: Plan) -> Dataset:
    """Load the plan's data set; refuse one that the plan cannot be carried out on."""
    with Display() as display:
        dataset = load(plan.data_set or plan.recipe.data_set_asked, plan.data_dir, display)
    check_fits(dataset, plan.entrants[0].network)
    _check_batch_size(plan, dataset)
    return dataset


def _run(
    plan: Plan, found: dict[str, Interpreter], dataset: Dataset, folder: RunFolder, *, packages: dict[str, list[str]]
) -> int:
    with Display() as display:
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
    launches, epochs = folder.read("launches"), folder.read("epochs")
    summary = folder.read("summary")
    if len(summary):
        tables.show_summary(console, summary, inference_sweep(summary, launches, folder.read("inference")))
    grown = scaling(launches)
    if len(grown):
        folder.write_scaling(grown)
        tables.show_scaling(console, grown)
    if not work.plan.until:
        _show_accuracy(epochs)
    if work.ending:
        console.print(work.ending, soft_wrap=True)
    if (summary["verdict"] == "cannot tell").any():
        _show_cause(console, launches[launches["status"] == "ok"])
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
    display.note(f"{this_machine().text} | {pace_of(plan)}, {plan.epochs} epoch(s) | {folder.path}")
    aside = rounds.set_aside()
    if aside and plan.entrants[0].environment == "controlled":
        display.note(f"Set aside for controlled launches: {', '.join(aside)} (keep them: --environment native)")


def pace_of(plan: Plan) -> str:
    """How many rounds there will be, for people."""
    if plan.most_rounds == plan.rounds or len(plan.entrants) == 1:
        return f"{plan.rounds} round(s)"
    budget = f" or {plan.budget_s:g} s" if plan.budget_s else ""
    return f"{plan.rounds} rounds or more, until intervals are under {plan.precision:.1%}{budget}"


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


def _show_cause(console: Console, timed: pd.DataFrame) -> None:
    cause = likely_cause(timed)
    console.print(f"Cannot tell everything. {cause[0].upper()}{cause[1:]}", soft_wrap=True)


def _show_accuracy(epochs: pd.DataFrame) -> None:
    spread = accuracy_spread(epochs) if len(epochs) else None
    if spread:
        tables.show_accuracy(tables.stdout(), spread)


def default_plan(entrants: list[Entrant], *, recipe: Recipe = LENET5, base: str = "", **fields: Any) -> Plan:
    """A plan with a recipe at the entrants' batch size.

    Raises:
        InputError: no entrant is called as `base` says.
    """
    recipe = replace(recipe, batch_size=entrants[0].batch_size)
    labels = [entrant.label for entrant in entrants]
    base = labels[standings.find(base, labels)] if base else ""
    return Plan(entrants=tuple(entrants), recipe=recipe, base=base, **fields)


def pace_fields(
    preset: Preset,
    *,
    precision: float | None,
    rounds: int | None,
    epochs: int | None,
    seeds: int | None,
    until: float | None,
    **others: Any,
) -> dict[str, Any]:
    """The fields of a plan that say how long it goes on: the preset's, but for what was given.

    Args:
        precision: in percent.
        until: where there is a target, several seeds train for it, and longer.
        others: budget_s, steady_s, inference_sizes; None for the preset's or the plan's own.
    """
    if until and epochs == 0:
        raise InputError("--until needs epochs to train, got --epochs 0.")
    if rounds and seeds and seeds > rounds:
        raise InputError(f"--seeds {seeds} need as many rounds, one each, got --rounds {rounds}.")
    seeds = seeds or min(TARGET_SEEDS if until else 1, rounds or TARGET_SEEDS)
    fields = {"budget_s": preset.budget_s, "steady_s": preset.steady_s}
    fields |= {name: value for name, value in others.items() if value is not None}
    fields["precision"] = precision / 100 if precision else preset.precision
    fields["epochs"] = (TARGET_EPOCHS if until else preset.epochs) if epochs is None else epochs
    fields |= {"seeds": seeds, "rounds": max(preset.rounds, seeds)}
    if rounds:
        fields |= {"rounds": rounds, "most_rounds": rounds, "precision": 0.0, "budget_s": 0.0}
    return fields


def installed(pythons: dict[str, str]) -> list[str]:
    """The backends that can be started here."""
    found = []
    for name in catalogue.names():
        with contextlib.suppress(InputError):
            interpreters.find(name, given=pythons)
            found.append(name)
    return found


def show_interpreters() -> str:
    """The map of interpreters, as JSON."""
    return json.dumps(interpreters.read_map(), indent=1, sort_keys=True) + os.linesep
