"""Processes that a stage starts: pinned, with a log and a time limit, several at once, and ended for good."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil

from benchmarks.gpu.trial import ROOT, THREADS, Trial, environment

GRACE_S = 4.0


@dataclass(frozen=True)
class Command:
    """A process to be.

    Attributes:
        name: of its log, and what stages know it by.
        arguments: after the interpreter.
        python: the interpreter; None for this one.
        variables: in addition to this process's own.
    """

    name: str
    arguments: tuple[str, ...]
    python: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Ended:
    """How it went.

    Attributes:
        code: exit code; None where its time was over, or it was not begun.
        seconds: that it took.
        output: what it wrote to standard output.
        log: the file with its standard error.
    """

    code: int | None
    seconds: float
    output: str
    log: Path

    @property
    def found(self) -> list[dict[str, Any]]:
        """What it printed as lines of JSON; whatever else a library printed is left out."""
        found = []
        for line in self.output.splitlines():
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict):
                    found.append(value)
        return found

    @property
    def fate(self) -> str:
        """How it ended, for a sentence on what went wrong: cut off, or with the last line of its log."""
        return f"cut off after {self.seconds:.0f} s" if self.code is None else self.last_words

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n") if self.log.exists() else []
        lines = [line.strip() for line in lines if line.strip()]
        return lines[-1][:300] if lines else "it wrote nothing"


def run(command: Command, trial: Trial, *, limit_s: float | None = None) -> Ended:
    """Run one command; end it, with all that it started, when its time or the stage's is over.

    Args:
        limit_s: seconds; never more than the stage has left.
    """
    folder = trial.folder / "logs"
    folder.mkdir(exist_ok=True)
    log, output = folder / f"{command.name}.log", folder / f"{command.name}.out"
    begin = time.monotonic()
    left = min(trial.left_s(keep=GRACE_S + 1), limit_s or float("inf"))
    if left <= 0:
        return Ended(None, 0.0, "", log)
    variables = environment(trial.out) | {THREADS: str(trial.threads)} | dict(command.variables)
    with log.open("w") as errors, output.open("w") as lines:
        process = subprocess.Popen(
            [command.python or sys.executable, *command.arguments],
            cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=lines,
            stderr=errors,
        )  # fmt: skip
        try:
            code: int | None = process.wait(left)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_tree(process.pid, grace_s=GRACE_S)
            process.wait()
    return Ended(code, time.monotonic() - begin, output.read_text(encoding="utf-8", errors="replace"), log)


def run_all(
    commands: Sequence[Command],
    trial: Trial,
    *,
    width: int,
    ended: Callable[[Command, Ended], None],
    all_cpus: bool = False,
) -> None:
    """Run commands in their order, up to `width` at once, each on a window of the CPUs.

    Args:
        width: at most; never more than there are CPUs.
        ended: called in this thread as each ends.
        all_cpus: each may use all of them; for what is not timed.
    """
    width = max(1, min(width, len(commands), len(os.sched_getaffinity(0))))
    free: SimpleQueue[list[int]] = SimpleQueue()
    for window in cpu_windows(width, os.cpu_count() or 1 if all_cpus else trial.threads):
        free.put(window)

    def one(command: Command) -> tuple[Command, Ended]:
        cpus = free.get()
        try:
            # Affinity is a thread's own, and what it starts inherits it.
            os.sched_setaffinity(0, cpus)
            return command, run(command, trial)
        finally:
            free.put(cpus)

    with ThreadPoolExecutor(width) as pool:
        for future in as_completed([pool.submit(one, command) for command in commands]):
            ended(*future.result())


def cpu_windows(count: int, size: int) -> list[list[int]]:
    """So many windows of `size` CPUs of those that this process may use, spread evenly; neighbours may overlap.

    What runs side by side is mostly busy with one CPU, and at times, when XLA compiles its candidates, with all it has.
    """
    cpus = sorted(os.sched_getaffinity(0))
    size = min(size, len(cpus))
    starts = [number * len(cpus) // count for number in range(count)]
    return [sorted(cpus[(start + place) % len(cpus)] for place in range(size)) for start in starts]


def end_tree(pid: int, *, grace_s: float) -> None:
    """End a process and all that it started: asked to first, then made to.

    Workers of the harness are in sessions of their own, so a process group is not enough.
    """
    tree = list(_tree(pid))
    if tree and tree[0].pid == pid:
        with contextlib.suppress(psutil.Error):
            # A run that is asked to end writes its tables first.
            tree[0].send_signal(signal.SIGTERM)
        psutil.wait_procs(tree[:1], timeout=grace_s)
    for each in {*tree, *_tree(pid)}:
        with contextlib.suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(tree, timeout=grace_s)


def _tree(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            yield process
            yield from process.children(recursive=True)
