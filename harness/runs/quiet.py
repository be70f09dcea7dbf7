"""A look at the machine before a run: what other programs use of it now, who they are, and which CPUs are quiet.

It takes about a second, in the harness, before anything is launched. Workers are pinned to the CPUs that were quietest;
the plan keeps them, so that all rounds of a run, also those of `--resume`, are timed on the same ones.
"""

from __future__ import annotations

import collections
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psutil

from harness.analysis.conditions import busy_cpus
from harness.runs import live_runs
from harness.runs.asked_controls import cpus_of
from harness.runs.cpu_time import of_threads
from harness.runs.display import Display
from harness.runs.plan import Plan
from harness.runs.privacy import hide
from harness.visible import visible
from harness.worker import host

# How long the CPUs are watched, s. /proc/stat counts in ticks of 0.01 s: this is to a hundredth of a CPU.
LOOK_S = 1.0
# CPUs that are used less than this are equally quiet: an idle system uses as much now and then. Of equals the last are
# taken, because interrupts and what starts first keep to the first ones.
QUIET_SHARE = 0.1
# Of programs that are named, and how much of a CPU one must use.
MOST_NAMED, LEAST_NAMED = 3, 0.1


@dataclass(frozen=True)
class Load:
    """What other programs used while they were watched.

    Attributes:
        shares: CPU -> share of it that was used, 0..1; of all CPUs of the machine that could be seen.
        programs: name -> CPUs that all programs of that name used; the largest first.
        queues: CPU -> how many tasks waited for it, on average: of two CPUs that are wholly used one may be wanted by
            one program and the other by ten. Empty where the system does not say.
    """

    shares: Mapping[int, float]
    programs: Mapping[str, float]
    queues: Mapping[int, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """CPUs that were used in all."""
        return sum(self.shares.values())

    @property
    def who(self) -> str:
        """The programs that used most, by name: `python 1.0, cc1 0.5`; empty where none can be seen."""
        named = [f"{name} {share:.1f}" for name, share in self.programs.items() if share >= LEAST_NAMED]
        return ", ".join(named[:MOST_NAMED])


def watch(seconds: float | None = None, *, pause: Callable[[float], None] = time.sleep) -> Load:
    """Watch CPUs and programs for a while, asleep."""
    before, waited, cpus = _used(), _waited(), _cpu_times()
    start = time.monotonic()
    pause(LOOK_S if seconds is None else seconds)
    took = max(time.monotonic() - start, 1e-3)
    shares = {}
    for cpu, later in _cpu_times().items():
        spent = later - cpus.get(cpu, later)
        # Time that the hypervisor took is not ours to have either.
        shares[cpu] = min(1.0, (spent.busy + spent.steal) / spent.total) if spent.total > 0 else 0.0
    queues = _queues(waited, took)
    programs: collections.Counter[str] = collections.Counter()
    for (_, name), used in _used(since=before).items():
        programs[name] += used / took  # type: ignore[assignment]
    return Load(shares, dict(programs.most_common()), queues)


def _cpu_times() -> dict[int, host.CpuTimes]:
    found = {cpu: host.cpu_times([cpu]) for cpu in range(os.cpu_count() or 1)}
    return {cpu: times for cpu, times in found.items() if times is not None}


def _waited() -> dict[int, tuple[float, int]]:
    """Of every other process, seconds for which its threads have waited for a CPU, and the one it was on last."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid():
                found[process.pid] = (of_threads(process.pid)[1], process.cpu_num())
    return found


def _queues(before: Mapping[int, tuple[float, int]], seconds: float) -> dict[int, float]:
    """CPU -> how many tasks waited for it since then; a process that moved counts where it is now."""
    found: collections.Counter[int] = collections.Counter()
    for pid, (waited, cpu) in _waited().items():
        found[cpu] += max(0.0, waited - before.get(pid, (waited, cpu))[0]) / seconds  # type: ignore[assignment]
    return dict(found)


def _used(since: Mapping[tuple[int, str], float] | None = None) -> dict[tuple[int, str], float]:
    """Seconds of CPU time of every other process, by number and name; with `since`, those since then."""
    found: dict[tuple[int, str], float] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid():
                continue
            times = process.cpu_times()
            # The name of the program alone: its words and paths are nobody's business (docs/privacy.md).
            key = (process.pid, hide(visible(os.path.basename(process.name())))[:20])
            # One that is new has used all that it has used since then.
            found[key] = times.user + times.system - (since.get(key, 0.0) if since is not None else 0.0)
    return found


def quietest(load: Load, allowed: Sequence[int], *, taken: Sequence[int] = ()) -> list[int]:
    """The CPUs that may be used, the quietest first; of those that are equally quiet, the last ones first.

    A CPU is as busy as itself, what waits for it included, and, by half, as the other threads of its core.

    Args:
        taken: that other runs of lenet-bench are pinned to, whatever they do at this moment.
    """

    def busy(cpu: int) -> float:
        own = 1.0 if cpu in taken else load.shares.get(cpu, 0.0)
        beside = sum(load.shares.get(each, 0.0) for each in host.smt_siblings(cpu) or ())
        return own + load.queues.get(cpu, 0.0) + beside / 2

    def place(cpu: int) -> tuple[float, int]:
        found = busy(cpu)
        return (0.0 if found < QUIET_SHARE else round(found, 1), -cpu)

    return sorted(allowed, key=place)


def choose_cpus(load: Load, threads: int) -> list[int]:
    """The CPUs for launches of so many threads: the quietest that no other run of lenet-bench is pinned to."""
    taken = [cpu for each in live_runs.others() or [] for cpu in each.cpus]
    return quietest(load, sorted(os.sched_getaffinity(0)), taken=taken)[:threads]


def settle(plan: Plan, display: Display, *, choose: bool = True, look: Callable[[], Load] | None = None) -> Plan:
    """Look at the machine, say what is wrong with it at once, and choose the CPUs of a new run's plan.

    Args:
        choose: not for a run that goes on: its rows so far are of the CPUs that it had.
        look: how; None for `watch`.
    """
    if not plan.timing:
        return plan
    display.doing("looking at what else uses this machine")
    load, usual = (look or watch)(), _pinned(plan)
    if choose and usual:
        plan = replace(plan, cpus=tuple(choose_cpus(load, max(each.cpus for each in plan.entrants))))
    for sentence in sentences(load, _pinned(plan), usual):
        display.note(sentence, "bold red")
    return plan


def _pinned(plan: Plan) -> list[int]:
    return sorted({cpu for each in plan.entrants for cpu in cpus_of(each, plan.cpus)})


def sentences(load: Load, chosen: Sequence[int], usual: Sequence[int]) -> list[str]:
    """What to tell whoever starts a run; nothing on a quiet machine.

    Args:
        chosen: CPUs that workers will be pinned to; none where they are not.
        usual: those that they would be pinned to on a quiet machine.
    """
    found = []
    cpus, busy = len(load.shares), [cpu for cpu in chosen if load.shares.get(cpu, 0.0) >= QUIET_SHARE]
    if cpus and (load.total > busy_cpus(cpus) or busy):
        who = f" ({load.who})" if load.who else ""
        used = ", ".join(f"CPU {cpu} {share:.0%}" for cpu, share in sorted(load.shares.items()) if share >= QUIET_SHARE)
        found.append(
            f"BUSY MACHINE: other programs use {load.total:.1f} of {cpus} CPUs now{who}: {used}. What is timed beside "
            "them is not to be compared: end them first, or see lenet-bench doctor."
        )
    if set(chosen) != set(usual):
        names = ", ".join(map(str, sorted(chosen)))
        found.append(f"Workers are pinned to CPU {names}: quieter now than CPU {', '.join(map(str, usual))}.")
    return found
