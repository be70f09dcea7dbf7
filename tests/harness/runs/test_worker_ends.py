"""How launches end that do not end by themselves: what is said, and that nothing is left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.data.sources import Dataset
from harness.errors import WorkerFailed
from harness.runs import worker_log, worker_process
from harness.runs.worker_process import run_job
from harness.spec.recipes import LENET5
from harness.worker.job import Entrant, Job

LaunchOne = Callable[..., dict[str, Any]]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def pids_in(text: str) -> list[int]:
    found = re.search(r"pids ([\d ]+)", text)
    return [int(pid) for pid in found[1].split()] if found else []


def assert_gone(pids: list[int]) -> None:
    """All of them have ended, or do so now: orphans are reaped by init, which takes its time."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs([p for p in processes if p.status() != psutil.STATUS_ZOMBIE], timeout=30)

    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_log_of_a_silent_worker_fills_no_disk(
    launch_one: LaunchOne, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness looks at no log before the worker speaks; the kernel lets no file grow beyond its limit till then."""
    monkeypatch.setattr(worker_log, "MOST_OF_A_FILE", 8 << 20)

    with pytest.raises(WorkerFailed, match=r"File too large.* Its log had the 8,388,608 bytes that a worker's file"):
        launch_one("endless-log")
    assert (tmp_path / "launch" / "log.txt").stat().st_size <= 8 << 20


@pytest.mark.parametrize(("mode", "count"), [("hang", 1), ("grandchild", 2)])
def test_hanging_launch_is_killed(launch_one: LaunchOne, tmp_path: Path, mode: str, count: int) -> None:
    """A worker that outlives its time is killed, with its children, and the option that sets the time is named."""
    pids: list[int] = []
    for seconds in (2, 8, 30, 90):  # a busy machine may not have got far in two seconds
        with pytest.raises(WorkerFailed, match=rf"did not finish within {seconds} s \(--launch-timeout\)") as caught:
            launch_one(mode, timeout_s=seconds)
        pids = pids_in(caught.value.log)
        if pids:
            break
        (tmp_path / "launch").rename(tmp_path / f"launch-{seconds}")

    assert len(pids) == count
    assert children() == []
    assert_gone(pids)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("garbage", r"It said what is no line of JSON: '\\xff\\x00 no message'"),
        ("endless", r"It said a line that has no end within 4,194,304 bytes: 'xxx"),
        ("fifo", r"RuntimeError: the log is a pipe"),
        ("surrogate", r"no file caf\\udce9 \\x1b\[31m\\u202e\\x00"),
    ],
)
def test_worker_that_says_what_it_should_not_fails(launch_one: LaunchOne, mode: str, reason: str) -> None:
    """Its launch alone, at once, with what was found, in characters that every file and terminal can hold."""
    with pytest.raises(WorkerFailed, match=reason) as caught:
        launch_one(mode, timeout_s=120)

    assert str(caught.value).encode()
    assert children() == []


@pytest.mark.parametrize("mode", ["flood", "stopped"])
def test_deadline_holds_whatever_the_worker_does(launch_one: LaunchOne, mode: str) -> None:
    """One that never ends to tell how far it is, and one that has been stopped."""
    start = time.monotonic()

    with pytest.raises(WorkerFailed, match=r"did not finish within 3 s"):
        launch_one(mode, timeout_s=3)

    assert time.monotonic() - start < 30
    assert children() == []


def test_process_that_left_its_group_is_ended(launch_one: LaunchOne) -> None:
    """A daemon of a worker is gone with its launch."""
    result = launch_one("daemon")

    assert len(pids_in(result["log"])) == 1
    assert_gone(pids_in(result["log"]))


def test_who_killed_a_worker_is_said(tmp_path: Path) -> None:
    """The kernel counts what it kills because memory ran out; where it does not, nobody can tell."""
    (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 3\n")

    assert worker_process._oom_kills(tmp_path / "vmstat") == 3
    assert worker_process._oom_kills(tmp_path / "none") is None
    assert "Memory ran out, and the kernel killed it (OOM" in worker_process._why_killed(2, 3)
    assert "Somebody killed it" in worker_process._why_killed(3, 3)
    assert "smaller batches need less" in worker_process._why_killed(None, None)


def test_forked_child_does_not_hold_the_launch(launch_one: LaunchOne) -> None:
    """A result counts as soon as it is there, although a forked child still holds the pipe; the child is ended."""
    result = launch_one("leftover", timeout_s=60)

    assert result["threads_found"] == "1"
    assert len(pids_in(result["log"])) == 2
    assert_gone(pids_in(result["log"]))


def test_missing_interpreter_is_a_sentence(make_entrant: Callable[..., Entrant], tmp_path: Path) -> None:
    """An interpreter that is not there fails the launch, not the harness."""
    job = Job(kind="train", entrant=make_entrant(), recipe=LENET5.as_dict(), seed=0, data="", weights="")
    with pytest.raises(WorkerFailed, match=r"Cannot start /nowhere/python: No such file or directory\."):
        run_job(job, interpreter="/nowhere/python", folder=tmp_path / "x", timeout_s=9, listen=print)


def test_worker_dies_with_its_parent(
    launch_one: LaunchOne, session_environment: dict[str, str], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """A harness that is killed outright leaves no worker behind."""
    code = f"""
        import sys
        from pathlib import Path
        from harness.worker.job import Entrant, Job
        from harness.runs.worker_process import run_job
        from harness.spec.recipes import LENET5
        entrant = Entrant(
            backend="misbehaving", network="lenet5", mode="hang", feed="host", device="cpu", dtype="float32",
            threads=1, batch_size=64, environment="controlled",
        )
        folder = Path({str(tmp_path)!r})
        job = Job(kind="train", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(folder),
                  weights=str(folder / "weights.npz"))
        run_job(job, interpreter=sys.executable, folder=folder / "launch", timeout_s=600, listen=print)
    """
    harness = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], env=session_environment, stdout=subprocess.DEVNULL
    )
    log = tmp_path / "launch" / "log.txt"
    pids: list[int] = []
    while not pids and harness.poll() is None:
        pids = pids_in(log.read_text()) if log.exists() else []
    worker = psutil.Process(pids[0])
    assert worker.ppid() == harness.pid

    harness.send_signal(signal.SIGKILL)
    harness.wait()

    assert_gone(pids)
