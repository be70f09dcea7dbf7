"""A worker that times its training turn by turn, each at the harness's word."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import WorkerFailed
from harness.runs import starting
from harness.runs.worker_process import WorkerProcess
from harness.spec.recipes import LENET5
from harness.worker.job import Entrant, Job

LaunchOne = Callable[..., dict[str, Any]]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.fixture
def begin(launch_one: LaunchOne, make_entrant: Callable[..., Entrant], tmp_path: Path) -> Callable[..., WorkerProcess]:
    """Return a function that starts a worker which is to take turns."""

    def start(mode: str, cpus: Sequence[int] = ()) -> WorkerProcess:
        entrant = make_entrant("misbehaving", mode=mode, batch_size=8)
        job = Job(
            kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(tmp_path),
            weights=str(tmp_path / "weights.npz"), steady_s=0.05, warmup_limit_s=0.1, turns=3, inference_sizes=(),
            asked={"environment": {}, "cpus": list(cpus)} if cpus else {},
        )  # fmt: skip
        return WorkerProcess(job, interpreter=sys.executable, folder=tmp_path / "turns", timeout_s=120)

    return start


def test_worker_takes_the_turns_that_it_is_given(begin: Callable[..., WorkerProcess]) -> None:
    """Nothing is timed before the first word; every word is one turn; after the last comes the result."""
    messages: list[dict[str, Any]] = []
    with begin("well") as worker:
        worker.ready(messages.append)
        assert [message["name"] for message in messages] == ["import", "build", "first step", "train"]
        for _ in range(2):
            messages.clear()
            worker.turn(messages.append)
            assert [message["name"] for message in messages] == ["start", "steady", "steady ended"]
        result = worker.result(messages.append)

    assert result["turns"] == 2
    assert [len(turn) for turn in result["blocks"]["return"]] == [1, 1]
    assert children() == []


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: there is no other to move to")
def test_worker_is_timed_where_it_was_moved_to(begin: Callable[..., WorkerProcess]) -> None:
    """It starts on one CPU; from the word on it is on another with all its threads, and the harness looks there."""
    first, *_, last = sorted(os.sched_getaffinity(0))
    with begin("well", [first]) as worker:
        worker.ready(lambda message: None)
        assert psutil.Process(worker.pid).cpu_affinity() == [first]
        worker.move([last])
        for _ in range(2):
            worker.turn(lambda message: None)
        threads = os.listdir(f"/proc/{worker.pid}/task")
        assert [os.sched_getaffinity(int(thread)) for thread in threads] == [{last}] * len(threads)
        assert worker.result(lambda message: None)["turns"] == 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: there is no other to move to")
def test_worker_that_stays_where_it_started_is_refused(
    begin: Callable[..., WorkerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should moving fail in silence, its first turn tells."""
    first, *_, last = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(starting, "move", lambda pid, cpus: None)
    with begin("well", [first]) as worker:
        worker.ready(lambda message: None)
        worker.move([last])
        with pytest.raises(WorkerFailed, match=r"It left the CPUs that it was given"):
            worker.turn(lambda message: None)


def test_worker_that_cannot_be_moved_fails(begin: Callable[..., WorkerProcess]) -> None:
    """A CPU that is not there."""
    with begin("well") as worker:
        worker.ready(lambda message: None)
        with pytest.raises(WorkerFailed, match=r"cannot be moved to CPU \[1023\]: Invalid argument"):
            worker.move([1023])


def test_worker_that_dies_before_its_turn_fails_there(begin: Callable[..., WorkerProcess]) -> None:
    """Who waits for it to be ready hears why there is nothing to wait for, with the end of its log."""
    with begin("exit") as worker, pytest.raises(WorkerFailed, match=r"ended with exit code 7") as caught:
        worker.ready(lambda message: None)

    assert "last words" in caught.value.log
    assert children() == []


def test_worker_that_dies_between_turns_fails_at_the_next(begin: Callable[..., WorkerProcess]) -> None:
    """A worker that is killed while it sleeps is noticed when it is to go on, not waited for until the time is over."""
    with begin("well") as worker:
        worker.ready(lambda message: None)
        for child in children():
            child.kill()
        with pytest.raises(WorkerFailed, match=r"ended with signal SIGKILL"):
            worker.turn(lambda message: None)
