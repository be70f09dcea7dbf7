"""What a node of a cluster does: says what it is, makes ready for a plan, and carries out one round of it.

A round is launched whole, all its entrants on this node, so that pairs stay pairs. What comes of it goes back as text;
nothing is kept here but what was made ready, and no row is written but into a temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

import harness
from harness.data.sources import Dataset
from harness.errors import InputError, LenetBenchError
from harness.proof import audit, register
from harness.results.folder import TABLES, RunFolder
from harness.results.machines import PARTS
from harness.runs import code, installing, interpreters, orphans, quiet
from harness.runs.display import Display
from harness.runs.enough import MOST_ROUNDS as INFERENCE_ROUNDS
from harness.runs.interpreters import Interpreter
from harness.runs.machine import this_machine
from harness.runs.pip_progress import Progress
from harness.runs.plan import Plan
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run
from harness.runs.scratch import scratch_folder, write_dataset
from harness.worker import catalogue
from harness.worker.job import Entrant

# How often a node asks for the environment that another process on it is making, and how long it waits between, s.
TRIES, PAUSE_S = 60, 10.0


def hello() -> str:
    """What this node is: version and code of lenet-bench, the machine; JSON."""
    machine = this_machine()
    return json.dumps(
        {
            "lenet_bench": harness.__version__, "code": code_digest(), "machine": machine.text,
            "machine_sha256": machine.sha256, "kind": kind_of(machine.details),
        }
    )  # fmt: skip


def code_digest() -> str:
    """Of all of the harness that a proof rests on, without backends."""
    return code.digest(code.REFERENCE)


def kind_of(machine: dict[str, str]) -> str:
    """What nodes of like hardware have in common: processor, CPUs, memory, system, architecture.

    Args:
        machine: as environment.json has it.
    """
    return hashlib.sha256("\n".join(machine.get(part, "") for part in PARTS).encode()).hexdigest()


def carry_out(task: str) -> str:
    """Carry out one round.

    Args:
        task: JSON: `plan` (as `Plan.as_dict`), `plan_round`, `run` (its name), `lenet_bench` and `code` of whoever
            asks, `backends` (name -> the same of each).

    Returns:
        JSON. `refused`: a sentence, where this node cannot do it. `failed` and `exit_code`: where nobody could. Else
        `tables` (name -> CSV), `environment`, `failures` (label -> sentence), `said` (lines for people), `seconds`.
    """
    asked = json.loads(task)
    try:
        digests = _checked_code(asked)
        ready = _made_ready(json.dumps(asked["plan"], sort_keys=True))
        return json.dumps(_round(ready, asked, digests))
    except InputError as error:
        return json.dumps({"refused": str(error)})
    except LenetBenchError as error:
        return json.dumps({"failed": str(error), "exit_code": error.exit_code})


def _checked_code(asked: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Backend -> its `harness.runs.code.digests`, read once for all that a round holds against them.

    Raises:
        InputError: the code here is not that of whoever asks.
    """
    known = [name for name in asked["backends"] if name in catalogue.names()]
    digests = code.digests_of([code.REFERENCE, *known])
    own = {"lenet_bench": harness.__version__, "code": code.as_one(digests[code.REFERENCE])}
    if fault := version_fault(own, asked):
        raise InputError(fault)
    for name, digest in asked["backends"].items():
        if name not in known or code.as_one(digests[name]) != digest:
            raise InputError(f"its backend {name} is not the one here. Install the same there.")
    return digests


