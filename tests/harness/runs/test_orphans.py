"""Nothing that a worker starts outlives it: at the end of its launch, or when the next harness starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.runs import orphans
from harness.runs.cpu_time import cpu_time


@pytest.fixture
def sleeper() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Return a function that starts a process with a mark, in a session of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(mark: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sleep", "600"], env=os.environ | {orphans.MARK: mark}, start_new_session=True)
        started.append(process)
        while mark != orphans._mark_of(process.pid):
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def is_over(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ends within ten seconds."""
    try:
        return process.wait(timeout=10) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        return False


def test_marks_are_of_one_length_and_differ() -> None:
    """The environment of every worker is as large; no launch has the mark of another."""
    marks = [orphans.new_mark() for _ in range(3)]

    assert len(set(marks)) == 3
    assert {len(mark) for mark in marks} == {len(marks[0])}
    assert str(os.getpid()) in marks[0]


def test_end_of_a_launch_is_the_end_of_all_with_its_mark(sleeper: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """And of no other launch of this harness."""
    first, second = orphans.new_mark(), orphans.new_mark()
    mine, other = sleeper(first), sleeper(second)

    orphans.ended(mine.pid, first)

    assert is_over(mine)
    assert other.poll() is None


def test_what_a_killed_harness_left_is_ended_by_the_next(sleeper: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """Where it is dead, also where its number is another process's by now; not where it lives, or in a container."""
    space, pid, start, number = orphans.new_mark().split("-")
    dead = sleeper(f"{space}-{pid}-{int(start) - 1:012d}-{number}")
    alive = sleeper(f"{space}-{pid}-{start}-{number}")
    elsewhere = sleeper(f"{int(space) + 1:010d}-{pid}-{int(start) - 1:012d}-{number}")
    unknown = sleeper("whatever")

    orphans.end_those_of_the_dead.__wrapped__()

    assert is_over(dead)
    assert [each.poll() for each in (alive, elsewhere, unknown)] == [None] * 3


def test_daemons_work_is_its_launchs(tmp_path: Path) -> None:
    """In a harness that adopts: a daemon's processor time counts, and a daemon without a mark ends with its launch."""
    code = """
        import os, subprocess, sys, time
        from harness.runs import orphans
        from harness.runs.cpu_time import cpu_time
        orphans.adopt()
        mark = orphans.new_mark()
        daemon = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'while True: pass'],"
        daemon += " start_new_session=True, env={}, stdout=subprocess.DEVNULL).pid, flush=True)"
        worker = subprocess.Popen([sys.executable, "-c", daemon + "; import time; time.sleep(600)"],
                                  stdout=subprocess.PIPE, text=True, env=os.environ | {orphans.MARK: mark})
        orphans.started(worker.pid)
        pid = int(worker.stdout.readline())
        leaver = subprocess.run([sys.executable, "-c", daemon], stdout=subprocess.PIPE, text=True, env={})
        left = int(leaver.stdout)
        time.sleep(1)
        print(pid, left, orphans.adopted(mark) == [left], cpu_time(worker.pid, adopted=[left]).of_children)
        worker.kill(); worker.wait()
        orphans.ended(worker.pid, mark)
        print(os.path.exists(f"/proc/{pid}"), os.path.exists(f"/proc/{left}"))
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=True
    ).stdout.split()

    assert found[2] == "True"
    assert float(found[3]) > 0.1
    assert found[4:] == ["False", "False"], found


def test_nothing_outlives_a_harness_that_is_killed(tmp_path: Path) -> None:
    """Not even what a worker has put into a session of its own; at once, not when the next harness starts."""
    code = """
        import os, subprocess, time
        from harness.runs import orphans
        orphans.adopt()
        environment = os.environ | {orphans.MARK: orphans.new_mark()}
        process = subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)
        orphans.started(process.pid)
        print(process.pid, orphans._guardian.pid, flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as harness:
        assert harness.stdout is not None
        pids = [int(pid) for pid in harness.stdout.readline().split()]
        os.killpg(harness.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)

    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_worker_whose_harness_died_first_does_nothing(tmp_path: Path) -> None:
    """It asks to die with its parent; where that has died already, it ends by itself."""
    from harness.worker import process as worker

    process = psutil.Popen(
        [sys.executable, "-c", f"from {worker.__name__} import die_with_parent as f; f(); print('alive')"],
        env=os.environ | {orphans.MARK: "0000000001-4999999-000000000001-000001"},
        stdout=subprocess.PIPE,
    )

    assert process.communicate(timeout=60)[0] == b""


def test_no_time_is_made_up_for_who_is_gone() -> None:
    """An adopted process that has ended has used nothing more."""
    assert cpu_time(os.getpid(), adopted=[4_999_999]).of_children >= 0
