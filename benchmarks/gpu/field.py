"""Stage `field`: all modes, both feeds, three batch sizes; started side by side, each on its own CPUs; timed in turns.

`lenet-bench run` starts its launches one after the other, so that each has the machine to itself from the beginning: 54
entrants would take ten minutes. Here only what is timed has the card to itself. What starting costs is not looked at:
JAX takes what it has compiled before from the trial's cache. The key modes come first, with every batch size.

One launch of each is no verdict: the spread given is that of its turns. And XLA times its algorithms while others use
the card: it may pick another one than in a `run`, whose figures are those to quote.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.commands import cpu_windows
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.runs import KEY
from benchmarks.gpu.trial import FRAMEWORKS, Trial, keeping_compiled
from benchmarks.overhead import prepare
from harness.errors import WorkerFailed
from harness.runs.asked_controls import asked_controls
from harness.runs.entrants import make_entrants
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import WorkerProcess
from harness.spec.recipes import LENET5
from harness.worker.job import Entrant, Job

BATCH_SIZES = (64, 1024, 8192)
REHEARSED = {"torch": ("eager",), "jax": ("jit",)}
# What the time that is left is divided by: to start the others takes longer, and they are missed less.
SHARES = {"key": 2, "others": 1}
NAMES = {"key": "the key modes", "others": "the other modes"}
LEAST_S = 10.0
TURNS, TURN_S = 12, 0.04
BASE = ("torch", "eager", "host")
COLUMNS = (
    "backend", "mode", "feed", "batch_size", "threads", "framework_version", "status", "error", "step_us_median",
    "step_us_p95", "train_images_per_s", "ratio", "turns_spread", "warmup_steps", "steady", "energy_j",
    "steady_steps", "device_memory_bytes", "device_memory_source", "peak_rss_bytes", "cpu_s_user", "cpu_s_system",
    "weights_sha256", "batches_sha256", "cpus_found", "compiler", "turn_step_us",
)  # fmt: skip
Row = dict[str, Any]


class Started:
    """A worker that is being started in a thread, and then takes turns."""

    def __init__(
        self, entrant: Entrant, interpreter: str, scratch: Path, limit_s: float, variables: dict[str, str]
    ) -> None:
        self.entrant = entrant
        self.error = ""
        self._options = interpreter, scratch, limit_s
        self._variables = variables
        self._worker: WorkerProcess | None = None

    def start(self, cpus: list[int]) -> None:
        """Start it on these CPUs and wait until it is warm."""
        interpreter, scratch, limit_s = self._options
        folder = scratch / self.entrant.label.replace(" ", "-")
        asked = asked_controls(self.entrant, folder) | {"cpus": cpus}
        asked["environment"] = {**asked["environment"], **self._variables}
        job = Job(
            kind="measure", entrant=self.entrant, recipe=replace(LENET5, batch_size=self.entrant.batch_size).as_dict(),
            seed=0, data=str(scratch), weights=str(scratch / "weights.npz"), asked=asked, steady_s=TURNS * TURN_S,
            turns=TURNS, inference_sizes=(), warmup_limit_s=3.0,
        )  # fmt: skip
        self._attempt(lambda: self._make(job, interpreter, folder, limit_s))

    def _make(self, job: Job, interpreter: str, folder: Path, limit_s: float) -> None:
        self._worker = WorkerProcess(job, interpreter=interpreter, folder=folder, timeout_s=limit_s)
        self._worker.ready(lambda message: None)

    def turn(self) -> None:
        """Time some blocks."""
        self._attempt(lambda: self._worker and self._worker.turn(lambda message: None))

    def end(self) -> Row:
        """What it found, or why it failed."""
        found: Row = {}
        if self._worker:
            worker = self._worker
            self._attempt(lambda: found.update(worker.result(lambda message: None)))
            worker.close()
        fields = {name: getattr(self.entrant, name) for name in ("backend", "mode", "feed", "batch_size", "threads")}
        return fields | found | {"status": "failed" if self.error else "ok", "error": self.error}

    def _attempt(self, step: Any) -> None:
        if self.error:
            return
        try:
            step()
        except WorkerFailed as error:
            self.error = " ".join(str(error).split())[:500]


def run_field(trial: Trial) -> None:
    """Time entrants of a batch size against each other, the key modes first, while there is time."""
    pythons = {name: path for name in FRAMEWORKS if (path := python_of(name, trial))}
    kinds = ("key",) if trial.rehearsal else tuple(SHARES)
    fields = [(kind, size) for kind in kinds for size in (BATCH_SIZES[:1] if trial.rehearsal else BATCH_SIZES)]
    rows: list[Row] = []
    with scratch_folder() as scratch:
        prepare(scratch, _entrants(list(pythons), *fields[0], trial)[0])
        for number, (kind, size) in enumerate(fields):
            limit_s = trial.left_s() * SHARES[kind] / sum(SHARES[kind] for kind, _ in fields[number:])
            if limit_s < LEAST_S:
                trial.problem(f"No time was left for batch {size}, {NAMES[kind]}.")
                continue
            entrants = _entrants(list(pythons), kind, size, trial)
            new = _with_ratios(_one_field(entrants, pythons, scratch, trial, limit_s))
            # The base is there again for the others' ratios alone.
            new = [row for row in new if kind == "key" or (row["backend"], row["mode"], row["feed"]) != BASE]
            for row in new:
                if row["error"]:
                    name = f"{row['backend']} {row['mode']} {row['feed']} {row['batch_size']}"
                    trial.problem(f"{name} failed: {row['error']}")
            rows += new
            _write(trial.folder / "field.csv", rows)
            _show(trial, rows)


def _entrants(names: list[str], kind: str, size: int, trial: Trial) -> list[Entrant]:
    found = make_entrants(
        names, modes="all", feeds=("host", "device"), threads=(trial.threads,), batch_sizes=(size,), network="lenet5",
        device=trial.device, dtype="float32",
    )  # fmt: skip
    if trial.rehearsal:
        return [each for each in found if each.mode in REHEARSED[each.backend]]
    return [
        each for each in found
        if (f"{each.backend}:{each.mode}" in KEY) == (kind == "key") or (each.backend, each.mode, each.feed) == BASE
    ]  # fmt: skip


def _one_field(
    entrants: Sequence[Entrant], pythons: dict[str, str], scratch: Path, trial: Trial, limit_s: float
) -> list[Row]:
    began = time.monotonic()
    windows = cpu_windows(len(entrants), trial.threads)
    each_limit_s = max(5.0, limit_s * 0.7)
    started = [
        Started(entrant, pythons[entrant.backend], scratch, each_limit_s, keeping_compiled(trial.out))
        for entrant in entrants
    ]
    # Linux ends a worker when the thread that started it ends: the pool lives as long as they do.
    with ThreadPoolExecutor(len(started)) as pool:
        # Neighbours share CPUs: starting is slower then, timing is not.
        futures = [pool.submit(each.start, window) for each, window in zip(started, windows)]
        _wait(futures, each_limit_s)
        warm, took = sum(not each.error for each in started), time.monotonic() - began
        trial.note(f"batch {entrants[0].batch_size}: {warm} of {len(started)} were warm after {took:.1f} s")
        order = random.Random(entrants[0].batch_size)
        for _ in range(TURNS):
            if time.monotonic() - began > limit_s * 0.9:
                trial.problem(f"batch {entrants[0].batch_size}: fewer turns than {TURNS}; the time was over.")
                break
            for each in order.sample(started, len(started)):
                each.turn()
        return list(pool.map(Started.end, started))


def _wait(futures: Sequence[Future[None]], limit_s: float) -> None:
    """Wait for all; each gives up by itself after its own limit."""
    for future in futures:
        future.result(timeout=limit_s + 10)


def _with_ratios(rows: list[Row]) -> list[Row]:
    """Add each one's speed over torch eager's with host feed, turn by turn, and how far its turns spread."""
    turns = {
        (row["backend"], row["mode"], row["feed"]): [float(each) for each in row["turn_step_us"].split()]
        for row in rows
        if row["status"] == "ok" and row.get("turn_step_us")
    }
    for row in rows:
        own, base = turns.get((row["backend"], row["mode"], row["feed"])), turns.get(BASE)
        if own:
            row["turns_spread"] = statistics.pstdev(own) / statistics.mean(own)
        if own and base:
            row["ratio"] = statistics.median(b / o for b, o in zip(base, own))
    return rows


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _show(trial: Trial, rows: Sequence[Row]) -> None:
    header = ["backend", "mode", "feed", "batch", "images/s", "step us", "ratio", "spread", "card MB"]
    good = [row for row in rows if row["status"] == "ok"]
    trial.table(
        "One launch of each, in turns; ratios to torch eager with host feed",
        header,
        [
            [
                row["backend"], row["mode"], row["feed"], row["batch_size"], row["train_images_per_s"],
                row["step_us_median"], row.get("ratio"), row.get("turns_spread"),
                (row["device_memory_bytes"] or 0) / 1e6 or None,
            ]
            for row in sorted(good, key=lambda row: (row["batch_size"], -row["train_images_per_s"]))
        ],
    )  # fmt: skip
