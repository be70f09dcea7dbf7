"""What the doctor finds on made-up machines: a perfect one, and that one with one thing wrong."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.doctor import examine as examining
from harness.doctor.examine import Finding
from harness.doctor.yardsticks import Steadiness

CPUS = "sys/devices/system/cpu"
PERFECT = {
    "proc/cpuinfo": "processor : 0\nflags : fpu tsc\n",
    "proc/meminfo": "MemAvailable: 8388608 kB\nSwapTotal: 1000 kB\nSwapFree: 1000 kB\n",
    "proc/loadavg": "0.25 0.10 0.05 1/100 99\n",
    "proc/self/cgroup": "0::/\n",
    "proc/sys/kernel/perf_event_paranoid": "2\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "5\n",
    f"{CPUS}/cpufreq/boost": "0\n",
} | {
    path: text
    for cpu in (0, 1, 2)
    for path, text in (
        (f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor", "performance\n"),
        (f"{CPUS}/cpu{cpu}/topology/thread_siblings_list", f"{cpu}\n"),
    )
}
STEADY = Steadiness(clock_ns=50.0, core=0.004, memory=0.006, core_beside=0.001, memory_beside=-0.002)
HYPERVISOR = {"proc/cpuinfo": "processor : 0\nflags : fpu hypervisor\n"}
# Ticks of 10 ms: user, idle, steal.
Ticks = tuple[int, int, int]

Examine = Callable[..., dict[str, Finding]]


def stat(times: dict[int, Ticks]) -> str:
    rows = {"cpu": tuple(map(sum, zip(*times.values(), strict=True)))} | {f"cpu{n}": each for n, each in times.items()}
    return "".join(f"{name} {user} 0 0 {idle} 0 0 0 {steal}\n" for name, (user, idle, steal) in rows.items())


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Return a function that examines a perfect machine of three CPUs, with changes, for one thread.

    It takes files to change (None: absent), ticks that pass meanwhile by CPU, steadiness, ticks
    that were stolen before, and arguments of doctor.examine.
    """
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 100}[name])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: None)

    def run(
        files: dict[str, str | None] | None = None,
        *,
        passing: dict[int, Ticks] | None = None,
        steady: Steadiness = STEADY,
        stolen: int = 7,
        **options: Any,
    ) -> dict[str, Finding]:
        before: dict[int, Ticks] = dict.fromkeys((0, 1, 2), (1000, 9000, stolen))
        for path, text in (PERFECT | {"proc/stat": stat(before)} | (files or {})).items():
            if text is not None:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(text)

        def pause(seconds: float) -> None:
            nonlocal now
            now += seconds
            spent = {cpu: (0, round(100 * seconds), 0) for cpu in before} | (passing or {})
            after = {cpu: tuple(a + b for a, b in zip(before[cpu], spent[cpu], strict=True)) for cpu in before}
            if "proc/stat" not in (files or {}):
                (tmp_path / "proc/stat").write_text(stat(after))  # type: ignore[arg-type]

        defaults = {"threads": 1, "seconds": 1.0, "pause": pause, "measure": lambda cpu, beside: steady}
        found = examining.examine(root=tmp_path, **(defaults | options))
        return {each.check: each for each in found}

    return run


def test_perfect_machine(examine: Examine) -> None:
    """All is good, nothing is advised, and every check is made once."""
    found = examine()

    assert {each.state for each in found.values()} == {"good"}, found
    assert {each.advice + each.effect for each in found.values()} == {""}
    assert list(found) == [
        "CPUs", "pinning", "cgroup CPU limit", "other runs", "governor", "turbo/boost", "SMT siblings",
        "virtual machine", "steal",
        "load", "memory available", "cgroup memory limit", "swap", "huge pages", "clocksource", "clock",
        "core speed", "memory speed", "a program beside", "energy", "perf",
    ]  # fmt: skip


def test_quota_that_is_met_while_one_thread_is_busy(examine: Examine, tmp_path: Path) -> None:
    """A quota of as many CPUs as there are threads is too little where others of the group use it: periods tell."""
    group = "sys/fs/cgroup"
    files: dict[str, str | None] = {
        f"{group}/cpu.max": "100000 100000\n", f"{group}/cpu.stat": "nr_periods 10\nnr_throttled 0\n"
    }  # fmt: skip

    def busy(cpu: int, beside: int | None) -> Steadiness:
        (tmp_path / group / "cpu.stat").write_text("nr_periods 30\nnr_throttled 5\n")
        return STEADY

    found = examine(files, measure=busy)["cgroup CPU limit"]

    assert found.state == "bad"
    assert found.found == "1 CPU for 1 thread, met in 25% of its periods by one busy thread"
    assert "Raise the quota" in found.advice


