"""Events of a scheduler, made up: each worker is greeted once, the dead give no answers, a lost scheduler ends all."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

from harness.cluster.coordinator import Answered, Joined, Left
from harness.cluster.dask_nodes import RESOURCE, DaskNodes
from harness.errors import LenetBenchError

GOOD = {"resources": {RESOURCE: 1.0}, "nthreads": 1}
HELLO = json.dumps({"lenet_bench": "1"})


class MadeUpFuture:
    """A task that is answered when a test says so."""

    def __init__(self) -> None:
        self.cancelled = False
        self.outcome: Any = None
        self._callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, function: Callable[[Any], None]) -> None:
        self._callbacks.append(function)

    def cancel(self) -> None:
        self.cancelled = True

    def release(self) -> None:
        pass

    def result(self, timeout: float) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def end(self, outcome: Any) -> None:
        self.outcome = outcome
        for function in self._callbacks:
            function(self)


class MadeUpClient:
    """Stands in for `distributed.Client`."""

    def __init__(self, **workers: dict[str, Any]) -> None:
        self.workers = workers
        self.submitted: list[tuple[str, dict[str, Any], MadeUpFuture]] = []

    def subscribe_topic(self, topic: str, handler: Callable[[Any], None]) -> None:
        self.say = lambda action, worker: handler((0.0, {"action": action, "worker": worker}))

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": self.workers}

    def submit(self, function: Any, *values: Any, **options: Any) -> MadeUpFuture:
        self.submitted.append((function.__name__, options, MadeUpFuture()))
        return self.submitted[-1][2]


def begun(**workers: dict[str, Any]) -> tuple[MadeUpClient, DaskNodes]:
    client = MadeUpClient(**workers)
    return client, DaskNodes(client)


def at_work() -> tuple[MadeUpClient, DaskNodes]:
    """One node, `a`, that has joined and has been given a task: the second thing submitted."""
    client, nodes = begun(a=GOOD)
    nodes.wait(0.01)
    client.submitted[0][2].end(HELLO)
    nodes.wait(1)
    nodes.begin("a", "task")
    return client, nodes


def test_each_worker_is_greeted_once() -> None:
    """Found on coming, told by the scheduler, or both; its task is for it alone, and so is the resource."""
    client, nodes = begun(a=GOOD)
    client.say("add-worker", "a")
    assert nodes.wait(0.01) == []
    assert [name for name, _, _ in client.submitted] == ["hello"]
    client.submitted[0][2].end(HELLO)
    assert nodes.wait(1) == [Joined("a", {"lenet_bench": "1"})]

    nodes.begin("a", "task")
    name, options, future = client.submitted[1]
    assert (name, options["workers"], options["allow_other_workers"], options["resources"], options["retries"]) == (
        "carry_out", ["a"], False, {RESOURCE: 1}, 0,
    )  # fmt: skip
    future.end("done")
    assert nodes.wait(1) == [Answered("a", "done")]


def test_the_dead_give_no_answers() -> None:
    """What was given to them is cancelled, what they say later is passed over; their address may come again."""
    client, nodes = at_work()
    client.say("remove-worker", "a")
    assert nodes.wait(1) == [Left("a")]
    assert client.submitted[1][2].cancelled
    client.say("add-worker", "a")
    assert nodes.wait(0.01) == []
    # It has been asked again who it is: this is no answer to that.
    client.submitted[1][2].end("too late")
    assert nodes.wait(0.01) == []
    client.submitted[2][2].end(HELLO)
    assert nodes.wait(1) == [Joined("a", {"lenet_bench": "1"})]


def test_one_that_dies_over_its_answer_is_gone() -> None:
    """Its work is done and nobody has it."""
    client, nodes = at_work()
    client.submitted[1][2].end(TimeoutError())
    assert nodes.wait(1) == [Left("a")]


@pytest.mark.parametrize("worker", [{}, GOOD | {"nthreads": 4}, GOOD | {"resources": {}}])
def test_a_worker_that_might_do_two_rounds_at_once_has_a_fault(worker: dict[str, Any]) -> None:
    """It was started as `dask worker`."""
    client, nodes = begun(a=worker)
    nodes.wait(0.01)
    client.submitted[0][2].end(HELLO)
    (event,) = nodes.wait(1)
    assert isinstance(event, Joined)
    assert "Start it with python -m harness.cluster.worker." in event.fault


def test_a_worker_without_lenet_bench_has_a_fault() -> None:
    """Its Dask cannot even read what it is asked."""
    client, nodes = begun(a=GOOD)
    nodes.wait(0.01)
    client.submitted[0][2].end(ModuleNotFoundError("No module named 'harness'"))
    (event,) = nodes.wait(1)
    assert isinstance(event, Joined)
    assert "Is lenet-bench installed there?" in event.fault


def test_a_task_that_breaks_is_refused() -> None:
    """In a way that nobody thought of: the node takes no part in that cell."""
    client, nodes = at_work()
    client.submitted[1][2].end(MemoryError("much"))
    (event,) = nodes.wait(1)
    assert isinstance(event, Answered)
    assert json.loads(event.answer) == {"refused": "MemoryError: much"}


def test_a_lost_scheduler_is_the_end() -> None:
    """With what to do."""
    client, nodes = begun(a=GOOD)
    nodes.wait(0.01)
    client.submitted[0][2].end(CancelledError())
    with pytest.raises(LenetBenchError, match="The Dask scheduler has gone"):
        nodes.wait(1)
