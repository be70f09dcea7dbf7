"""A replica that is a process, but for the first, which is the worker: it does what the worker tells it.

`python -m harness.worker.replica RANK CHANNEL MEMORY`. The two descriptors are a socket, on which the job comes first
and then one call after the other, and the memory that batches come in. Each call is answered when its work is done.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from harness.worker import controls, process
from harness.worker.job import Job

if TYPE_CHECKING:
    from harness.spec.network import Network
    from harness.spec.recipe import Recipe
    from harness.spec.replicas import Replica
    from harness.worker.shared_block import Place, SharedBlock

DONE, FAILED = "done", "failed"


def main() -> None:
    """Serve until the worker closes the channel, or something goes wrong, of which it is told."""
    rank, descriptor, memory = map(int, sys.argv[1:])
    process.forget_checkout()
    process.die_with_parent()
    process.die_first()
    channel = Connection(descriptor)
    job, meeting = channel.recv()
    try:
        # Before NumPy and the framework are imported, as in the worker.
        controls.take_part(job, rank)
        _serve(channel, job, rank, meeting, memory)
    except EOFError:
        pass
    except Exception as error:
        traceback.print_exc()
        channel.send((FAILED, f"{type(error).__name__}: {error}"))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _serve(channel: Connection, job: Job, rank: int, meeting: str, memory: int) -> None:
    from harness.spec.replicas import Replica
    from harness.worker.shared_block import SharedBlock

    member = Member(job, Replica(rank, job.entrant.replicas, meeting), SharedBlock(memory))
    channel.send((DONE, sorted(os.sched_getaffinity(0))))
    while True:
        name, arguments = channel.recv()
        channel.send((DONE, getattr(member, name)(*arguments)))


class Member:
    """One replica's backends, each by its number, in the order in which they were built."""

    def __init__(self, job: Job, replica: Replica, block: SharedBlock) -> None:
        from harness.worker import catalogue

        self._entrant, self._replica, self._block = job.entrant, replica, block
        self._class = catalogue.backend_class(job.entrant.backend, parallel=True)
        self._built: list[Any] = []

    def build(self, feed: str, network: Network, recipe: Recipe) -> None:
        """Build the next one.

        Raises:
            RuntimeError: it has not as many threads as were asked for.
        """
        from dataclasses import replace

        from harness.worker.making import make

        entrant = replace(self._entrant, feed=feed)
        made = make(self._class, entrant, network, recipe, replica=self._replica)
        controls.check_threads(entrant.threads, made.describe()["threads"], entrant.backend)
        self._built.append(made)

    def load_weights(self, number: int, weights: Any) -> None:
        """As the protocol."""
        self._built[number].load_weights(weights)
        self._built[number].synchronize()

    def set_learning_rate(self, number: int, value: float) -> None:
        """As the protocol."""
        self._built[number].set_learning_rate(value)

    def use_dataset(self, number: int, images: Any, labels: Any) -> None:
        """As the protocol, after `put`."""
        backend = self._built[number]
        backend.use_dataset(backend.put(images=images, labels=labels))
        backend.synchronize()

    def train_places(self, number: int, places: list[Place], sizes: list[int]) -> None:
        """Train on its parts of batches that are in the memory: images and labels in turn."""
        arrays = self._block.read(places)
        self._train(number, list(zip(arrays[::2], arrays[1::2], strict=True)), sizes)

    def train_indices(self, number: int, indices: Any, sizes: list[int]) -> None:
        """Train on its parts of batches of the resident data set."""
        self._train(number, indices, sizes)

    def _train(self, number: int, batches: Any, sizes: list[int]) -> None:
        self._built[number].train_steps(batches, sizes)
        self._built[number].synchronize()

    def read_back(self, number: int, batch: Any) -> Any:
        """As the protocol, of its part."""
        return self._built[number].read_back(batch)

    def gradients(self, number: int, images: Any, labels: Any, size: int) -> None:
        """Its part of what the first replica returns."""
        backend = self._built[number]
        backend.gradients(backend.put(images=images, labels=labels), size)

    def loss(self, number: int, images: Any, labels: Any, size: int) -> None:
        """Its part of what the first replica returns."""
        backend = self._built[number]
        backend.loss(backend.put(images=images, labels=labels), size)
        backend.synchronize()

    def usage(self) -> resource.struct_rusage:
        """What this process has used so far (getrusage(2))."""
        return resource.getrusage(resource.RUSAGE_SELF)

    def memory(self) -> tuple[int, int | None]:
        """The most memory that it had so far, and of the device where that has its own."""
        from harness.worker import memory

        return memory.peak_rss_bytes(), self._built[0].memory()[0]


if __name__ == "__main__":
    main()
