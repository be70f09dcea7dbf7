"""Does a worker do its work itself? Its CPU time and that of its children, as the system counts them, turn by turn.

They are read while the worker waits for the harness's word: reading takes nothing from what is timed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

NANOSECOND = 1e-9


@dataclass(frozen=True)
class CpuTime:
    """Seconds so far.

    Attributes:
        at_work: that the process's threads ran or waited for a CPU that others had, and its replicas'; None where the
            system does not say.
        of_children: that its children and theirs ran, but for replicas.
        waiting: the part of `at_work` for which its threads waited.
    """

    at_work: float | None
    of_children: float
    waiting: float = 0.0

    def shares(self, later: CpuTime, seconds: float) -> tuple[float | None, float]:
        """Both as shares of the seconds from here to later."""
        known = self.at_work is not None and later.at_work is not None
        return (
            (later.at_work - self.at_work) / seconds if known else None,  # type: ignore[operator]
            (later.of_children - self.of_children) / seconds,
        )


def cpu_time(pid: int, *, adopted: Sequence[int] = (), replicas: bool = False) -> CpuTime:
    """What a process and its children have used so far; zeros for one that is gone.

    Args:
        adopted: children of it that have left it (`harness.runs.orphans`).
        replicas: whether its children are its replicas, whose work is its own.
    """
    left = sum(_used(each) + _of_children(each) for each in adopted)
    at_work, waiting = of_threads(pid)
    if not replicas:
        return CpuTime(at_work, _of_children(pid) + left, waiting)
    parts = [of_threads(each) for each in children_of(pid)]
    if at_work is not None:
        at_work += sum(each or 0.0 for each, _ in parts)
    return CpuTime(at_work, left, waiting + sum(each for _, each in parts))


def children_of(pid: int) -> list[int]:
    """The processes that it and its children have started; none where it is gone."""
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def of_threads(pid: int) -> tuple[float | None, float]:
    """Of all threads, the first two numbers of proc(5)'s schedstat: time on a CPU or in wait of one, and the latter."""
    total = waited = 0.0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            running, waiting = file.read_text().split()[:2]
        except (OSError, ValueError):
            # A thread that has just ended.
            continue
        total += (int(running) + int(waiting)) * NANOSECOND
        waited += int(waiting) * NANOSECOND
    return total or None, waited


def _of_children(pid: int) -> float:
    return sum(map(_used, children_of(pid)))


def _used(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
    return 0.0