@pytest.mark.parametrize(
    ("core", "memory", "state"),
    [(0.002, 0.009, "good"), (0.002, 0.04, "warn"), (0.3, 0.01, "bad"), (None, None, "unknown")],
)
def test_program_beside(examine: Examine, core: float | None, memory: float | None, state: str) -> None:
    """Whichever of both is slowed more decides; where there is one CPU alone, nobody can tell."""
    steady = Steadiness(50.0, 0.004, 0.006, core_beside=core, memory_beside=memory)

    found = examine(steady=steady)["a program beside"]

    assert found.state == state
    assert bool(found.advice) == (state in ("warn", "bad"))


def test_cpus_that_a_run_would_choose(examine: Examine) -> None:
    """Yardsticks stand on these, beside another one."""
    asked = []

    def measure(cpu: int, beside: int | None) -> Steadiness:
        asked.append((cpu, beside))
        return STEADY

    examine(cpus=[0], measure=measure)
    examine(measure=measure)

    assert asked == [(0, 1), (2, 0)]


def test_other_runs_are_named(examine: Examine) -> None:
    """A run that is under way is bad: whatever is timed beside it is timed together with it."""
    found = examine(others=["Process 7 is at work on the run ~/results/a, pinned to CPU 2."])["other runs"]

    assert (found.state, found.found) == ("bad", "Process 7 is at work on the run ~/results/a, pinned to CPU 2.")
    assert found.advice.startswith("Wait")


