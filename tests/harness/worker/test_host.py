"""Readers of /proc and /sys, on made-up trees."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.worker import host
from harness.worker.host import CpuTimes

STAT = """\
cpu  300 30 60 5000 600 7 8 40 100 3
cpu0 100 10 20 1000 200 3 4 10 50 1
cpu1 200 20 40 4000 400 4 4 30 50 2
intr 12345 6 7
ctxt 99
"""
CPUINFO = """\
processor	: 0
model name	: Made Up
cpu MHz		: 2100.5
flags		: fpu tsc hypervisor avx2

processor	: 1
cpu MHz		: 3300.000
flags		: fpu tsc hypervisor avx2
"""
MEMINFO = "MemTotal: 1000 kB\nMemAvailable:     400 kB\nSwapTotal:    300 kB\nSwapFree:   250 kB\n"
CPUS = "sys/devices/system/cpu"
CGROUPS = "sys/fs/cgroup"

Tree = Callable[[dict[str, str]], Path]

# Every reader, called for CPU 0 where it takes one.
READERS: dict[str, Callable[[Path], Any]] = {
    "cpu_times": lambda root: host.cpu_times([0], root),
    "all cpu_times": lambda root: host.cpu_times(None, root),
    "frequency_mhz": lambda root: host.frequency_mhz(0, root),
    "governor": lambda root: host.governor(0, root),
    "smt_siblings": lambda root: host.smt_siblings(0, root),
} | {
    name: getattr(host, name)
    for name in (
        "boost", "load_average", "memory_available_bytes", "swap_used_bytes", "cgroup_cpu_limit",
        "cgroup_memory_limit_bytes", "huge_pages", "hypervisor", "clocksource", "perf_event_paranoid",
    )
}  # fmt: skip
FILES = (
    "proc/stat", "proc/cpuinfo", "proc/meminfo", "proc/loadavg", "proc/self/cgroup", f"{CPUS}/cpufreq/boost",
    "proc/sys/kernel/perf_event_paranoid", f"{CPUS}/intel_pstate/no_turbo", f"{CGROUPS}/cpu.max",
    f"{CPUS}/cpu0/cpufreq/scaling_cur_freq", f"{CPUS}/cpu0/topology/thread_siblings_list", f"{CGROUPS}/memory.max",
    "sys/kernel/mm/transparent_hugepage/enabled", f"{CGROUPS}/cpu/cpu.cfs_quota_us",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a function that writes files below a root of their own, and returns the root."""

    def write(files: dict[str, str]) -> Path:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def hundred_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick is 10 ms, whatever this machine has."""
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 100}[name])


def test_times_of_chosen_cpus_in_seconds(tree: Tree) -> None:
    """Busy is user, nice, system, irq, softirq; steal is apart; a guest's time is in user and not added again."""
    root = tree({"proc/stat": STAT})

    assert host.cpu_times([1], root) == CpuTimes(busy=2.68, steal=0.30, total=46.98)
    both = host.cpu_times([0, 1], root)
    assert both is not None
    assert both.busy == pytest.approx(2.68 + 1.37)
    assert both.steal == pytest.approx(0.40)
    assert both.total == pytest.approx(46.98 + 13.47)


def test_times_of_the_whole_machine_are_the_first_line(tree: Tree) -> None:
    """No CPUs in particular: the aggregate, which counts CPUs that are switched off by now as well."""
    assert host.cpu_times(None, tree({"proc/stat": STAT})) == CpuTimes(busy=4.05, steal=0.40, total=60.45)


def test_times_are_subtracted_field_by_field() -> None:
    """An interval is later minus earlier."""
    assert CpuTimes(5.0, 3.0, 11.0) - CpuTimes(1.0, 2.0, 4.0) == CpuTimes(4.0, 1.0, 7.0)


def test_times_of_a_cpu_that_is_not_there_are_unknown(tree: Tree) -> None:
    """One CPU of several being absent: no part of a sum is given."""
    assert host.cpu_times([0, 7], tree({"proc/stat": STAT})) is None
    assert host.cpu_times([], tree({"proc/stat": STAT})) is None


