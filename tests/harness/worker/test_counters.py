"""Counters over one interval, on a made-up machine whose clock, usage and files move as they are told."""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.worker.counters import Counters, combine
from harness.worker.host import CpuPeriods

KEYS = [
    "page_faults_per_step", "context_switches_per_step", "preemptions_per_step", "cpu_s_user", "cpu_s_system",
    "steal_share", "other_load", "frequency_mhz", "energy_j", "energy_source", "cpu_quota", "throttled_share",
    "cpu_periods",
]  # fmt: skip
ROOT = Path(__file__).parents[3]


class MadeUp:
    """A machine with two CPUs at CPU 1 of which the process sits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000.0
        self.usage = SimpleNamespace(
            ru_minflt=100, ru_majflt=10, ru_nvcsw=1000, ru_nivcsw=50, ru_utime=5.0, ru_stime=1.0
        )
        # Ticks of 10 ms: user, steal, idle.
        self.cpus = {0: [1000, 10, 5000], 1: [2000, 20, 7000]}
        self.write()

    def write(self, frequency_khz: int = 3_000_000, energy_uj: int | None = None) -> None:
        rows = {f"cpu{cpu}": values for cpu, values in self.cpus.items()}
        rows = {"cpu": [sum(column) for column in zip(*self.cpus.values(), strict=True)]} | rows
        lines = [f"{name} {user} 0 0 {idle} 0 0 0 {steal} 0 0" for name, (user, steal, idle) in rows.items()]
        self.put("proc/stat", "\n".join(lines))
        self.put("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", str(frequency_khz))
        if energy_uj is not None:
            for socket in (0, 1):
                self.put(f"sys/class/powercap/intel-rapl:{socket}/name", f"package-{socket}")
                self.put(f"sys/class/powercap/intel-rapl:{socket}/energy_uj", str(energy_uj * (socket + 1)))

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text + "\n")

    def pass_time(self, *, seconds: float, user: tuple[int, int], steal: tuple[int, int] = (0, 0)) -> None:
        """Let time pass; ticks of work and steal of either CPU, the rest of which is idle."""
        self.now += seconds
        for cpu in (0, 1):
            idle = int(seconds * 100) - user[cpu] - steal[cpu]
            self.cpus[cpu] = [a + b for a, b in zip(self.cpus[cpu], (user[cpu], steal[cpu], idle), strict=True)]
        self.write()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    made_up = MadeUp(tmp_path)
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 100}[name])
    monkeypatch.setattr(time, "monotonic", lambda: made_up.now)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(**vars(made_up.usage)))
    return made_up


def test_usage_of_the_process_per_step(machine: MadeUp) -> None:
    """Faults of both kinds, switches of both kinds, the involuntary ones again; seconds are not per step."""
    counters = Counters([1], machine.root)
    counters.start()
    machine.usage.ru_minflt += 30
    machine.usage.ru_majflt += 10
    machine.usage.ru_nvcsw += 6
    machine.usage.ru_nivcsw += 4
    machine.usage.ru_utime += 1.5
    machine.usage.ru_stime += 0.25

    row = counters.stop(20)

    assert list(row) == KEYS
    assert row["page_faults_per_step"] == 2.0
    assert row["context_switches_per_step"] == 0.5
    assert row["preemptions_per_step"] == 0.2
    assert row["cpu_s_user"] == pytest.approx(1.5)
    assert row["cpu_s_system"] == pytest.approx(0.25)


def test_steal_is_of_our_cpus_alone(machine: MadeUp) -> None:
    """2 s of which the hypervisor took 0.1 s of CPU 1, and much of CPU 0, which is not ours."""
    counters = Counters([1], machine.root)
    counters.start()
    machine.pass_time(seconds=2, user=(0, 150), steal=(100, 10))

    assert counters.stop(1)["steal_share"] == pytest.approx(0.05)


def test_other_load_is_of_all_cpus_without_us(machine: MadeUp) -> None:
    """2 s: CPU 0 worked 1 s, CPU 1 1.8 s, of which we 1.6 s (1.5 and 0.1): the others took 0.6 of a CPU."""
    counters = Counters([1], machine.root)
    counters.start()
    machine.pass_time(seconds=2, user=(100, 180))
    machine.usage.ru_utime += 1.5
    machine.usage.ru_stime += 0.1

    assert counters.stop(1)["other_load"] == pytest.approx(0.6)


def test_other_load_is_never_negative(machine: MadeUp) -> None:
    """The two clocks disagree by a tick: no load."""
    counters = Counters([1], machine.root)
    counters.start()
    machine.pass_time(seconds=2, user=(0, 199))
    machine.usage.ru_utime += 2.0

    assert counters.stop(1)["other_load"] == 0.0


def test_frequency_is_the_mean_of_both_ends(machine: MadeUp) -> None:
    """3,000 MHz before, 2,000 MHz after."""
    counters = Counters([1], machine.root)
    counters.start()
    machine.write(frequency_khz=2_000_000)

    assert counters.stop(1)["frequency_mhz"] == 2500.0


def test_one_cpu_of_unknown_frequency_leaves_it_unknown(machine: MadeUp) -> None:
    """CPU 0 does not say: no mean of what is left."""
    counters = Counters([0, 1], machine.root)
    counters.start()

    assert counters.stop(1)["frequency_mhz"] is None


def test_energy_is_the_sum_of_all_sockets(machine: MadeUp) -> None:
    """1 J in the first and twice that in the second."""
    machine.write(energy_uj=500_000)
    counters = Counters([1], machine.root)
    counters.start()
    machine.write(energy_uj=1_500_000)

    row = counters.stop(1)

    assert row["energy_j"] == pytest.approx(3.0)
    assert row["energy_source"] == "rapl package-0 + rapl package-1"


def test_energy_of_one_socket_alone_is_no_energy(machine: MadeUp) -> None:
    """A counter that vanishes meanwhile leaves both columns empty."""
    machine.write(energy_uj=500_000)
    counters = Counters([1], machine.root)
    counters.start()
    machine.put("sys/class/powercap/intel-rapl:1/energy_uj", "gone")

    row = counters.stop(1)

    assert (row["energy_j"], row["energy_source"]) == (None, None)


def test_energy_of_a_graphics_card_is_asked_of_its_own_library(
    machine: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """device=gpu does not fall back on the processor's counter."""
    monkeypatch.setattr("harness.worker.energy.NVML_LIBRARY", "libno-such-thing.so.1")
    machine.write(energy_uj=500_000)
    counters = Counters([1], machine.root, device="gpu")
    counters.start()

    assert counters.stop(1)["energy_j"] is None


