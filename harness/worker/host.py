"""What Linux says of this machine under /proc and /sys. Standard library only, for the worker side and the harness.

Every reader takes the root of the file system, so that tests can give it a made-up tree, and returns None where
something cannot be read: containers hide files, guests lack them, other systems have none of them. Nothing here
raises for a file that is missing, forbidden or not in the form that proc(5) and sysfs promise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import TypeVar

Number = TypeVar("Number", int, float)

ROOT = Path("/")
CPU_FOLDER = "sys/devices/system/cpu"
CGROUPS = "sys/fs/cgroup"
# Version 1 says "no limit" with the largest multiple of a page that it can count, near 2^63; no machine has 2^62.
NO_MEMORY_LIMIT = 1 << 62


@dataclass(frozen=True)
class CpuTimes:
    """Seconds since the machine started, summed over some CPUs (proc(5), /proc/stat).

    Attributes:
        busy: user, nice, system, irq and softirq. A guest's time is part of `user` already.
        steal: wanted to run while the hypervisor ran something else; not part of `busy`.
        total: all of it: busy, steal, idle and waiting for input or output.
    """

    busy: float
    steal: float
    total: float

    def __sub__(self, earlier: CpuTimes) -> CpuTimes:
        return CpuTimes(self.busy - earlier.busy, self.steal - earlier.steal, self.total - earlier.total)


@dataclass(frozen=True)
class CpuPeriods:
    """Periods of a control group whose CPU time is limited, since the group was made.

    Attributes:
        total: in which one of its processes wanted to run.
        throttled: in which it had used up what it may, and stood still until the next.
    """

    total: int
    throttled: int

    def __sub__(self, earlier: CpuPeriods) -> CpuPeriods:
        return CpuPeriods(self.total - earlier.total, self.throttled - earlier.throttled)

    def __add__(self, other: CpuPeriods) -> CpuPeriods:
        return CpuPeriods(self.total + other.total, self.throttled + other.throttled)


def cpu_times(cpus: Sequence[int] | None, root: Path = ROOT) -> CpuTimes | None:
    """Seconds that these CPUs have spent; None stands for all CPUs of the machine, the aggregate line."""
    wanted = {"cpu"} if cpus is None else {f"cpu{cpu}" for cpu in cpus}
    lines = [line.split() for line in (_read(root, "proc/stat") or "").splitlines()]
    # user nice system idle iowait irq softirq steal; guest and guest_nice behind them are counted in the first two.
    rows = [[_integer(cell) for cell in cells[1:9]] for cells in lines if cells and cells[0] in wanted]
    if not rows or len(rows) != len(wanted) or any(len(row) < 4 or None in row for row in rows):
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    # Older kernels have fewer columns.
    user, nice, system, idle, iowait, irq, softirq, steal = (
        sum(cell or 0 for cell in column) / ticks for column in zip_longest([0] * 8, *rows, fillvalue=0)
    )
    busy = user + nice + system + irq + softirq
    return CpuTimes(busy=busy, steal=steal, total=busy + steal + idle + iowait)


def frequency_mhz(cpu: int, root: Path = ROOT) -> float | None:
    """Current frequency of a CPU in MHz, as the kernel estimates it; in a guest often a constant."""
    khz = _integer(_read(root, f"{CPU_FOLDER}/cpu{cpu}/cpufreq/scaling_cur_freq"))
    if khz:
        return khz / 1000
    for block in (_read(root, "proc/cpuinfo") or "").split("\n\n"):
        fields = _fields(block)
        if fields.get("processor") == str(cpu):
            mhz = _real(fields.get("cpu MHz"))
            return mhz or None
    return None


def governor(cpu: int, root: Path = ROOT) -> str | None:
    """What decides the frequency of a CPU: `performance`, `powersave`, `schedutil`, ...

    Source: https://docs.kernel.org/admin-guide/pm/cpufreq.html
    """
    return _read(root, f"{CPU_FOLDER}/cpu{cpu}/cpufreq/scaling_governor") or None


def boost(root: Path = ROOT) -> bool | None:
    """Whether CPUs may run above their base frequency (Turbo Boost, Turbo Core).

    Source: https://docs.kernel.org/admin-guide/pm/cpufreq.html#the-boost-file-in-sysfs, and
    https://docs.kernel.org/admin-guide/pm/intel_pstate.html for `no_turbo`, which means the opposite.
    """
    allowed = _integer(_read(root, f"{CPU_FOLDER}/cpufreq/boost"))
    if allowed is not None:
        return allowed != 0
    forbidden = _integer(_read(root, f"{CPU_FOLDER}/intel_pstate/no_turbo"))
    return None if forbidden is None else forbidden == 0


def smt_siblings(cpu: int, root: Path = ROOT) -> list[int] | None:
    """The other CPUs on the core of this one; a guest sees what its hypervisor makes up."""
    text = _read(root, f"{CPU_FOLDER}/cpu{cpu}/topology/thread_siblings_list")
    # A list such as 0-1,8-9 (https://docs.kernel.org/admin-guide/cputopology.html).
    if not text or not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return None
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return sorted(found - {cpu})


def load_average(root: Path = ROOT) -> tuple[float, float, float] | None:
    """Tasks that run, wait for a CPU or wait for a disk, averaged over 1, 5 and 15 minutes."""
    values = [_real(cell) for cell in (_read(root, "proc/loadavg") or "").split()[:3]]
    if len(values) < 3 or None in values:
        return None
    one, five, fifteen = (float(value or 0) for value in values)
    return one, five, fifteen


def memory_available_bytes(root: Path = ROOT) -> int | None:
    """Bytes that a new process can have without swapping, by the kernel's estimate."""
    return _meminfo("MemAvailable", root)