def test_old_kernels_have_fewer_columns(tree: Tree) -> None:
    """Without the columns from irq on, these are 0."""
    assert host.cpu_times([0], tree({"proc/stat": "cpu0 100 0 50 300\n"})) == CpuTimes(1.5, 0.0, 4.5)


def test_frequency_is_cpufreqs_or_else_cpuinfos(tree: Tree) -> None:
    """scaling_cur_freq in kHz is preferred; the CPU's own block of /proc/cpuinfo is next."""
    root = tree({"proc/cpuinfo": CPUINFO, f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "2750000\n"})

    assert host.frequency_mhz(0, root) == 2750.0
    assert host.frequency_mhz(1, root) == 3300.0
    assert host.frequency_mhz(2, root) is None
    tree({f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "<unknown>\n"})
    assert host.frequency_mhz(0, root) == 2100.5


def test_governor_of_each_cpu(tree: Tree) -> None:
    """One word, of the CPU that is asked for."""
    root = tree({f"{CPUS}/cpu3/cpufreq/scaling_governor": "schedutil\n"})

    assert host.governor(3, root) == "schedutil"
    assert host.governor(0, root) is None


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [("cpufreq/boost", "1\n", True), ("cpufreq/boost", "0\n", False),
     ("intel_pstate/no_turbo", "1\n", False), ("intel_pstate/no_turbo", "0\n", True)],
)  # fmt: skip
def test_boost_is_told_by_two_files_in_opposite_ways(tree: Tree, path: str, text: str, expected: bool) -> None:
    """`boost` allows, `no_turbo` forbids."""
    assert host.boost(tree({f"{CPUS}/{path}": text})) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("2,10\n", [10]), ("2-3\n", [3]), ("2\n", []), ("0-1,2-3\n", [0, 1, 3]), ("none\n", None)]
)
def test_siblings_are_the_others_on_the_core(tree: Tree, text: str, expected: list[int] | None) -> None:
    """The kernel's list, with ranges, without the CPU itself; what is no list is unknown."""
    assert host.smt_siblings(2, tree({f"{CPUS}/cpu2/topology/thread_siblings_list": text})) == expected