def version_fault(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """Why a node's lenet-bench is not the one that is wanted; empty where it is.

    Args:
        found, wanted: `lenet_bench` and `code`, as in `hello`.
    """
    if found["lenet_bench"] != wanted["lenet_bench"]:
        return f"it has lenet-bench {found['lenet_bench']}, here is {wanted['lenet_bench']}. Install the same there."
    if found["code"] != wanted["code"]:
        return f"its lenet-bench {found['lenet_bench']} has other code than the one here. Install the same there."
    return ""


@dataclass(frozen=True)
class _Ready:
    """A plan that this node can carry out, and all that it takes; kept for the plan's other rounds.

    Attributes:
        text: the plan as it was asked for.
        plan: the same, with the CPUs that were chosen here.
        scratch: a temporary folder with the data set in it.
        said: lines for people, until they are passed on.
        ending: takes the folder away.
    """

    text: str
    plan: Plan
    found: dict[str, Interpreter]
    dataset: Dataset
    audited: dict[str, Any]
    scratch: Path
    said: list[str]
    ending: contextlib.ExitStack


# The plan of the last round: its other rounds come here, too, as a rule.
_last: _Ready | None = None


def _made_ready(text: str) -> _Ready:
    """Make ready for a plan, once for all of its rounds that follow each other here."""
    global _last
    if _last is None or _last.text != text:
        if _last is not None:
            _last.ending.close()
        _last = None
        _last = _make_ready(text)
    return _last


def _make_ready(text: str) -> _Ready:
    """Install what is missing, load the data set, verify, look at the machine.

    Raises:
        InputError: something cannot be had here.
        LenetBenchError: an entrant does not pass verification.
    """
    orphans.adopt()
    plan, heard = Plan.from_dict(json.loads(text)), io.StringIO()
    with Display(Console(file=heard, width=200)) as display, contextlib.ExitStack() as ending:
        for entrant in plan.entrants:
            _install(entrant)
        found = find_interpreters(plan, {}, display)
        # As the command line has it, where whoever asks names no folder.
        dataset = load_for_plan(replace(plan, data_dir=plan.data_dir or os.environ.get("LENET_BENCH_DATA")), display)
        if plan.verified:
            register.require(plan, pythons={})
        audited = audit.fields_of(plan, dataset, display)
        plan = quiet.settle(plan, display)
        scratch = ending.enter_context(scratch_folder())
        write_dataset(dataset, scratch)
        return _Ready(text, plan, found, dataset, audited, scratch, heard.getvalue().splitlines(), ending.pop_all())


def _install(entrant: Entrant) -> None:
    """Make the environment that an entrant needs, where there is none yet, in the user's data folder."""
    with contextlib.suppress(InputError):
        interpreters.find_all([entrant])
        return
    python, gpu = installing.choose_python(entrant.backend), entrant.device == "gpu"
    wanted = installing.Wanted(entrant.backend, python, entrant.version, gpu=gpu)
    installing.check(wanted)
    for attempt in range(TRIES):
        try:
            installing.install(wanted, Progress(Console(file=io.StringIO())))
            return
        except InputError:
            # Another node that shares this home folder is making it.
            if attempt == TRIES - 1:
                raise
            time.sleep(PAUSE_S)


def _round(ready: _Ready, asked: dict[str, Any], digests: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    begun, plan_round = time.monotonic(), int(asked["plan_round"])
    plan, heard = ready.plan, io.StringIO()
    if plan_round > INFERENCE_ROUNDS:
        # What earlier rounds found is on other nodes, perhaps: it is known by then (`harness.runs.enough`).
        plan = replace(plan, inference_sizes=())
    with scratch_folder() as place, Display(Console(file=heard, width=200)) as display:
        folder = RunFolder(place / str(asked["run"]))
        folder.path.mkdir()
        work = Rounds(Run(plan, ready.found, ready.dataset, folder, **ready.audited), display, digests=digests)
        work.execute_round(plan_round, ready.scratch)
        files = {name: folder.path / f"{name}.csv" for name in TABLES}
        tables = {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.exists()}
        environment = folder.read_environment()
    said = [*ready.said, *heard.getvalue().splitlines()]
    ready.said.clear()
    return {
        "tables": tables, "environment": environment, "said": said, "seconds": time.monotonic() - begun,
        "failures": {label: str(error) for label, error in work.failures.items()},
    }  # fmt: skip