CASES: list[tuple[str, dict[str, str | None], str, str, str]] = [
    # check, files, state, found, advice
    ("governor", {f"{CPUS}/cpu2/cpufreq/scaling_governor": "powersave\n"}, "warn", "powersave",
     "sudo cpupower frequency-set -g performance"),
    ("governor", {f"{CPUS}/cpu2/cpufreq/scaling_governor": None}, "unknown", "not visible", "^$"),
    ("turbo/boost", {f"{CPUS}/cpufreq/boost": "1\n"}, "warn", "on",
     "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"),
    ("turbo/boost", {f"{CPUS}/cpufreq/boost": None, f"{CPUS}/intel_pstate/no_turbo": "0\n"}, "warn", "on",
     "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"),
    ("turbo/boost", {f"{CPUS}/cpufreq/boost": None, f"{CPUS}/intel_pstate/no_turbo": "1\n"}, "good", "off", "^$"),
    ("turbo/boost", {f"{CPUS}/cpufreq/boost": None}, "unknown", "not visible", "^$"),
    ("SMT siblings", {f"{CPUS}/cpu2/topology/thread_siblings_list": "0,2\n"}, "warn", "CPUs 0 share the chosen cores",
     "echo off | sudo tee /sys/devices/system/cpu/smt/control"),
    ("SMT siblings", {f"{CPUS}/cpu2/topology/thread_siblings_list": None}, "unknown", "not visible", "^$"),
    ("virtual machine", HYPERVISOR, "warn", "yes", "dedicated host"),
    ("virtual machine", {"proc/cpuinfo": None}, "unknown", "not visible", "^$"),
    ("governor", HYPERVISOR | {f"{CPUS}/cpu2/cpufreq/scaling_governor": None}, "unknown", "not visible",
     "host decides"),
    ("SMT siblings", HYPERVISOR, "unknown", "none that a guest sees", "whole cores"),
    ("steal", HYPERVISOR | {"proc/stat": stat({0: (1, 9, 0), 1: (1, 9, 0), 2: (1, 9, 0)})}, "unknown",
     "not visible", "^$"),
    ("steal", {"proc/stat": None}, "unknown", "not visible", "^$"),
    ("load", {"proc/stat": None}, "unknown", "not visible", "^$"),
    ("memory available", {"proc/meminfo": "MemAvailable: 1572864 kB\n"}, "warn", "1.5 GiB", "larger machine"),
    ("memory available", {"proc/meminfo": "MemAvailable: 524288 kB\n"}, "bad", "0.5 GiB", "larger machine"),
    ("memory available", {"proc/meminfo": "MemAvailable: 2097152 kB\n"}, "good", "2.0 GiB", "^$"),
    ("memory available", {"proc/meminfo": None}, "unknown", "not visible", "^$"),
    ("swap", {"proc/meminfo": "SwapTotal: 1048576 kB\nSwapFree: 524288 kB\n"}, "warn", "0.5 GiB in use", "swapoff"),
    ("swap", {"proc/meminfo": "SwapTotal: 1048576 kB\nSwapFree: 1048000 kB\n"}, "good", "0.0 GiB in use", "^$"),
    ("swap", {"proc/meminfo": None}, "unknown", "not visible", "^$"),
    ("cgroup CPU limit", {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, "bad", "0.5 CPU for 1 thread",
     "docker run --cpus=1 "),
    ("cgroup CPU limit", {"sys/fs/cgroup/cpu.max": "100000 100000\n"}, "good", "1 CPU for 1 thread", "^$"),
    ("cgroup memory limit", {"sys/fs/cgroup/memory.max": "1610612736\n"}, "warn", "1.5 GiB", "--memory=4g"),
    ("cgroup memory limit", {"sys/fs/cgroup/memory.max": "536870912\n"}, "bad", "0.5 GiB", "--memory=4g"),
    ("cgroup memory limit", {"sys/fs/cgroup/memory.max": "4294967296\n"}, "good", "4.0 GiB", "^$"),
    ("huge pages", {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n"}, "warn", "always",
     "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"),
    ("huge pages", {"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}, "good", "never", "^$"),
    ("huge pages", {"sys/kernel/mm/transparent_hugepage/enabled": None}, "unknown", "not visible", "^$"),
    ("clocksource", {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"}, "warn", "hpet",
     "echo tsc | sudo tee current_clocksource"),
    ("clocksource", {"sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n"}, "good",
     "kvm-clock", "^$"),
    ("clocksource", {"sys/devices/system/clocksource/clocksource0/current_clocksource": None}, "unknown",
     "not visible", "^$"),
    ("energy", {"sys/class/powercap/intel-rapl:0/name": "psys\n"}, "unknown", "no meter", "no RAPL package counter"),
    ("perf", {"proc/sys/kernel/perf_event_paranoid": "3\n"}, "unknown", "perf_event_paranoid 3", "paranoid=2"),
    ("perf", {"proc/sys/kernel/perf_event_paranoid": None}, "unknown", "not visible", "^$"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "files", "state", "found", "advice"), CASES)
def test_one_thing_wrong(
    examine: Examine, check: str, files: dict[str, str | None], state: str, found: str, advice: str
) -> None:
    """State, words and command of every check that reads files."""
    finding = examine(files)[check]

    assert (finding.state, finding.found) == (state, found)
    assert re.search(advice if advice == "^$" else re.escape(advice), finding.advice), finding.advice


def test_siblings_among_the_chosen(examine: Examine) -> None:
    """Two threads whose CPUs are one core."""
    pair = {f"{CPUS}/cpu{cpu}/topology/thread_siblings_list": "1-2\n" for cpu in (1, 2)}

    assert examine(pair, threads=2)["SMT siblings"].found == "chosen CPUs 1, 2 share a core"


@pytest.mark.parametrize(
    ("threads", "state", "found", "advice"),
    [
        (2, "good", "3 for 2 threads", ""),
        (3, "warn", "3 for 3 threads", "Give one thread less"),
        (4, "bad", "3 for 4 threads", "Give --threads 3,"),
        (0, "good", "3 for any number of threads", ""),
    ],
)
def test_cpus_against_threads(examine: Examine, threads: int, state: str, found: str, advice: str) -> None:
    """More is better, equal leaves none for the rest, fewer is refused by `run`; no exception here."""
    finding = examine(threads=threads)["CPUs"]

    assert (finding.state, finding.found) == (state, found)
    assert finding.advice.startswith(advice)


def test_pinning_is_tried_and_changes_nothing(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set is set again; where that is forbidden the finding is bad and XLA is named."""
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: asked.append((pid, frozenset(cpus))))
    assert examine()["pinning"].state == "good"
    assert set(asked) == {(0, frozenset({0, 1, 2}))}

    def refuse(pid: int, cpus: set[int]) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    finding = examine()["pinning"]
    assert (finding.state, finding.found) == ("bad", "Operation not permitted")
    assert "XLA" in finding.effect


@pytest.mark.parametrize(("ticks", "state"), [(1, "good"), (3, "warn"), (20, "bad")])
def test_steal_of_the_chosen_cpu(examine: Examine, ticks: int, state: str) -> None:
    """1, 3 and 20 % of the second that passes; what CPU 0 loses is not ours."""
    finding = examine(HYPERVISOR, passing={2: (0, 100 - ticks, ticks), 0: (0, 0, 100)})["steal"]

    assert (finding.state, finding.found) == (state, f"{ticks}.0% of the chosen CPUs")


def test_hypervisor_that_never_reported_steal(examine: Examine) -> None:
    """0 since the start, on a virtual machine: not known to be good. On a machine of one's own it is good."""
    guest, own = examine(HYPERVISOR, stolen=0)["steal"], examine(stolen=0)["steal"]

    assert (guest.state, guest.found) == ("unknown", "none since the machine started")
    assert (own.state, own.found) == ("good", "0.0% of the chosen CPUs")


@pytest.mark.parametrize(("ticks", "state"), [(10, "good"), (30, "warn"), (80, "bad")])
def test_load_of_others(examine: Examine, ticks: int, state: str) -> None:
    """Work of any CPU that is not ours: 0.1, 0.3, 0.8 CPUs over a second; the doctor itself sleeps."""
    finding = examine(passing={0: (ticks, 100 - ticks, 0)})["load"]

    assert finding.state == state
    assert re.fullmatch(r"others use 0\.\d+ CPU \(average 0\.25\)", finding.found)


@pytest.mark.parametrize(
    ("core", "memory", "states"),
    [(0.01, 0.01, ("good", "good")), (0.02, 0.03, ("warn", "warn")), (0.004, 0.2, ("good", "bad")),
     (0.2, 0.004, ("bad", "good"))],
)  # fmt: skip
def test_steadiness(examine: Examine, core: float, memory: float, states: tuple[str, str]) -> None:
    """Up to 1 % is good, above 5 % is bad."""
    found = examine(steady=Steadiness(50.0, core, memory))

    assert (found["core speed"].state, found["memory speed"].state) == states
    assert found["core speed"].found == f"varies by {core:.1%}"
    assert found["memory speed"].found == f"varies by {memory:.1%}"


def test_what_unsteadiness_tells(examine: Examine) -> None:
    """Memory alone: neighbours, and it is said whose; both: the core first; with load: that first of all."""
    alone = Steadiness(50.0, 0.004, 0.03)
    both = Steadiness(50.0, 0.03, 0.03)
    busy = {0: (90, 10, 0)}

    guest = examine(HYPERVISOR, steady=alone)["memory speed"].advice
    assert guest.startswith("The core is steady, so it is neither its clock nor the hypervisor: neighbours use the")
    own = examine(steady=alone)["memory speed"].advice
    assert own.startswith("The core is steady")
    assert "hypervisor" not in own
    assert examine(steady=both)["memory speed"].advice.startswith("See core speed first")
    assert "governor" in examine(steady=both)["core speed"].advice
    assert "hypervisor" in examine(HYPERVISOR, steady=both)["core speed"].advice
    for check in ("core speed", "memory speed"):
        steady = both if check == "core speed" else alone
        assert examine(steady=steady, passing=busy)[check].advice.startswith("Other processes ran meanwhile")


@pytest.mark.parametrize(("clock_ns", "state", "found"), [(1000.0, "good", "1,000 ns"), (4000.0, "warn", "4,000 ns")])
def test_clock(examine: Examine, clock_ns: float, state: str, found: str) -> None:
    """A microsecond may be, more is said."""
    finding = examine(steady=replace(STEADY, clock_ns=clock_ns))["clock"]

    assert (finding.state, finding.found) == (state, f"{found} a reading")


def test_energy_for_root_only_says_how_to_change_that(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason, the command, and what the columns do meanwhile; a graphics card is asked of its own library."""
    read_text = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    finding = examine()["energy"]
    assert finding.state == "unknown"
    assert "may be read by root only." in finding.advice
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in finding.advice

    monkeypatch.setattr("harness.worker.energy.NVML_LIBRARY", "libno-such-thing.so.1")
    assert examine(device="gpu")["energy"].advice.startswith("NVML cannot be used")


def test_machine_that_tells_nothing(tmp_path: Path) -> None:
    """Without any file there are findings and no exception."""
    found = examining.examine(
        threads=1, root=tmp_path, seconds=0.0, pause=lambda seconds: None, measure=lambda cpu, beside: STEADY
    )

    assert {each.state for each in found} <= {"good", "warn", "bad", "unknown"}
    assert next(each for each in found if each.check == "load").state == "unknown"
