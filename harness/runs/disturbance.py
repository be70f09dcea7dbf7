"""Did something else have the CPUs while a turn was timed? Seen by the harness, before and after it, at the CPUs alone.

Everything is read while the worker waits for the harness's word, so that reading takes nothing from what is timed. No
time that a worker measured enters: whether a turn counts depends on the shares of the CPUs that others had, and, where
turns are so short that the system's counters are coarse, on how coarse these are. A turn that is left out is left out
on all sides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.conditions import BUSY_SHARE, busy_cpus
from harness.analysis.disturbed import TAKEN_AGAIN
from harness.runs.cpu_time import CpuTime
from harness.worker import host

# /proc/stat counts whole ticks, of programs and of the kernel apart, so what CPUs did in a turn is known to so many.
# Without this, turns of 0.1 s of TensorFlow and MXNet, whose threads wait for each other, were taken for disturbed with
# nothing else on the machine: 16 of 550 in the five frameworks' turns, and none with it.
TICKS = 2


@dataclass(frozen=True)
class Seen:
    """What a turn had of the CPUs.

    Attributes:
        waited: share of its time for which its threads wanted a CPU that others had.
        stolen: share of its CPUs' time that the hypervisor gave to other machines.
        others: CPUs that everything else on the machine used, on average.
        siblings: those of these that were other threads of its CPUs' cores; 0 where there are none.
    """

    waited: float
    stolen: float
    others: float
    siblings: float = 0.0

    def is_disturbed(self, cpus: int) -> bool:
        """Whether the turn counts as one in which something else had the CPUs.

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
        waited = later.worker.waiting - self.worker.waiting
        ran = later.worker.at_work - self.worker.at_work - waited
        # Two threads of one framework may wait for each other: that is no disturbance. What others ran on our CPUs is
        # the most that they can have kept us waiting for, as far as ticks tell that.
        by_others = max(0.0, min(waited, ours.busy - ran - TICKS / os.sysconf("SC_CLK_TCK")))
        siblings = 0.0
        if self.siblings is not None and later.siblings is not None:
            siblings = (later.siblings - self.siblings).busy / seconds
        return Seen(
            waited=by_others / seconds,
            stolen=max(0.0, ours.steal / ours.total) if ours.total > 0 else 0.0,
            others=max(0.0, everything.busy - ran) / seconds,
            siblings=siblings,
        )


class Watch:
    """How many turns a round takes, and in which of them something else had the CPUs of one of its launches.

    A turn of all launches of the round is one: a pair of which one side was disturbed is no pair. It is taken again
    after the others, as long as there are no more than half as many turns again.

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

    @property
    def wants_turn(self) -> bool:
        """Whether one more turn should be taken."""
        return self.taken - len(self.disturbed or ()) < self._wanted and self.taken < self._most

    def took(self, seen: Iterable[Seen | None]) -> None:
        """Take in a turn of all launches: what was seen of each."""
        self.taken += 1
        known = [each for each in seen if each is not None]
        if known:
            bad = any(each.is_disturbed(self._cpus) for each in known)
            self.disturbed = (self.disturbed or frozenset()) | ({self.taken} if bad else set())


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
