"""`lenet-bench doctor`: examines the machine, and starts every backend once for its threads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from harness.commands import as_json
from harness.commands.options import Backends, Here, Pythons, Threads, parse_pythons
from harness.doctor.checks import Finding
from harness.doctor.examine import effective_threads, show
from harness.doctor.examine import examine as examine_machine
from harness.runs import interpreters, live_runs, quiet
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.entrants import parse_backends
from harness.runs.interpreters import Interpreter
from harness.runs.outlook import Piece
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import Listener, run_job
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.tables import layout
from harness.worker import catalogue
from harness.worker.job import Entrant, Job


def doctor(
    backend: Backends = None,  # type: ignore[assignment]
    threads: Threads = 1,
    format_: as_json.Format = "table",
    python: Pythons = None,
    here: Here = False,
) -> None:
    """Examine this machine before a run: what would blur the timing, what to change, what that would do.

    `doctor` also starts every installed backend once, and asks how many threads the backend really has.

    Examples:

    - `lenet-bench doctor`
    - `lenet-bench doctor --threads 2 -b torch,jax`
    - `lenet-bench doctor --format json`
    """
    machines = as_json.wanted(format_)
    asked = parse_backends(backend) if backend else catalogue.names()
    pythons = parse_pythons(python or [], here=asked if here else ())
    with Display() as display:
        # At once: a log has nothing else until the machine has been timed.
        display.note("The machine is timed for some seconds. Then each backend is started once.")
        display.doing("looking for the frameworks")
        names = asked if backend else interpreters.installed(pythons)
    findings = examine(names, threads=threads, pythons=pythons)
    if machines:
        mended = [each for each in findings if each.state in ("warn", "bad")]
        as_json.show("doctor", {"to_mend": len(mended), "findings": list(map(asdict, findings))})
    else:
        show(layout.stdout(), findings)


def examine(backends: list[str], *, threads: int, pythons: dict[str, str]) -> list[Finding]:
    """Examine the machine, and start every backend once for its threads."""
    with Display() as display, scratch_folder() as scratch:
        display.start(1 + len(backends), "looking for the frameworks")
        found = {name: interpreters.find(name, given=pythons) for name in backends}
        display.outlook.expect(Piece("starting", name) for name in backends)
        # What is measured is the machine with nothing of ours at work.
        display.doing("timing two pieces of work that never change", timed=True, piece=Piece("examining"))
        others = [each.sentence for each in live_runs.others() or []]
        cpus = quiet.choose_cpus(quiet.watch(), threads)
        findings = examine_machine(threads=threads, cpus=cpus, others=others)
        display.advance()

        def describe(name: str) -> dict[str, str]:
            number = backends.index(name) + 1
            display.doing(
                f"starting {name} for its threads ({number} of {len(backends)})", piece=Piece("starting", name)
            )
            result = _launch_description(name, found[name], threads, cpus, scratch, display.message)
            display.advance()
            return result

        return findings + effective_threads(backends, launch_describe=describe)


def _launch_description(
    name: str, interpreter: Interpreter, threads: int, cpus: list[int], scratch: Path, listen: Listener
) -> dict[str, str]:
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
        asked=asked_controls(entrant, folder, cpus),
    )  # fmt: skip
    return run_job(job, interpreter=interpreter.path, folder=folder, timeout_s=120, listen=listen)