def swap_used_bytes(root: Path = ROOT) -> int | None:
    """Bytes that lie in swap."""
    total, free = _meminfo("SwapTotal", root), _meminfo("SwapFree", root)
    return None if total is None or free is None else total - free


def cgroup_cpu_limit(root: Path = ROOT) -> float | None:
    """CPUs' worth of time that this process's control groups allow; None where they set no limit.

    A group's parents limit it too, so the smallest counts.
    Source: `cpu.max` in https://docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.cfs_quota_us` in
    https://docs.kernel.org/scheduler/sched-bwc.html (version 1).
    """
    return min((limit for _, limit in _limited_groups(root)), default=None)


def cgroups_with_cpu_limit(root: Path = ROOT) -> list[Path]:
    """Folders of this process's control group and its parents, as far as they limit CPU time; most have none."""
    return [folder for folder, _ in _limited_groups(root)]


def cpu_periods(group: Path) -> CpuPeriods | None:
    """How often a control group that has a limit met it, as its `cpu.stat` says: one small file is read.

    Args:
        group: of `cgroups_with_cpu_limit`.
    """
    cells = [line.split() for line in (_read(group, "cpu.stat") or "").splitlines()]
    counts = {row[0]: _integer(row[1]) for row in cells if len(row) == 2}
    total, throttled = counts.get("nr_periods"), counts.get("nr_throttled")
    return None if total is None or throttled is None else CpuPeriods(total, throttled)


def cgroup_memory_limit_bytes(root: Path = ROOT) -> int | None:
    """Bytes that this process's control groups allow, its parents' limits included; None where there is no limit.

    Source: `memory.max` in https://docs.kernel.org/admin-guide/cgroup-v2.html, and for version 1
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
    """
    found = [_integer(_read(folder, "memory.max")) for folder in _cgroup_folders("", root)]
    found += [_integer(_read(folder, "memory.limit_in_bytes")) for folder in _cgroup_folders("memory", root)]
    return min((limit for limit in found if limit is not None and limit < NO_MEMORY_LIMIT), default=None)


def huge_pages(root: Path = ROOT) -> str | None:
    """Who gets transparent huge pages: `always`, `madvise` (who asks) or `never`.

    Source: https://docs.kernel.org/admin-guide/mm/transhuge.html
    """
    chosen = re.search(r"\[(\w+)\]", _read(root, "sys/kernel/mm/transparent_hugepage/enabled") or "")
    return chosen[1] if chosen else None


def hypervisor(root: Path = ROOT) -> bool | None:
    """Whether this is a virtual machine: the x86 flag that hypervisors set; None on processors without flags."""
    flags = _fields((_read(root, "proc/cpuinfo") or "").split("\n\n")[0]).get("flags")
    return None if flags is None else "hypervisor" in flags.split()


def clocksource(root: Path = ROOT) -> str | None:
    """What the kernel reads the time from: `tsc`, `kvm-clock`, `hpet`, ..."""
    return _read(root, "sys/devices/system/clocksource/clocksource0/current_clocksource") or None


def perf_event_paranoid(root: Path = ROOT) -> int | None:
    """What `perf` refuses to users who are not root: from 1 on events of whole CPUs, from 2 on the kernel as well;
    above 2, which only some distributions know, everything.

    Source: https://docs.kernel.org/admin-guide/sysctl/kernel.html#perf-event-paranoid
    """
    return _integer(_read(root, "proc/sys/kernel/perf_event_paranoid"))


def _read(folder: Path, path: str) -> str | None:
    try:
        return (folder / path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _integer(text: str | None) -> int | None:
    return _parse(int, text)


def _real(text: str | None) -> float | None:
    return _parse(float, text)


def _parse(kind: Callable[[str], Number], text: str | None) -> Number | None:
    try:
        return None if text is None else kind(text)
    except ValueError:
        return None


def _fields(text: str) -> dict[str, str]:
    """`name : value` lines, as /proc/cpuinfo and /proc/meminfo have them."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _meminfo(name: str, root: Path) -> int | None:
    value = _fields(_read(root, "proc/meminfo") or "").get(name, "")
    kibibytes = _integer(value.removesuffix(" kB"))
    return None if kibibytes is None else kibibytes * 1024


def _cpu_limit(cells: list[str]) -> float | None:
    """CPUs from a quota and a period, both in microseconds; no limit is written `max` or -1."""
    if len(cells) != 2:
        return None
    quota, period = _integer(cells[0]), _integer(cells[1])
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _limited_groups(root: Path) -> list[tuple[Path, float]]:
    """Control groups with a limit of CPU time, each once, and how many CPUs it allows."""
    found = {folder: _cpu_limit((_read(folder, "cpu.max") or "").split()) for folder in _cgroup_folders("", root)}
    for folder in _cgroup_folders("cpu", root):
        quota = [_read(folder, "cpu.cfs_quota_us") or "", _read(folder, "cpu.cfs_period_us") or ""]
        found.setdefault(folder, _cpu_limit(quota))
    return [(folder, limit) for folder, limit in found.items() if limit is not None]


def _cgroup_folders(controller: str, root: Path) -> Iterator[Path]:
    """Folders of this process's control group and of its parents, where a controller keeps its files.

    Args:
        controller: of version 1; empty for the one hierarchy of version 2 (cgroups(7), /proc/pid/cgroup).
    """
    for line in (_read(root, "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller not in controllers.split(","):
            continue
        mounts = (controllers, controller) if controller else ("", "unified")
        own = PurePosixPath(path.lstrip("/"))
        # In a container the path may be that of the host, or lead out of what is mounted: then only the mount is left.
        paths = [own, *own.parents] if ".." not in own.parts else [PurePosixPath()]
        for mount in dict.fromkeys(mounts):
            yield from (root / CGROUPS / mount / each for each in paths)
