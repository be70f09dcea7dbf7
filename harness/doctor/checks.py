"""What the doctor looks at: each check is a function from what was read of the machine to one finding."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.conditions import THROTTLED_SHARE
from harness.doctor.advice import ADVICE, CPUS
from harness.doctor.yardsticks import Steadiness
from harness.worker import energy, host

# Shares and counts from which a finding is no longer good, and from which it is bad.
STEAL = (0.01, 0.05)
OTHER_LOAD = (0.1, 0.5)
SPREAD = (0.01, 0.05)
# How much slower it may be beside another program.
BESIDE = (0.01, 0.05)
# Most a backend's worker needs is 0.7 GiB (docs/measured.md, peak MiB); the harness and the data set come on top.
# Less is worse, so these are negative.
MEMORY = (-(2 << 30), -(1 << 30))
SWAP_BYTES = 64 << 20
# A block of 8 steps takes milliseconds: one reading may take this long and not be seen.
CLOCK_NS = 1000.0
# Those that a program reads without a system call: VDSO clock modes of x86 and arm64 in
# https://github.com/torvalds/linux/blob/master/arch/x86/include/asm/vdso/clocksource.h
FAST_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: its name.
        found: what there is, in a few words.
        state: `good`, `warn`, `bad`, or `unknown` where nothing can be read.
        advice: what to change, with the command; empty where nothing is.
        effect: what the change, or leaving it, does.
    """

    check: str
    found: str
    state: str
    advice: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Patient:
    """What was read of the machine.

    Attributes:
        root: of the file system.
        threads: that a launch is to have.
        allowed: CPUs that this process may use.
        cpus: those that a launch would be pinned to.
        device: `cpu` or `gpu`.
        steal_share: of the chosen CPUs' time, over the sampled interval (harness.worker.counters).
        other_load: CPUs that other processes used in it.
        throttled_share: of the control group's periods, while the yardsticks kept a CPU busy; None without a limit.
        steadiness: of the machine itself (harness.doctor.yardsticks).
        others: runs that are under way on this machine, a sentence each.
    """

    root: Path
    threads: int
    allowed: list[int]
    cpus: list[int]
    device: str
    steal_share: float | None
    other_load: float | None
    throttled_share: float | None
    steadiness: Steadiness
    others: tuple[str, ...] = ()

    @property
    def virtual(self) -> bool:
        """Whether a hypervisor is known to be there."""
        return host.hypervisor(self.root) is True


def finding(check: str, found: str, state: str, about: str = "", **values: object) -> Finding:
    """Make a finding whose advice is that of harness.doctor.advice `about` something, with the values filled in."""
    if not about:
        return Finding(check, found, state)
    text = ADVICE[about]
    return Finding(check, found, state, text.advice.format(**values), text.effect.format(**values))


def usable_cpus(patient: Patient) -> Finding:
    """CPUs by affinity against threads asked for."""
    have, want = len(patient.allowed), patient.threads
    found = f"{have} for {_threads(want)}"
    if have < want:
        return finding("CPUs", found, "bad", "too few CPUs", cpus=have)
    return finding("CPUs", found, "warn", "no spare CPU") if have == want else finding("CPUs", found, "good")


def pinning(patient: Patient) -> Finding:
    """Whether affinity may be set: setting what is set already changes nothing, and asks."""
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except OSError as error:
        return finding("pinning", error.strerror or str(error), "bad", "pinning")
    return finding("pinning", "allowed", "good")


def cpu_limit(patient: Patient) -> Finding:
    """Quota of the control group against threads."""
    limit = host.cgroup_cpu_limit(patient.root)
    if limit is None:
        return finding("cgroup CPU limit", "none", "good")
    share = patient.throttled_share
    met = "" if share is None else f", met in {share:.0%} of its periods by one busy thread"
    found = f"{limit:g} CPU for {_threads(patient.threads)}{met}"
    if limit >= patient.threads and not (share or 0) > THROTTLED_SHARE:
        return finding("cgroup CPU limit", found, "good")
    return finding("cgroup CPU limit", found, "bad", "cgroup CPU limit", threads=patient.threads)