def test_machine_that_tells_nothing(machine: MadeUp, tmp_path: Path) -> None:
    """Without /proc and /sys the same keys, of which seven are None, and no periods."""
    counters = Counters([1], tmp_path / "nothing")
    counters.start()

    row = counters.stop(1)

    assert list(row) == KEYS
    assert [key for key, value in row.items() if value is None] == KEYS[5:-1]
    assert row["cpu_periods"] == []


def test_no_time_at_all_is_no_share(machine: MadeUp) -> None:
    """Nothing is divided by zero."""
    counters = Counters([1], machine.root)
    counters.start()

    row = counters.stop(1)

    assert (row["steal_share"], row["other_load"]) == (None, None)


def test_cpus_are_those_of_the_process_unless_given(machine: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not pinned: all CPUs that it may use."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1})
    counters = Counters(None, machine.root)
    counters.start()
    machine.pass_time(seconds=1, user=(0, 0), steal=(100, 50))

    assert counters.stop(1)["steal_share"] == pytest.approx(0.5)


VERSIONS = {
    "2": ("0::/pod/own\n", {"pod/own/cpu.max": "25000 100000", "pod/cpu.max": "400000 100000"}, "{}/cpu.stat"),
    "1": ("4:cpu,cpuacct:/pod/own\n",
          {"cpu/pod/own/cpu.cfs_quota_us": "25000", "cpu/pod/own/cpu.cfs_period_us": "100000",
           "cpu/pod/cpu.cfs_quota_us": "400000", "cpu/pod/cpu.cfs_period_us": "100000"}, "cpu/{}/cpu.stat"),
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_quota_is_counted_in_periods(machine: MadeUp, version: str) -> None:
    """Both versions of control groups: what the worst of the groups with a limit says of this interval alone."""
    own, limits, stat = VERSIONS[version]
    machine.put("proc/self/cgroup", own)
    for path, text in limits.items():
        machine.put(f"sys/fs/cgroup/{path}", text)

    def count(group: str, total: int, throttled: int) -> None:
        text = f"nr_periods {total}\nnr_throttled {throttled}\nthrottled_time 5"
        machine.put(f"sys/fs/cgroup/{stat.format(group)}", text)

    count("pod/own", 1000, 900)
    count("pod", 1000, 0)
    counters = Counters([1], machine.root)
    counters.start()
    count("pod/own", 1008, 906)
    count("pod", 1010, 1)

    row = counters.stop(1)

    assert (row["cpu_quota"], row["throttled_share"]) == (0.25, 0.75)


def test_without_a_limit_nothing_of_groups_is_read(machine: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read around timed blocks is read of few machines: not of those without a quota."""
    machine.put("proc/self/cgroup", "0::/own\n")
    machine.put("sys/fs/cgroup/own/cpu.max", "max 100000")
    machine.put("sys/fs/cgroup/own/cpu.stat", "nr_periods 5\nnr_throttled 5")
    counters = Counters([1], machine.root)
    monkeypatch.setattr("harness.worker.host.cpu_periods", lambda group: pytest.fail(f"{group} was read"))
    counters.start()

    row = counters.stop(1)

    assert (row["cpu_quota"], row["throttled_share"]) == (None, None)


@pytest.mark.parametrize("text", ["nr_periods x\nnr_throttled 1", "nr_periods 5", "", "nr_throttled\n"])
def test_group_that_does_not_say_how_often_is_no_share(machine: MadeUp, text: str) -> None:
    """A limit that is known, and counts that are not."""
    machine.put("proc/self/cgroup", "0::/own\n")
    machine.put("sys/fs/cgroup/own/cpu.max", "150000 100000")
    machine.put("sys/fs/cgroup/own/cpu.stat", text)
    counters = Counters([1], machine.root)
    counters.start()

    row = counters.stop(1)

    assert (row["cpu_quota"], row["throttled_share"]) == (1.5, None)
    assert combine([(1, 1.0, row), (1, 1.0, row)])["throttled_share"] is None


@pytest.fixture
def tight_group() -> Iterator[Path]:
    """A control group of this machine that allows a twentieth of a CPU: less than a busy machine leaves a process."""
    first = Path("/sys/fs/cgroup/cpu").is_dir()
    mount, file, quota = ("cpu", "cpu.cfs_quota_us", "5000") if first else ("", "cpu.max", "5000 100000")
    group = Path("/sys/fs/cgroup", mount, f"lenet-bench-test-{os.getpid()}")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (group / file).write_text(quota)
        yield group
    except OSError as error:
        pytest.skip(f"no quota can be set here: {error}")
    finally:
        group.rmdir()


BUSY = """
import os, sys, time
from harness.worker.counters import Counters, combine
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
counters, parts = Counters(), []
for _ in range(4):
    counters.start()
    end = time.monotonic() + 0.25
    while time.monotonic() < end:
        pass
    parts.append((1, 0.25, counters.stop(1)))
row = combine(parts)
print(row["cpu_quota"], row["throttled_share"])
"""


def test_real_quota(tight_group: Path) -> None:
    """A process that wants a whole CPU of a group that allows a twentieth stands still in nearly every period."""
    done = subprocess.run(
        [sys.executable, "-c", BUSY, str(tight_group)], capture_output=True, text=True, cwd=ROOT, check=True
    )

    quota, share = map(float, done.stdout.split())

    assert quota == 0.05
    assert share > 0.6


def test_misuse_is_refused(machine: MadeUp) -> None:
    """An end without a beginning, and an interval without steps."""
    counters = Counters([1], machine.root)
    with pytest.raises(RuntimeError, match="before Counters"):
        counters.stop(5)
    counters.start()
    with pytest.raises(ValueError, match="0 steps"):
        counters.stop(0)


def test_real_machine() -> None:
    """This process on this machine: the counts of a busy moment are of the right order whoever else is busy."""
    counters = Counters()
    counters.start()
    # Fresh from the kernel: an allocator may hand out memory that this process has had before.
    with mmap.mmap(-1, 32 << 20) as fresh:
        for place in range(0, len(fresh), 4096):
            fresh[place] = 1
        row = counters.stop(1)

    assert row["page_faults_per_step"] >= 1
    assert row["cpu_s_user"] + row["cpu_s_system"] > 0
    assert row["steal_share"] is None or 0 <= row["steal_share"] <= 1


def test_worker_side_loads_nothing_else() -> None:
    """Neither NumPy nor a table is loaded for counting."""
    code = (
        "import sys, harness.worker.counters; print(sorted({'numpy', 'psutil', 'pandas', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout == "[]\n"


def test_intervals_are_combined() -> None:
    """Counts per step weigh by steps, shares by seconds; seconds and joules add up; what one lacks is missing."""
    first = {
        "page_faults_per_step": 1.0, "cpu_s_user": 2.0, "steal_share": 0.1, "other_load": 0.5, "energy_j": 3.0,
        "energy_source": "RAPL", "frequency_mhz": None, "cpu_quota": 0.5, "throttled_share": 1.0,
        "cpu_periods": [CpuPeriods(1, 1), CpuPeriods(1, 0)],
    }  # fmt: skip
    # A turn may be shorter than a period, and end none.
    third = first | {"throttled_share": None, "cpu_periods": [CpuPeriods(0, 0), CpuPeriods(0, 0)]}
    periods = {"throttled_share": 1 / 3, "cpu_periods": [CpuPeriods(3, 1), CpuPeriods(2, 0)]}
    second = (
        first | periods | {"page_faults_per_step": 4.0, "steal_share": 0.4, "other_load": 0.0, "frequency_mhz": 2000.0}
    )

    row = combine([(10, 3.0, first), (20, 1.0, second)])

    assert row["page_faults_per_step"] == pytest.approx((10 * 1 + 20 * 4) / 30)
    assert row["cpu_s_user"] == 4.0
    assert row["steal_share"] == pytest.approx((3 * 0.1 + 1 * 0.4) / 4)
    assert row["other_load"] == pytest.approx(3 * 0.5 / 4)
    assert (row["energy_j"], row["energy_source"], row["frequency_mhz"]) == (6.0, "RAPL", None)
    assert "cpu_periods" not in row
    assert (row["cpu_quota"], row["throttled_share"]) == (0.5, 0.5)
    assert combine([(10, 3.0, first), (1, 1.0, third)])["throttled_share"] == 1.0
    without = combine([(10, 3.0, first), (20, 1.0, second | {"energy_j": None, "energy_source": None})])
    assert (without["energy_j"], without["energy_source"]) == (None, None)