def test_load_and_memory(tree: Tree) -> None:
    """Three averages; bytes from kibibytes; swap in use is what is not free."""
    root = tree({"proc/loadavg": "0.50 1.25 2.00 3/400 5\n", "proc/meminfo": MEMINFO})

    assert host.load_average(root) == (0.5, 1.25, 2.0)
    assert host.memory_available_bytes(root) == 400 * 1024
    assert host.swap_used_bytes(root) == 50 * 1024
    tree({"proc/loadavg": "0.50 x\n"})
    assert host.load_average(root) is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"a/b/cpu.max": "50000 100000\n"}, 0.5),
        ({"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2.0),
        ({"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "300000 100000\n"}, 0.5),
        ({"a/b/c/cpu.max": "50000 100000\n", "other/cpu.max": "50000 100000\n"}, None),
        ({"unified/a/b/cpu.max": "25000 50000\n"}, 0.5),
        ({"a/b/cpu.max": "150000\n"}, None),
    ],
)
def test_cpu_limit_of_version_2_is_the_smallest_of_own_and_parents(
    tree: Tree, files: dict[str, str], expected: float | None
) -> None:
    """Own group and its parents count, also where both versions are mounted; groups below or beside do not."""
    groups = {f"{CGROUPS}/{path}": text for path, text in files.items()}

    assert host.cgroup_cpu_limit(tree({"proc/self/cgroup": "0::/a/b\n"} | groups)) == expected


@pytest.mark.parametrize(
    ("group", "path", "quota", "expected"),
    [
        ("3:cpu,cpuacct:/docker/x", "cpu,cpuacct/docker/x", "250000", 2.5),
        ("3:cpu,cpuacct:/docker/x", "cpu,cpuacct", "250000", 2.5),
        ("3:cpu,cpuacct:/docker/x", "cpu", "250000", 2.5),
        ("3:cpu:/", "cpu", "-1", None),
        ("3:cpuset:/", "cpu", "50000", None),
        ("3:cpu:/../../outside", "cpu", "50000", 0.5),
    ],
)  # fmt: skip
def test_cpu_limit_of_version_1(tree: Tree, group: str, path: str, quota: str, expected: float | None) -> None:
    """Quota by period, -1 for none; the mount itself where the path is one of the host's or leads out."""
    folder = f"{CGROUPS}/{path}"
    root = tree(
        {
            "proc/self/cgroup": f"9:name=systemd:/\n{group}\n0::/\n",
            f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
            f"{folder}/cpu.cfs_period_us": "100000\n",
        }
    )

    assert host.cgroup_cpu_limit(root) == expected


def test_group_outside_of_what_is_mounted_is_not_walked_to(tree: Tree) -> None:
    """`..` in a group's path (a namespace's outside) is not followed into a neighbouring folder."""
    files = {"cpu/cpu.cfs_quota_us": "-1", "outside/cpu.cfs_quota_us": "50000"}
    files |= {"cpu/cpu.cfs_period_us": "100000", "outside/cpu.cfs_period_us": "100000"}
    root = tree({"proc/self/cgroup": "3:cpu:/../outside\n"} | {f"{CGROUPS}/{path}": t for path, t in files.items()})

    assert host.cgroup_cpu_limit(root) is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a/memory.max": "max\n", "memory.max": "max\n"}, None),
        ({"a/memory.max": "2000\n", "memory.max": "1000\n"}, 1000),
        ({"memory/m/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({"memory/m/memory.limit_in_bytes": "5000\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 5000),
    ],
)
def test_memory_limit_of_both_versions(tree: Tree, files: dict[str, str], expected: int | None) -> None:
    """The smallest of own group and parents; `max`, and version 1's largest number, are none."""
    groups = {f"{CGROUPS}/{path}": text for path, text in files.items()}

    assert host.cgroup_memory_limit_bytes(tree({"proc/self/cgroup": "4:memory:/m\n0::/a\n"} | groups)) == expected


def test_huge_pages_are_the_word_in_brackets(tree: Tree) -> None:
    """Of three words one is chosen."""
    enabled = "sys/kernel/mm/transparent_hugepage/enabled"

    assert host.huge_pages(tree({enabled: "always [madvise] never\n"})) == "madvise"
    assert host.huge_pages(tree({enabled: "[always] madvise never\n"})) == "always"
    assert host.huge_pages(tree({enabled: "always madvise never\n"})) is None


def test_hypervisor_is_a_whole_word_among_flags(tree: Tree) -> None:
    """True, False, and unknown on processors that list no flags."""
    assert host.hypervisor(tree({"proc/cpuinfo": CPUINFO})) is True
    assert host.hypervisor(tree({"proc/cpuinfo": "processor : 0\nflags : fpu hypervisors\n"})) is False
    assert host.hypervisor(tree({"proc/cpuinfo": "processor : 0\nFeatures : fp asimd\n"})) is None


def test_clocksource_and_paranoia(tree: Tree) -> None:
    """A word, and an integer that may be negative."""
    root = tree(
        {
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n",
            "proc/sys/kernel/perf_event_paranoid": "-1\n",
        }
    )

    assert host.clocksource(root) == "kvm-clock"
    assert host.perf_event_paranoid(root) == -1


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "content", [None, "", "nonsense: \x00 of all kinds\n", "cpu\ncpu0 1 2 x 4\nprocessor: 0\ncpu MHz: x\n"]
)
def test_what_cannot_be_read_is_unknown(tree: Tree, reader: str, content: str | None) -> None:
    """Absent, empty and malformed files are None and no exception."""
    root = tree({} if content is None else dict.fromkeys(FILES, content))

    assert READERS[reader](root) is None


@pytest.mark.parametrize("reader", READERS)
def test_what_is_forbidden_is_unknown(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that may not be opened are None and no exception."""

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)

    assert READERS[reader](Path("/")) is None


@pytest.mark.parametrize("reader", READERS)
def test_the_real_machine_is_read_without_an_exception(reader: str) -> None:
    """Whatever this machine has or lacks."""
    READERS[reader](Path("/"))