def other_runs(patient: Patient) -> Finding:
    """Runs that are under way: they would be timed together with the next."""
    if not patient.others:
        return finding("other runs", "none", "good")
    return finding("other runs", " ".join(patient.others), "bad", "other runs")


def governor(patient: Patient) -> Finding:
    """Who decides the clock of the chosen CPUs."""
    names = sorted({host.governor(cpu, patient.root) or "" for cpu in patient.cpus} - {""})
    if not names:
        return _unseen("governor", "host's clock" if patient.virtual else "")
    if names == ["performance"]:
        return finding("governor", "performance", "good")
    return finding("governor", " ".join(names), "warn", "governor")


def boost(patient: Patient) -> Finding:
    """Whether the clock may exceed its base."""
    allowed = host.boost(patient.root)
    if allowed is None:
        return _unseen("turbo/boost", "host's clock" if patient.virtual else "")
    if not allowed:
        return finding("turbo/boost", "off", "good")
    # The two switches mean opposite things.
    first = (patient.root / host.CPU_FOLDER / "cpufreq/boost").exists()
    name, value = ("cpufreq/boost", 0) if first else ("intel_pstate/no_turbo", 1)
    return finding("turbo/boost", "on", "warn", "boost", value=value, file=f"{CPUS}/{name}")


def siblings(patient: Patient) -> Finding:
    """Whether other CPUs share the cores of the chosen ones."""
    known = [host.smt_siblings(cpu, patient.root) for cpu in patient.cpus]
    if None in known:
        return _unseen("SMT siblings")
    others = {other for each in known for other in each or []}
    if not others and patient.virtual:
        return finding("SMT siblings", "none that a guest sees", "unknown", "host's siblings")
    if not others:
        return finding("SMT siblings", "none", "good")
    both = others & set(patient.cpus)
    found = f"chosen CPUs {_list(both)} share a core" if both else f"CPUs {_list(others)} share the chosen cores"
    return finding("SMT siblings", found, "warn", "siblings")


def virtual(patient: Patient) -> Finding:
    """Whether there is a hypervisor."""
    known = host.hypervisor(patient.root)
    if known is None:
        return _unseen("virtual machine")
    if not known:
        return finding("virtual machine", "no", "good")
    return finding("virtual machine", "yes", "warn", "virtual machine")


def steal(patient: Patient) -> Finding:
    """Share of time that the hypervisor gave to others."""
    share, since_start = patient.steal_share, host.cpu_times(None, patient.root)
    if share is None or since_start is None:
        return _unseen("steal")
    if patient.virtual and not since_start.steal:
        return finding("steal", "none since the machine started", "unknown", "silent hypervisor")
    return _limited("steal", f"{share:.1%} of the chosen CPUs", _state(share, STEAL))


def load(patient: Patient) -> Finding:
    """What other processes use now."""
    if patient.other_load is None:
        return _unseen("load")
    average = host.load_average(patient.root)
    found = f"others use {patient.other_load:.2f} CPU" + (f" (average {average[0]:.2f})" if average else "")
    return _limited("load", found, _state(patient.other_load, OTHER_LOAD))


def memory(patient: Patient) -> Finding:
    """What a launch could have."""
    available = host.memory_available_bytes(patient.root)
    if available is None:
        return _unseen("memory available")
    return _limited("memory available", _gib(available), _state(-available, MEMORY))


def memory_limit(patient: Patient) -> Finding:
    """The control group's."""
    limit = host.cgroup_memory_limit_bytes(patient.root)
    if limit is None:
        return finding("cgroup memory limit", "none", "good")
    return _limited("cgroup memory limit", _gib(limit), _state(-limit, MEMORY))


def swap(patient: Patient) -> Finding:
    """What lies in swap."""
    used = host.swap_used_bytes(patient.root)
    if used is None:
        return _unseen("swap")
    return _limited("swap", f"{_gib(used)} in use" if used else "not in use", "good" if used < SWAP_BYTES else "warn")


