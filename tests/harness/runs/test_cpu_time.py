"""CPU time of a process and its children, as the system counts it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from harness.errors import WorkerFailed
from harness.runs.cpu_time import CpuTime, cpu_time
from harness.runs.plausible import check_at_work

BUSY = "import time\nwhile True: pass"
ASLEEP = "import time; time.sleep(60)"
LETS_A_CHILD_WORK = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"


def shares(program: str) -> tuple[float | None, float]:
    """Of half a second of a process."""
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        time.sleep(0.5)
        before, start = cpu_time(process.pid), time.monotonic()
        time.sleep(0.5)
        return before.shares(cpu_time(process.pid), time.monotonic() - start)
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
        process.kill()
        process.wait()


def test_who_works_is_seen() -> None:
    """Also where others want the CPU: waiting for it counts. Who sleeps does not, and whose child works does not."""
    own, children = shares(BUSY)
    assert own is not None
    assert own > 0.8
    assert children == 0

    own, children = shares(ASLEEP)
    assert own is not None
    assert own < 0.2

    own, children = shares(LETS_A_CHILD_WORK)
    assert own is not None
    assert own < 0.2
    assert children > 0.1


def test_what_is_gone_has_no_time() -> None:
    """A process that has ended between two turns is noticed by whoever waits for it, not here."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()

    assert cpu_time(process.pid) == CpuTime(None, 0.0)
    assert CpuTime(None, 0.0).shares(CpuTime(1.0, 2.0), 4.0) == (None, 0.5)


def test_work_of_others_is_refused() -> None:
    """By the median of turns: single ones may be anything."""
    assert check_at_work([(1.0, 0.0), (0.1, 0.9), (1.2, 0.0)]) == {"at_work_share": 1.0}
    assert check_at_work([(None, 0.0)]) == {"at_work_share": None}
    assert check_at_work([]) == {"at_work_share": None}
    with pytest.raises(WorkerFailed, match="for 20% of the time only"):
        check_at_work([(0.2, 0.0), (0.1, 0.0), (1.0, 0.0)])
    with pytest.raises(WorkerFailed, match="for 60% of the time of its turns"):
        check_at_work([(1.0, 0.6)])
