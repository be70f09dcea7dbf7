"""Workers that are killed, stopped or asked to end in each phase, that say garbage, flood logs, or leave children."""

from __future__ import annotations

import functools
import importlib
import os
import signal
from contextlib import suppress
from random import Random

import backends
from tests.faults import rows
from tests.faults.case import NAME, TIMED, Case, Site, started, wait_for
from tests.faults.cgroup import little_memory
from tests.faults.place import BACKENDS, LIMIT_S, Place, Running

ROUNDS, TIMEOUT_S = 2, 10
AT, CGROUP = "LENET_FAULTS_AT", "LENET_FAULTS_CGROUP"
LITTLE_BYTES = 64 << 20
PHASES = ("import", "build", "first-step", "steady", "digests", "epoch")
SIGNALS = {
    "killed": signal.SIGKILL, "stopped": signal.SIGSTOP, "asked to end": signal.SIGTERM, "crashed": signal.SIGSEGV,
    "left hanging": None,
}  # fmt: skip
# May be overlooked as well as refused: a sentence that nobody has asked for changes nothing.
MAY_PASS = ("event-unknown", "ready-with-rubbish", "ready-again", "steady-without-end", "steady-ended-twice")
LOGS = ("log-of-400-mb", "log-of-no-text", "error-of-50-mb", "error-of-no-text")
QUICK = "no-json"


def cases() -> list[Case]:
    """All of them."""
    lines, floods = _garbage()
    ends = [
        Case("workers", f"worker {word} in {phase}", functools.partial(_in_phase, phase=phase, number=number))
        for word, number in SIGNALS.items()
        for phase in PHASES
    ]
    pipes = [
        Case("pipes", f"worker says {name}", functools.partial(_fails, mode=f"says-{name}", may_pass=name in MAY_PASS),
             quick=name == QUICK)
        for name in lines
    ]  # fmt: skip
    pipes += [
        Case("pipes", f"worker floods the pipe with {name}", functools.partial(_fails, mode=f"floods-{name}"))
        for name in floods
    ]
    logs = [Case("logs", f"worker with {name}", functools.partial(_fails, mode=name)) for name in LOGS]
    memory = Case("workers", "worker that the kernel kills for want of memory", _out_of_memory)
    children = [
        Case("children", "worker leaves a child, and ends well", _child),
        Case("children", "harness killed over a worker that has a child, started again", _child_of_the_killed),
    ]
    return [*ends, memory, *pipes, *logs, *children]


def _garbage() -> tuple[list[str], list[str]]:
    """The names of lines and of floods, from the stand-in, which is a backend in this process as well."""
    if str(BACKENDS) not in backends.__path__:
        backends.__path__.append(str(BACKENDS))
    garbage = importlib.import_module("backends.faulty.garbage")
    return list(garbage.LINES), list(garbage.FLOODS)


def run_of(mode: str, *, rounds: int = ROUNDS) -> tuple[str, ...]:
    """A run of an honest entrant and of the stand-in in this mode."""
    return (
        "run", "-b", "numpy,faulty", "--mode", f"numpy:eager,faulty:{mode}", "--batch-size", "1",
        "--rounds", str(rounds), "--epochs", "1", "--seeds", "1", "--launch-timeout", str(TIMEOUT_S), *TIMED,
    )  # fmt: skip


def _start(site: Site, place: Place, mode: str, **variables: str) -> Running:
    return started(site, place, *run_of(mode), **{AT: str(place.folder / "at")} | variables)


def _in_phase(site: Site, place: Place, random: Random, *, phase: str, number: int | None) -> int:
    run = _start(site, place, f"pause-{phase}")
    if not _reached(place, run):
        place.finish(run, right=(), what=f"a run whose worker never reached {phase}")
        return 1
    if number is not None:
        pid = int((place.folder / "at").read_text().split()[0])
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    _one_has_failed(place, run)
    return 1


def _reached(place: Place, run: Running) -> bool:
    at = place.folder / "at"
    return wait_for(lambda: at.exists() or run.wait(0) is not None, LIMIT_S) and at.exists()


def _fails(site: Site, place: Place, random: Random, *, mode: str, may_pass: bool = False) -> int:
    run = _start(site, place, mode)
    _one_has_failed(place, run, may_pass=may_pass)
    if "\x1b[2J" in run.said:
        place.outcome.count("endings", "what a worker said went to the terminal as it was")
    return 1


def _out_of_memory(site: Site, place: Place, random: Random) -> int:
    with little_memory(LITTLE_BYTES) as group:
        _one_has_failed(place, _start(site, place, "eats-memory", **{CGROUP: str(group)}))
    errors = [row["error"] for row in rows.read(place.results / NAME, "launches") if row["status"] == "failed"]
    if not all("SIGKILL" in error and "Memory ran out" in error for error in errors):
        place.outcome.count("endings", f"the row does not say that memory ran out: {errors}")
    return 1


def _one_has_failed(place: Place, run: Running, *, may_pass: bool = False) -> None:
    """The stand-in's launch has failed, alone, and its row says so."""
    place.finish(run, right=(0, 3) if may_pass else (3,), what="the run")
    folder, outcome = place.results / NAME, place.outcome
    honest, failed = [], []
    for row in rows.read(folder, "launches"):
        (honest if row["backend"] == "numpy" else failed).append(row)
    good = [row for row in honest if row["status"] == "ok"]
    outcome.count("lost", f"{len(good)} of {ROUNDS} launches of the other entrant", max(0, ROUNDS - len(good)))
    ok = [row for row in failed if row["status"] == "ok"]
    if not may_pass:
        outcome.count("lost", "no row of the launch that failed", int(not failed))
        # One that fails in its training was timed before.
        trainings = {row["plan_round"].startswith("-") for row in failed if row not in ok}
        same = [row for row in ok if row["plan_round"].startswith("-") in trainings]
        outcome.count("wrong", "a launch that is said to be right", len(same))
    outcome.count("wrong", "a failed launch without an error", sum(not row["error"] for row in failed if row not in ok))
    found = rows.faults(folder, None)
    outcome.count("wrong", "; ".join(found), len(found))
    place.nothing_left(folder)


def _child(site: Site, place: Place, random: Random) -> int:
    run = _start(site, place, "child")
    place.finish(run, right=(0, 3), what="a run whose worker left a child")
    return 1


def _child_of_the_killed(site: Site, place: Place, random: Random) -> int:
    run = _start(site, place, "child-and-pause")
    if not _reached(place, run):
        place.finish(run, right=(), what="a run whose worker never reached its pause")
        return 1
    run.send(signal.SIGKILL)
    run.wait(LIMIT_S)
    # Nobody is left who could end it, until the next start.
    place.finish(
        place.start("run", "-b", "numpy", "--batch-size", "1", "--rounds", "1", "--epochs", "0", *TIMED),
        what="the next run",
    )
    return 1