def huge_pages(patient: Patient) -> Finding:
    """Transparent huge pages: `always` joins pages behind a program's back."""
    chosen = host.huge_pages(patient.root)
    if chosen is None:
        return _unseen("huge pages")
    return _limited("huge pages", chosen, "warn" if chosen == "always" else "good")


def clocksource(patient: Patient) -> Finding:
    """What the kernel reads the time from."""
    name = host.clocksource(patient.root)
    if name is None:
        return _unseen("clocksource")
    return _limited("clocksource", name, "good" if name in FAST_CLOCKS else "warn")


def clock(patient: Patient) -> Finding:
    """What one reading of the clock costs, measured."""
    step = patient.steadiness.clock_ns
    return _limited("clock", f"{step:,.0f} ns a reading", "good" if step <= CLOCK_NS else "warn")


def core_speed(patient: Patient) -> Finding:
    """Steadiness of work that stays in the core, measured."""
    spread = patient.steadiness.core
    about = "core speed of a guest" if patient.virtual else "core speed"
    return _limited("core speed", f"varies by {spread:.1%}", _state(spread, SPREAD), about, first=_load_first(patient))


def memory_speed(patient: Patient) -> Finding:
    """Steadiness of a pass over 8 MiB, measured, read together with that of the core."""
    spread = patient.steadiness.memory
    about = "memory speed of a guest" if patient.virtual else "memory speed"
    if _state(patient.steadiness.core, SPREAD) != "good":
        about = "core speed first"
    return _limited(
        "memory speed", f"varies by {spread:.1%}", _state(spread, SPREAD), about, first=_load_first(patient)
    )


def beside(patient: Patient) -> Finding:
    """What a program on another CPU takes from the one that is timed, measured."""
    core, memory = patient.steadiness.core_beside, patient.steadiness.memory_beside
    if core is None or memory is None:
        return finding("a program beside", "there is no other CPU", "unknown")
    found = f"slows the core by {max(0.0, core):.1%}, memory by {max(0.0, memory):.1%}"
    return _limited("a program beside", found, _state(max(core, memory), BESIDE))


def energy_meters(patient: Patient) -> Finding:
    """Whether the energy columns will be filled."""
    meters = energy.meters(patient.root, device=patient.device)
    if meters:
        return finding("energy", ", ".join(meter.source for meter in meters), "good")
    why = energy.reason(patient.root, device=patient.device)
    return finding("energy", "no meter", "unknown", "energy for root" if "root only" in why else "energy", reason=why)


def perf(patient: Patient) -> Finding:
    """Whether profilers may look; no column needs them."""
    level = host.perf_event_paranoid(patient.root)
    if level is None:
        return _unseen("perf")
    return _limited("perf", f"perf_event_paranoid {level}", "good" if level <= 2 else "unknown")


# In the order in which they are shown.
CHECKS: tuple[Callable[[Patient], Finding], ...] = (
    usable_cpus, pinning, cpu_limit, other_runs, governor, boost, siblings, virtual, steal, load, memory, memory_limit,
    swap, huge_pages, clocksource, clock, core_speed, memory_speed, beside, energy_meters, perf,
)  # fmt: skip


def _limited(check: str, found: str, state: str, about: str = "", **values: object) -> Finding:
    """A finding that needs no advice while it is good; otherwise that about its own name, or the one that is named."""
    return finding(check, found, state) if state == "good" else finding(check, found, state, about or check, **values)


def _unseen(check: str, about: str = "") -> Finding:
    return finding(check, "not visible", "unknown", about)


def _state(value: float, limits: tuple[float, float]) -> str:
    return "good" if value <= limits[0] else "warn" if value <= limits[1] else "bad"


def _load_first(patient: Patient) -> str:
    busy = patient.other_load is not None and patient.other_load > OTHER_LOAD[0]
    return "Other processes ran meanwhile: stop them, and look again. " if busy else ""


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _threads(count: int) -> str:
    # 0 is --environment native, where the framework chooses.
    return {0: "any number of threads", 1: "1 thread"}.get(count, f"{count} threads")


def _list(cpus: set[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))
