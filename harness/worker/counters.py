"""What steady training used of the machine, and what the machine did to it meanwhile. Worker side, standard library.

`start` and `stop` are called outside the timed intervals, right before the first block and right after the last.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.worker import energy, host


@dataclass(frozen=True)
class _Times:
    """/proc/stat at `clock_s` seconds: all CPUs of the machine, and ours."""

    clock_s: float
    everything: host.CpuTimes | None
    ours: host.CpuTimes | None


@dataclass(frozen=True)
class _Start:
    """All counters at the beginning."""

    frequency_mhz: float | None
    energy: list[int | None]
    times: _Times
    periods: list[host.CpuPeriods | None]
    usage: resource.struct_rusage


def own_usage() -> resource.struct_rusage:
    """Of this process."""
    return resource.getrusage(resource.RUSAGE_SELF)


Usage = Callable[[], resource.struct_rusage]


class Counters:
    """Counters of this process, its CPUs and the machine over one interval.

    Args:
        cpus: CPUs that this process is pinned to; None: all that it may use.
        root: of the file system that /proc and /sys are read from.
        device: `cpu` or `gpu`, whose energy is counted.
        usage: what the process has used so far, of getrusage(2); with what its replicas have, where it has such.
    """

    def __init__(
        self,
        cpus: Sequence[int] | None = None,
        root: Path = host.ROOT,
        *,
        device: str = "cpu",
        usage: Usage = own_usage,
    ) -> None:
        self._cpus = sorted(cpus or os.sched_getaffinity(0))
        self._root = root
        self._usage = usage
        self._meters = energy.meters(root, device=device)
        self._groups = host.cgroups_with_cpu_limit(root)
        self._quota = host.cgroup_cpu_limit(root)
        self._start: _Start | None = None

    def start(self) -> None:
        """Begin the interval."""
        # The usage last here and first in `stop`: reading the other counters is no part of what is counted.
        self._start = _Start(
            frequency_mhz=self._frequency_mhz(),
            energy=[meter.read() for meter in self._meters],
            times=self._times(),
            periods=self._periods(),
            usage=self._usage(),
        )

    def stop(self, steps: int) -> dict[str, Any]:
        """End the interval.

        Args:
            steps: training steps in it.

        Returns:
            `page_faults_per_step`: minor and major.
            `context_switches_per_step`: voluntary and not.
            `preemptions_per_step`: involuntary ones alone: another task wanted our CPU.
            `cpu_s_user`, `cpu_s_system`: of this process, seconds.
            `steal_share`: share of our CPUs' time that the hypervisor gave to other guests, 0..1.
            `other_load`: CPUs that all other processes of the machine kept busy, on average.
            `frequency_mhz`: of our CPUs, mean of the two ends.
            `energy_j`, `energy_source`: joules, and what they were counted of (harness.worker.energy).
            `cpu_quota`: CPUs that the control groups allow at most; None for no limit.
            `throttled_share`: share of the periods in which their limit was met, 0..1; None where no period ended.
            `cpu_periods`: what that is a share of, a `host.CpuPeriods` for each group with a limit.
            From `steal_share` on they are None where the machine does not tell; counts are of getrusage(2).

        Raises:
            RuntimeError: `start` was not called.
            ValueError: there were no steps.
        """
        end = self._usage()
        times, periods = self._times(), self._periods()
        if self._start is None:
            raise RuntimeError("Counters.stop() before Counters.start(): there is no interval to count over.")
        if steps < 1:
            raise ValueError(f"Counters are per step, and {steps} steps were made.")
        start, row = self._start, _usage(self._start.usage, end, steps)
        joules = self._joules(start.energy)
        spent = [_spent(before, after) for before, after in zip(start.periods, periods, strict=True)]
        return row | {
            "steal_share": _steal_share(start.times.ours, times.ours),
            "other_load": _other_load(start.times, times, own=row["cpu_s_user"] + row["cpu_s_system"]),
            "frequency_mhz": _mean([start.frequency_mhz, self._frequency_mhz()]),
            "energy_j": joules,
            "energy_source": None if joules is None else " + ".join(meter.source for meter in self._meters),
            "cpu_quota": self._quota,
            "throttled_share": _throttled_share(spent),
            "cpu_periods": spent,
        }

    def _times(self) -> _Times:
        everything, clock_s = host.cpu_times(None, self._root), time.monotonic()
        return _Times(clock_s, everything, ours=host.cpu_times(self._cpus, self._root))

    def _periods(self) -> list[host.CpuPeriods | None]:
        # Without a limit, as nearly always, this reads nothing.
        return [host.cpu_periods(group) for group in self._groups]

    def _frequency_mhz(self) -> float | None:
        return _mean([host.frequency_mhz(cpu, self._root) for cpu in self._cpus])

    def _joules(self, before: list[int | None]) -> float | None:
        used = [meter.joules(count, meter.read()) for meter, count in zip(self._meters, before, strict=True)]
        # One socket's energy is not the machine's: a part of the sum would be a wrong number, not a smaller one.
        return sum(each for each in used if each is not None) if used and None not in used else None


def combine(parts: Sequence[tuple[int, float, dict[str, Any]]]) -> dict[str, Any]:
    """One row of several intervals: what is per step weighted by steps, shares by time, seconds and joules summed.

    A turn is often shorter than a period of its control group, so that share is made of all turns' periods together.

    Args:
        parts: steps, seconds and what `stop` returned of each interval.
    """
    periods = [_sum(group) for group in zip(*(part[2]["cpu_periods"] for part in parts), strict=True)]
    steps, seconds = [part[0] for part in parts], [part[1] for part in parts]
    combined: dict[str, Any] = {}
    for name, first in parts[0][2].items():
        values = [part[2][name] for part in parts]
        if name == "cpu_periods":
            continue
        if name == "throttled_share":
            combined[name] = _throttled_share(periods)
        elif name in ("energy_source", "cpu_quota"):
            combined[name] = None if None in values else first
        elif None in values:
            combined[name] = None
        elif name.startswith("cpu_s") or name == "energy_j":
            combined[name] = sum(values)
        else:
            weights = steps if name.endswith("_per_step") else seconds
            combined[name] = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    return combined


def _usage(start: resource.struct_rusage, end: resource.struct_rusage, steps: int) -> dict[str, Any]:
    return {
        "page_faults_per_step": (end.ru_minflt + end.ru_majflt - start.ru_minflt - start.ru_majflt) / steps,
        "context_switches_per_step": (end.ru_nvcsw + end.ru_nivcsw - start.ru_nvcsw - start.ru_nivcsw) / steps,
        "preemptions_per_step": (end.ru_nivcsw - start.ru_nivcsw) / steps,
        "cpu_s_user": end.ru_utime - start.ru_utime,
        "cpu_s_system": end.ru_stime - start.ru_stime,
    }


def _spent(before: host.CpuPeriods | None, after: host.CpuPeriods | None) -> host.CpuPeriods | None:
    return None if before is None or after is None else after - before


def _sum(periods: Sequence[host.CpuPeriods | None]) -> host.CpuPeriods | None:
    total = host.CpuPeriods(0, 0)
    for each in periods:
        if each is None:
            return None
        total += each
    return total


def _throttled_share(periods: Sequence[host.CpuPeriods | None]) -> float | None:
    """Of the control group whose limit was met most often; None where none has a limit, or no period ended."""
    shares = [each.throttled / each.total for each in periods if each is not None and each.total > 0]
    return min(1.0, max(0.0, *shares)) if shares else None


def _steal_share(before: host.CpuTimes | None, after: host.CpuTimes | None) -> float | None:
    if before is None or after is None:
        return None
    spent = after - before
    return min(1.0, max(0.0, spent.steal / spent.total)) if spent.total > 0 else None


def _other_load(before: _Times, after: _Times, *, own: float) -> float | None:
    seconds = after.clock_s - before.clock_s
    if before.everything is None or after.everything is None or seconds <= 0:
        return None
    # /proc/stat counts in ticks of 10 ms, getrusage exactly: on an idle machine the difference may be negative.
    return max(0.0, ((after.everything - before.everything).busy - own) / seconds)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
