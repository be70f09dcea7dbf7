"""Nodes that Dask distributed has: workers that come and go, and the tasks that they are given.

The coordinator decides who does what, so each task names its worker. Dask starts nodes (on this machine, by Slurm, PBS,
Kubernetes: docs/scale.md), carries tasks and answers, and tells who has gone. Imported by the command that was asked
for a cluster, and by nobody else.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

from harness.cluster import node
from harness.cluster.coordinator import Answered, Event, Joined, Left
from harness.errors import InputError, LenetBenchError

# What a worker must offer one of: it has one round at a time.
RESOURCE = "lenet-bench"
CONNECT_S, ANSWER_S = 20.0, 60.0
ENDING_S = 10.0
# Above all levels of a log: what Dask says of its own ending is for nobody.
SILENT = logging.CRITICAL + 1


class DaskNodes:
    """The workers of one scheduler."""

    def __init__(self, client: Any) -> None:
        """Begin to listen.

        Args:
            client: a `distributed.Client`.
        """
        self._client = client
        self._events: queue.SimpleQueue[tuple[str, str, Any]] = queue.SimpleQueue()
        # Address -> the future of what it has been given.
        self._given: dict[str, Any] = {}
        self._greeted: set[str] = set()
        self._numbers = itertools.count()
        client.subscribe_topic("all", self._hear)
        for address in client.scheduler_info(n_workers=-1)["workers"]:
            self._events.put(("add-worker", address, None))

    def begin(self, address: str, task: str) -> None:
        """As `coordinator.Nodes`."""
        self._submit("answer", address, node.carry_out, task, resources={RESOURCE: 1})

    def wait(self, seconds: float) -> list[Event]:
        """As `coordinator.Nodes`."""
        found: list[Event] = []
        end = time.monotonic() + seconds
        while not found and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                found += self._event(*self._events.get(timeout=left))
                while True:
                    found += self._event(*self._events.get_nowait())
        return found

    def _hear(self, event: tuple[float, Any]) -> None:
        said = event[1]
        if isinstance(said, dict) and said.get("action") in ("add-worker", "remove-worker"):
            self._events.put((said["action"], str(said["worker"]), None))

    def _submit(self, kind: str, address: str, function: Any, *values: str, **options: Any) -> None:
        # A key of its own: a round that is done again is no task that Dask knows already.
        key = f"{kind}-{address}-{os.urandom(4).hex()}-{next(self._numbers)}"
        future = self._client.submit(
            function, *values, key=key, workers=[address], allow_other_workers=False, retries=0, **options
        )
        self._given[address] = future
        future.add_done_callback(lambda done: self._events.put((kind, address, done)))

    def _event(self, kind: str, address: str, future: Any) -> list[Event]:
        if kind == "add-worker":
            # Told by Dask, and found when we came.
            if address not in self._greeted:
                self._greeted.add(address)
                self._submit("hello", address, node.hello)
            return []
        if kind == "remove-worker":
            return self._gone(address)
        if self._given.get(address) is not future:
            return []
        del self._given[address]
        return self._said(kind, address, future)

    def _gone(self, address: str) -> list[Event]:
        self._greeted.discard(address)
        future = self._given.pop(address, None)
        if future is not None:
            # Or Dask would wait for a worker of this address for ever.
            future.cancel()
        return [Left(address)]

    def _said(self, kind: str, address: str, future: Any) -> list[Event]:
        try:
            answer = str(future.result(timeout=ANSWER_S))
        except TimeoutError:
            # It has died between the end of its work and the answer.
            return self._gone(address)
        except CancelledError:
            # Those that we have cancelled are given to nobody.
            raise LenetBenchError(
                "The Dask scheduler has gone, or cannot be reached any more. Rows so far are kept. Start it again, "
                "and go on with run --resume."
            ) from None
        except Exception as error:
            answer = json.dumps({"refused": f"{type(error).__name__}: {error}"})
            if kind == "hello":
                fault = f"it cannot say what it is ({type(error).__name__}: {error}). Is lenet-bench installed there?"
                return [Joined(address, {}, fault)]
        finally:
            future.release()
        if kind == "hello":
            return [Joined(address, json.loads(answer), self._fault(address))]
        return [Answered(address, answer)]

    def _fault(self, address: str) -> str:
        worker = self._client.scheduler_info(n_workers=-1)["workers"].get(address, {})
        if worker.get("resources", {}).get(RESOURCE) != 1 or worker.get("nthreads") != 1:
            return (
                f"it does not offer one {RESOURCE} and one thread, so that its rounds might run at once. Start it with "
                "python -m harness.cluster.worker."
            )
        return ""


@contextlib.contextmanager
def connected(where: str) -> Iterator[DaskNodes]:
    """The nodes of a scheduler: `tcp://host:port`, or `local:2` for that many here, each with its share of the CPUs.

    Raises:
        InputError: Dask is not installed, there is no such scheduler, or there are fewer CPUs than nodes.
    """
    try:
        import distributed
    except ImportError:
        raise InputError("--cluster needs Dask distributed. Install it: pip install 'lenet-bench[cluster]'") from None
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            # What its workers and scheduler do is said in our words; the rest is for whoever works on Dask.
            logging.getLogger(name).setLevel(SILENT)
    kind, colon, rest = where.partition(":")
    if kind == "local" and colon:
        with _local(rest, distributed) as client:
            yield DaskNodes(client)
        return
    if "://" not in where:
        raise InputError(f"--cluster takes a scheduler's address or local:N, got {where!r}. Give tcp://HOST:8786, say.")
    with _connect(where, distributed) as client:
        yield DaskNodes(client)


@contextlib.contextmanager
def _connect(address: str, distributed: Any) -> Iterator[Any]:
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise InputError(
            f"There is no Dask scheduler at {address}: {' '.join(str(error).split())[:200]} Start one: dask scheduler "
            "(docs/scale.md)."
        ) from None
    try:
        yield client
    finally:
        client.close(timeout=ENDING_S)


@contextlib.contextmanager
def _local(count: str, distributed: Any) -> Iterator[Any]:
    """A scheduler in this process, and nodes as processes that are gone afterwards."""
    cpus = sorted(os.sched_getaffinity(0))
    if not count.isdecimal() or not 1 <= int(count) <= len(cpus):
        raise InputError(f"--cluster local:N takes 1 to {len(cpus)} here, a CPU or more for each, got local:{count}.")
    with contextlib.ExitStack() as ending:
        cluster = distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None, silence_logs=SILENT
        )
        ending.callback(cluster.close, timeout=ENDING_S)
        # First, so that nodes have somebody to take leave of.
        client = ending.enter_context(_connect(cluster.scheduler_address, distributed))
        for number in range(int(count)):
            ending.enter_context(_node(cluster.scheduler_address, number, cpus[number :: int(count)]))
        yield client


@contextlib.contextmanager
def _node(address: str, number: int, cpus: list[int]) -> Iterator[None]:
    command = [sys.executable, "-m", "harness.cluster.worker", address, "--name", f"local-{number}"]
    command += ["--death-timeout", "30", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # Ctrl-C is for the command alone, which then ends its nodes.
        start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=ENDING_S)
        process.kill()
        process.wait()
