"""Did something else have the CPUs while a turn was timed? Seen by the harness, before and after it, at the CPUs alone.

Everything is read while the worker waits for the harness's word, so that reading takes nothing from what is timed. No
time that a worker measured enters: whether a turn counts depends on the shares of the CPUs that others had, and, where
turns are so short that the system's counters are coarse, on how coarse these are. A turn that is left out is left out
on all sides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from harness.analysis.conditions import BUSY_SHARE, busy_cpus
from harness.analysis.disturbed import TAKEN_AGAIN
from harness.runs.cpu_time import CpuTime
from harness.worker import host

# /proc/stat counts whole ticks, of programs and of the kernel apart, so what CPUs did in a stretch is known to so many.
# Without this, turns of 0.1 s of TensorFlow and MXNet, whose threads wait for each other, were taken for disturbed with
# nothing else on the machine: 16 of 550 in the five frameworks' turns, and none with it.
TICKS = 2
# Turns that are shorter are judged together with those after them, until a launch has had its turns for so long.
STRETCH_S = 0.2


@dataclass(frozen=True)
class Seen:
    """What a turn, or several of one launch, had of the CPUs, seconds.

    Attributes:
        seconds: that it took.
        queued: for which its threads wanted a CPU that others had.
        beside: that others ran on its CPUs.
        gone: that the hypervisor gave of its CPUs to other machines.
        had: that its CPUs had, all together.
        by_others: that everything else ran on the machine.
        by_siblings: those of these that were on other threads of its CPUs' cores; 0 where there are none.
    """

    seconds: float
    queued: float
    beside: float
    gone: float
    had: float
    by_others: float
    by_siblings: float = 0.0

    def __add__(self, other: Seen) -> Seen:
        return Seen(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def waited(self) -> float:
        """Share of the time for which its threads wanted a CPU that others had.

        Two threads of one framework may wait for each other: that is no disturbance. What others ran on its CPUs is the
        most that they can have kept it waiting for, as far as ticks tell that.
        """
        return max(0.0, min(self.queued, self.beside - TICKS / os.sysconf("SC_CLK_TCK"))) / self.seconds

    @property
    def stolen(self) -> float:
        """Share of its CPUs' time that the hypervisor gave to other machines."""
        return max(0.0, self.gone / self.had) if self.had > 0 else 0.0

    @property
    def others(self) -> float:
        """CPUs that everything else on the machine used, on average."""
        return max(0.0, self.by_others) / self.seconds

    @property
    def siblings(self) -> float:
        """Those of these that were other threads of its CPUs' cores."""
        return self.by_siblings / self.seconds

    def is_disturbed(self, cpus: int) -> bool:
        """Whether this counts as a stretch in which something else had the CPUs.

        Args:
            cpus: of the machine.
        """
        return (
            max(self.waited, self.stolen) > BUSY_SHARE or self.others > busy_cpus(cpus) or self.siblings > busy_cpus(1)
        )


@dataclass(frozen=True)
class Look:
    """Counters of a worker and of the CPUs at one moment, seconds so far; None where the system does not say.

    Attributes:
        clock: of the harness.
        worker: what its threads have had.
        ours: of the CPUs that the worker may use.
        all: of the machine.
        siblings: of the CPUs that share a core with ours, and are none of them.
    """

    clock: float
    worker: CpuTime
    ours: host.CpuTimes | None
    all: host.CpuTimes | None
    siblings: host.CpuTimes | None

    def until(self, later: Look) -> Seen | None:
        """What was seen from here to later; None where the system does not say."""
        if self.ours is None or later.ours is None or self.all is None or later.all is None:
            return None
        seconds = later.clock - self.clock
        if self.worker.at_work is None or later.worker.at_work is None or seconds <= 0:
            return None
        ours, everything = later.ours - self.ours, later.all - self.all
        queued = later.worker.waiting - self.worker.waiting
        ran = later.worker.at_work - self.worker.at_work - queued
        siblings = 0.0
        if self.siblings is not None and later.siblings is not None:
            siblings = (later.siblings - self.siblings).busy
        return Seen(
            seconds=seconds, queued=queued, beside=ours.busy - ran, gone=ours.steal, had=ours.total,
            by_others=everything.busy - ran, by_siblings=siblings,
        )  # fmt: skip


class Watch:
    """How many turns a round takes, and in which of them something else had the CPUs of one of its launches.

    A turn of all launches of the round is one: a pair of which one side was disturbed is no pair. It is taken again
    after the others, as long as there are no more than half as many turns again. Turns that are too short for the
    system's counters are judged several together, and left out together.

    Attributes:
        taken: turns so far.
        disturbed: their numbers, counted from 1; None where no turn could be watched.
    """

    def __init__(self, turns: int, *, cpus: int | None = None) -> None:
        """Begin.

        Args:
            turns: undisturbed ones that are wanted.
            cpus: of the machine; None for this one's.
        """
        self.taken = 0
        self.disturbed: frozenset[int] | None = None
        self._wanted = turns
        self._most = turns + int(TAKEN_AGAIN * turns)
        self._cpus = cpus or os.cpu_count() or 1
        # What each launch has had in the turns that are not judged yet, and these.
        self._stretch: dict[int, Seen] = {}
        self._open: set[int] = set()

    @property
    def wants_turn(self) -> bool:
        """Whether one more turn should be taken."""
        return self._clean < self._wanted and self.taken < self._most

    @property
    def _clean(self) -> int:
        """Turns that count, and those that may yet."""
        return self.taken - len(self.disturbed or ())

    def took(self, seen: Sequence[Seen | None]) -> None:
        """Take in a turn of all launches: what was seen of each, always in the same order."""
        self.taken += 1
        self._open.add(self.taken)
        known = {place: each for place, each in enumerate(seen) if each is not None}
        for place, each in known.items():
            self._stretch[place] = self._stretch[place] + each if place in self._stretch else each
        # The last turns may be fewer than a stretch. A launch that has failed has no more of them.
        if not self.wants_turn or min((self._stretch[place].seconds for place in known), default=0.0) >= STRETCH_S:
            self._judge()

    def _judge(self) -> None:
        """Settle which of the open turns were disturbed: all or none."""
        if self._stretch:
            bad = any(each.is_disturbed(self._cpus) for each in self._stretch.values())
            self.disturbed = (self.disturbed or frozenset()) | (self._open if bad else set())
        self._stretch, self._open = {}, set()


def look(worker: CpuTime, cpus: Sequence[int], root: Path = host.ROOT) -> Look:
    """Read the counters of the CPUs.

    Args:
        worker: what it has had until now.
        cpus: that it is pinned to; none where it is not.
    """
    ours = sorted(cpus or os.sched_getaffinity(0))
    beside = {each for cpu in ours for each in host.smt_siblings(cpu, root) or ()} - set(ours)
    return Look(
        time.monotonic(), worker, host.cpu_times(ours, root), host.cpu_times(None, root),
        host.cpu_times(sorted(beside), root) if beside else None,
    )  # fmt: skip
