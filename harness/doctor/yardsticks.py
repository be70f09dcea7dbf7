"""How steady the machine itself is: two pieces of work that never change, and the clock. Harness side.

One piece lives in the core and shows its frequency and who shares the core; the other streams through an array that
is larger than a core's own caches and shows who shares the last cache and the memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

WINDOW_S = 0.1
# Larger than the private caches of processors so far (1 to 3 MiB), smaller than what the cores of a server share.
ARRAY_BYTES = 8 << 20
CLOCK_READINGS = 10_000
# Windows with a neighbour, and as many without.
PAIRS = 3
# Ends by itself, too, should whoever started it be killed.
NEIGHBOUR = f"""
import os, sys, time
import numpy as np
with __import__("contextlib").suppress(OSError):
    os.sched_setaffinity(0, {{int(sys.argv[1])}})
array, end = np.zeros({ARRAY_BYTES // 4}, np.float32), time.monotonic() + 60
print(flush=True)
while time.monotonic() < end:
    np.add(array, 1, out=array)
"""


@dataclass(frozen=True)
class Steadiness:
    """What `measure` found.

    Attributes:
        clock_ns: median difference of two readings of `time.perf_counter` in a row, nanoseconds.
        core: standard deviation by mean of the speed of a loop of integers, over windows of 0.1 s.
        memory: the same of a pass over 8 MiB.
        core_beside: how much slower the loop is while another program keeps another CPU busy, as a share; None where
            there is no other CPU.
        memory_beside: the same of the pass.
    """

    clock_ns: float
    core: float
    memory: float
    core_beside: float | None = None
    memory_beside: float | None = None


def measure(cpu: int, *, seconds: float = 3.0, beside: int | None = None) -> Steadiness:
    """Measure for about that many seconds, on that CPU where it may be chosen, one thread.

    The two pieces take turns, window by window, so that both meet the same neighbours.

    Args:
        beside: another CPU, which is kept busy for a second more, in every other window.
    """
    array = np.zeros(ARRAY_BYTES // 4, np.float32)
    with _pinned(cpu):
        clock_ns = clock_step_ns()
        # The first calls fetch the array and raise the clock.
        _speed(_integers), _speed(lambda: _stream(array))
        turns = range(max(2, round(seconds / WINDOW_S / 2) - 1))
        speeds = [(_speed(_integers), _speed(lambda: _stream(array))) for _ in turns]
        slower = _slower_beside(beside, array) if beside is not None else (None, None)
    core, memory = zip(*speeds, strict=True)
    return Steadiness(clock_ns, spread(core), spread(memory), *slower)


def _slower_beside(cpu: int, array: np.ndarray) -> tuple[float, float]:
    """How much slower loop and pass are beside a program on that CPU: medians of windows with it and without."""
    with _neighbour(cpu) as neighbour:
        found: list[tuple[float, float]] = []
        for _ in range(PAIRS):
            neighbour.send_signal(signal.SIGSTOP)
            alone = (_speed(_integers), _speed(lambda: _stream(array)))
            neighbour.send_signal(signal.SIGCONT)
            with_it = (_speed(_integers), _speed(lambda: _stream(array)))
            found.append((alone[0] / with_it[0] - 1, alone[1] / with_it[1] - 1))
    core, memory = zip(*found, strict=True)
    return statistics.median(core), statistics.median(memory)


@contextlib.contextmanager
def _neighbour(cpu: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program that streams through an array of its own on that CPU, until it is no longer wanted."""
    process = subprocess.Popen([sys.executable, "-P", "-c", NEIGHBOUR, str(cpu)], stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def clock_step_ns() -> float:
    """Median difference of two readings of the clock in a row, nanoseconds: what one reading costs."""
    readings = [time.perf_counter() for _ in range(CLOCK_READINGS)]
    return statistics.median(after - before for before, after in pairwise(readings)) * 1e9


def spread(values: tuple[float, ...]) -> float:
    """Standard deviation (n - 1) by mean."""
    return statistics.stdev(values) / statistics.mean(values)


def _speed(work: Callable[[], object]) -> float:
    """Calls of `work` per second of processor time, over one window.

    Of processor time and not of the wall clock: being put aside for another process is the load's finding, not the
    machine's. Frequency, a shared core and shared memory make processor time itself slower.
    """
    calls, end, start = 0, time.perf_counter() + WINDOW_S, time.thread_time()
    while time.perf_counter() < end:
        work()
        calls += 1
    return calls / (time.thread_time() - start)


def _integers() -> int:
    value = 1
    for _ in range(5000):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return value


def _stream(array: np.ndarray) -> None:
    np.add(array, 1, out=array)


@contextlib.contextmanager
def _pinned(cpu: int) -> Iterator[None]:
    """Stay on one CPU for a while, as launches do, where that is allowed."""
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
