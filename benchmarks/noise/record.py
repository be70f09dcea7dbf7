"""Record real blocks: launches of frameworks and of their twins, which take turns as the entrants of a run do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from benchmarks.overhead import prepare
from harness.errors import WorkerFailed
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.entrants import make_entrants
from harness.runs.interpreters import find
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import WorkerProcess
from harness.spec.recipes import LENET5
from harness.worker.job import Entrant, Job

# Of a turn: three blocks of PyTorch, one and a half of Paddle.
TURN_S = 0.3
Row = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """What is to be recorded.

    Attributes:
        backends: names; one that is there twice has a twin.
        turns: of a launch; of duets: of each launch alone, and of each pair.
        minutes: no round is begun after so many.
    """

    backends: Sequence[str]
    turns: int
    minutes: float


class Round:
    """One round under way: launches that are started one after the other, and ended with it."""

    def __init__(self, number: int, scratch: Path, display: Display, stack: ExitStack) -> None:
        self.number, self.display = number, display
        self._scratch, self._stack = scratch, stack

    def launch(self, entrant: Entrant, turns: int, *, cpus: Sequence[int] = ()) -> WorkerProcess:
        """Start a launch, and wait until it is warm.

        Args:
            cpus: that it may be on at one time or another; none for the one that all launches have.
        """
        self.display.launch_started(entrant.label)
        folder = self._scratch / f"{self.number}-{entrant.label}".replace(" ", "-")
        asked = asked_controls(entrant, folder) | ({"cpus": list(cpus)} if cpus else {})
        job = Job(
            kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(self._scratch),
            weights=str(self._scratch / "weights.npz"), asked=asked, steady_s=turns * TURN_S, turns=turns,
            inference_sizes=(),
        )  # fmt: skip
        worker = WorkerProcess(job, interpreter=find(entrant.backend).path, folder=folder, timeout_s=600)
        self._stack.callback(worker.close)
        worker.ready(lambda message: None)
        return worker


def record(what: Recording, out: Path, one_round: Callable[[Recording, list[Entrant], Round], list[Row]]) -> None:
    """Record rounds until the time is over, and write their rows after each.

    Raises:
        WorkerFailed: a launch failed.
    """
    entrants = _entrants(what.backends)
    rows: list[Row] = []
    end, number = time.monotonic() + 60 * what.minutes, 0
    with Display() as display, scratch_folder() as scratch:
        prepare(scratch, entrants[0])
        display.start(len(entrants))
        while time.monotonic() < end:
            number += 1
            display.round_started(number)
            with ExitStack() as stack:
                found = one_round(what, entrants, Round(number, scratch, display, stack))
            rows += [{"round": number} | row for row in found]
            pd.DataFrame(rows).to_csv(out, index=False)


def _entrants(backends: Sequence[str]) -> list[Entrant]:
    """Default modes; a name that is there again is a twin."""
    made = {
        each.backend: each
        for each in make_entrants(list(dict.fromkeys(backends)), network="lenet5", device="cpu", dtype="float32")
    }
    seen: dict[str, int] = {}
    found = []
    for name in backends:
        seen[name] = number = seen.get(name, 0) + 1
        found.append(replace(made[name], variant=f"twin{number}" if number > 1 else ""))
    return found


def in_turns(what: Recording, entrants: list[Entrant], round_: Round) -> list[Row]:
    """Start every entrant in random order, let them take turns, return a row for each turn."""
    order, turns = random.Random(round_.number), what.turns
    workers = {each.label: round_.launch(each, turns) for each in order.sample(entrants, len(entrants))}
    seen: dict[str, list[Row]] = {label: [] for label in workers}
    for turn in range(1, turns + 1):
        round_.display.turn_started(turn, turns)
        for label in order.sample(list(workers), len(workers)):
            seen[label].append(_turn(workers[label], turn))
    rows = []
    for label, worker in workers.items():
        result = worker.result(lambda message: None)
        if len(result["blocks"]["steady"]) != turns:
            raise WorkerFailed(f"{label} timed {len(result['blocks']['steady'])} turns, not {turns}.")
        for row, blocks in zip(seen[label], result["blocks"]["steady"]):
            us = " ".join(f"{second / result['block_steps'] * 1e6:.1f}" for second in blocks)
            rows.append({"entrant": label, "block_steps": result["block_steps"]} | row | {"step_us": us})
    return rows


def _turn(worker: WorkerProcess, turn: int) -> Row:
    """Let a worker have a turn; what was seen of the CPUs meanwhile, in CPUs."""
    busy, start = _busy(), time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    worker.turn(lambda message: None)
    seconds = time.monotonic() - start
    own, _ = worker.shares[-1]
    return {"turn": turn, "at": at, "busy": round((_busy() - busy) / seconds, 3), "own": round(own or 0.0, 4)}


def _busy() -> float:
    """Seconds that all CPUs together were at work so far."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
