"""What `gate`, `baseline update` and `doctor` do on the machine, once their options are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import catalogue, interpreters, rounds
from harness.commands import announce, check_fits, default_name, environment_of, load
from harness.data import Dataset
from harness.display import Display
from harness.doctor import Finding, effective_threads
from harness.doctor import examine as examine_machine
from harness.interpreters import Interpreter
from harness.job import Entrant, Job
from harness.launch import launch
from harness.networks import get_network
from harness.plan import Plan
from harness.recipes import LENET5
from harness.results import RunFolder
from harness.start import initial_weights


@dataclass(frozen=True)
class Trained:
    """A run that only trained.

    Attributes:
        errors: backend -> why one of its launches failed.
    """

    folder: RunFolder
    dataset: Dataset
    errors: dict[str, str]


def train(
    plan: Plan,
    *,
    results: Path,
    pythons: dict[str, str],
    suffix: str,
    before: Callable[[Dataset], None] = lambda dataset: None,
) -> Trained:
    """Carry out a plan that times nothing, in a folder whose name ends with `suffix`.

    Args:
        before: called once all that was asked for is known to be possible, and before anything is written.

    Raises:
        InputError: a backend is not installed, or the data set does not fit.
    """
    backends = list(dict.fromkeys(entrant.backend for entrant in plan.entrants))
    found = {name: interpreters.find(name, given=pythons) for name in backends}
    with Display() as display:
        dataset = load(plan.data_set, plan.data_dir, display)
        check_fits(dataset, plan.entrants[0].network)
        before(dataset)
        folder = RunFolder.create(results, f"{default_name(backends)}-{suffix}")
        announce(display, plan, dataset, found, folder)
        folder.write_environment(environment_of(plan, dataset, found, {}))
        work = rounds.Rounds(plan, folder=folder, dataset=dataset, interpreters=found, display=display)
        work.execute()
        folder.write_environment(environment_of(plan, dataset, found, work.packages))
    errors = {each.backend: str(work.failures[each.label]) for each in plan.entrants if each.label in work.failures}
    return Trained(folder, dataset, errors)


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
