"""The protocol in NumPy, up to the phase in which the mode has something happen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from backends.faulty.garbage import FLOODS, LINES
from backends.numpy.backend import Backend as Right

# Names a file that says where a worker is: its process id and its phase.
AT = "LENET_FAULTS_AT"
# Names the folder of a group of processes, into which a worker goes to die; it may have a tenth of what is eaten.
CGROUP, MOST_EATEN_MB = "LENET_FAULTS_CGROUP", 640
AGES_S = 3600


def reach(mode: str, phase: str) -> None:
    """Wait here, where the mode says so."""
    if mode == f"pause-{phase}":
        _pause(phase)


def _pause(phase: str) -> None:
    here = Path(os.environ[AT])
    written = here.with_suffix(".part")
    written.write_text(f"{os.getpid()} {phase}")
    written.rename(here)
    time.sleep(AGES_S)


def _say(content: bytes) -> None:
    descriptor, view = int(sys.argv[2]), memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _child() -> None:
    """A process that no group and no session leads back to this one."""
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({AGES_S})"], start_new_session=True)


def _print_much() -> None:
    for _ in range(400):
        sys.stdout.write(("a line of a log that nobody reads " * 30 + "\n") * 1024)
    raise RuntimeError("after a long log")


def _print_bytes() -> None:
    sys.stdout.flush()
    os.write(1, bytes(range(256)) * 64 + b"\x1b[2J\x1b]0;title\x07\n")
    raise RuntimeError("after a log that is no text")


def _fail_long() -> None:
    raise RuntimeError("x" * (50 << 20))


def _fail_without_text() -> None:
    raise RuntimeError("\udcff\x1b[2J\u202e[/bold]\x00<b>=1+1")


def _eat_memory() -> None:
    """In a group of processes (cgroup) that may have little of it: the kernel ends this one."""
    Path(os.environ[CGROUP], "cgroup.procs").write_text(str(os.getpid()))
    eaten = [b"x" * (1 << 20) for _ in range(MOST_EATEN_MB)]
    raise RuntimeError(f"{len(eaten)} MiB were to be had")


MISDEEDS = {
    "child": _child,
    "child-and-pause": lambda: (_child(), _pause("first-step")),
    "eats-memory": _eat_memory,
    "log-of-400-mb": _print_much,
    "log-of-no-text": _print_bytes,
    "error-of-50-mb": _fail_long,
    "error-of-no-text": _fail_without_text,
}


class Backend(Right):
    """The stand-in."""

    def __init__(self, *, mode: str, **options: Any) -> None:
        reach(mode, "build")
        super().__init__(mode="eager", **options)
        self._mode, self._blocks, self._told_memory = mode, 0, False

    def train_steps(self, batches: Any) -> list[np.ndarray]:
        self._blocks += 1
        if self._blocks == 1:
            reach(self._mode, "first-step")
            self._misbehave()
        elif self._told_memory:
            reach(self._mode, "epoch")
        elif self._blocks > 12:
            # The least number of blocks of the warm-up, and the first step.
            reach(self._mode, "steady")
        return super().train_steps(batches)

    def _misbehave(self) -> None:
        kind, _, name = self._mode.partition("-")
        if kind == "says":
            _say(LINES[name])
        elif kind == "floods":
            for content in FLOODS[name]:
                _say(content)
        elif self._mode in MISDEEDS:
            MISDEEDS[self._mode]()

    def memory(self) -> tuple[int | None, str]:
        self._told_memory = True
        reach(self._mode, "digests")
        return super().memory()


with Path(sys.argv[1]).open(encoding="utf-8") as file:
    reach(json.load(file)["entrant"].get("mode", ""), "import")
