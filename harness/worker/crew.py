"""Replicas that are processes, as one backend that takes whole batches. Worker side.

The worker is the first replica. It starts the others (`harness.worker.replica`), tells them each call before it does
its own part of it, and hears of each when that is done. Gradients go between them by the framework alone.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from harness.spec.network import Network
from harness.spec.recipe import Recipe
from harness.spec.replicas import Replica
from harness.worker import memory
from harness.worker.job import Entrant, Job
from harness.worker.making import make
from harness.worker.replica import FAILED
from harness.worker.shared_block import SharedBlock

# Where one replica fails, so do those that wait for it; how long the reason of the first may take, s.
REASON_S = 2.0


@dataclass
class Other:
    """A replica that the worker has started.

    Attributes:
        waiting: answers that it still owes.
    """

    replica: Replica
    channel: Connection
    block: SharedBlock
    process: subprocess.Popen[bytes]
    waiting: int = 0

    def tell(self, name: str, *arguments: Any) -> None:
        """Let it do something, and do not wait for it."""
        try:
            self.channel.send((name, arguments))
        except OSError:
            raise self._ended() from None
        self.waiting += 1

    def answer(self) -> Any:
        """What it says to the last thing it was told.

        Raises:
            RuntimeError: it failed or ended, with what it says itself.
        """
        found = None
        while self.waiting:
            try:
                word, found = self.channel.recv()
            except (EOFError, OSError):
                raise self._ended() from None
            if word == FAILED:
                raise RuntimeError(f"Replica {self.replica.rank + 1} of {self.replica.count}: {found}")
            self.waiting -= 1
        return found

    def has_failed(self) -> bool:
        """Whether it has a word to say soon."""
        return self.channel.poll(REASON_S)

    def _ended(self) -> RuntimeError:
        return RuntimeError(
            f"Replica {self.replica.rank + 1} of {self.replica.count} ended (exit code {self.process.wait(REASON_S)})."
        )


class Crew:
    """All replicas of a launch.

    Attributes:
        cpus: of each replica, those that it may run on.
    """

    def __init__(self, job: Job) -> None:
        """Start the others; they import their framework while this process does."""
        count = job.entrant.replicas
        # A launch's own folder.
        meeting = str(Path.cwd() / "meeting")
        self.first = Replica(0, count, meeting)
        self._others = [_start(job, Replica(rank, count, meeting)) for rank in range(1, count)]
        self.cpus = [sorted(os.sched_getaffinity(0))]
        self._built = 0

    def build(self, backend_class: Any, entrant: Entrant, network: Network, recipe: Recipe) -> Together:
        """One backend in every process."""
        self.tell("build", entrant.feed, network, recipe)
        made = self.attempt(lambda: make(backend_class, entrant, network, recipe, replica=self.first))
        self.answers()
        self._built += 1
        return Together(self, self._built - 1, made)

    def tell(self, name: str, *arguments: Any) -> None:
        """Let all others do the same."""
        self.tell_each(name, lambda other: arguments)

    def tell_each(self, name: str, arguments: Callable[[Other], Sequence[Any]]) -> None:
        """Let each of the others do its own part, once it has done all that came before."""
        self.answers()
        for other in self._others:
            other.tell(name, *arguments(other))

    def answers(self) -> list[Any]:
        """What each of the others says to the last thing it was told, once it is done."""
        found = [other.answer() for other in self._others]
        if len(self.cpus) == 1 and found:
            self.cpus += found
        return found

    def attempt(self, call: Callable[[], Any]) -> Any:
        """Do the first replica's part; where it fails because another has, that one's reason counts."""
        try:
            return call()
        except Exception:
            for other in self._others:
                if other.waiting and other.has_failed():
                    other.answer()
            raise

    def usage(self) -> resource.struct_rusage:
        """What all processes have used so far."""
        self.tell("usage")
        parts = [*self.answers(), resource.getrusage(resource.RUSAGE_SELF)]
        return resource.struct_rusage(map(sum, zip(*parts, strict=True)))

    def peak_rss_bytes(self) -> int:
        """The most memory that each process had, together."""
        self.tell("memory")
        return memory.peak_rss_bytes() + sum(rss for rss, _ in self.answers())


class Together:
    """The replicas as one backend (`harness.spec.protocol`): whole batches go in, the whole batch's losses come out.

    What is not here is the first replica's: inference, for one.

    Attributes:
        crew: that it is of.
    """

    def __init__(self, crew: Crew, number: int, first: Any) -> None:
        self.crew, self._number, self._first = crew, number, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Into all."""
        self.crew.tell("load_weights", self._number, weights)
        self.crew.attempt(lambda: self._first.load_weights(weights))

    def set_learning_rate(self, value: float) -> None:
        """Of all."""
        self.crew.tell("set_learning_rate", self._number, value)
        self._first.set_learning_rate(value)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Handed:
        """On the first one's device; what is whole is remembered, because others may get a part of it."""
        return Handed(self._first.put(images=images, labels=labels), images, labels)

    def use_dataset(self, dataset: Handed) -> None:
        """All of it on each device."""
        self.crew.tell("use_dataset", self._number, dataset.images, dataset.labels)
        self._first.use_dataset(tuple(dataset))

    def train_steps(self, batches: Any) -> Any:
        """A step of all is one step."""
        if isinstance(batches, np.ndarray):
            return self._train_indices(batches)
        sizes = [len(labels) for _, labels in batches]
        self.crew.tell_each(
            "train_places", lambda other: (self._number, other.block.write(_parts(batches, other.replica)), sizes)
        )
        parts = _parts(batches, self.crew.first)
        own = list(zip(parts[::2], parts[1::2], strict=True))
        return self.crew.attempt(lambda: self._first.train_steps(own, sizes))

    def _train_indices(self, batches: np.ndarray) -> Any:
        sizes = [batches.shape[1]] * len(batches)

        def part(replica: Replica) -> np.ndarray:
            return np.ascontiguousarray(batches[:, replica.part(sizes[0])])

        self.crew.tell_each("train_indices", lambda other: (self._number, part(other.replica), sizes))
        return self.crew.attempt(lambda: self._first.train_steps(part(self.crew.first), sizes))

    def read_back(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of every replica its part, put together."""

        def part(replica: Replica) -> Any:
            if isinstance(batch, np.ndarray):
                return batch[replica.part(len(batch))]
            return tuple(each[replica.part(len(each))] for each in batch)

        self.crew.tell_each("read_back", lambda other: (self._number, part(other.replica)))
        found = [self._first.read_back(part(self.crew.first)), *self.crew.answers()]
        images, labels = zip(*found, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def gradients(self, batch: Handed) -> dict[str, np.ndarray]:
        """As in training."""
        return self._of_parts("gradients", batch)

    def loss(self, batch: Handed) -> Any:
        """As in training."""
        return self._of_parts("loss", batch)

    def _of_parts(self, name: str, batch: Handed) -> Any:
        size, images, labels = len(batch.labels), batch.images, batch.labels

        def part(replica: Replica) -> tuple[np.ndarray, np.ndarray]:
            return images[replica.part(size)], labels[replica.part(size)]

        self.crew.tell_each(name, lambda other: (self._number, *part(other.replica), size))
        own = part(self.crew.first)
        pair = self._first.put(images=own[0], labels=own[1])
        return self.crew.attempt(lambda: getattr(self._first, name)(pair, size))

    def synchronize(self) -> None:
        """Wait for all."""
        self._first.synchronize()
        self.crew.answers()

    def memory(self) -> tuple[int | None, str]:
        """Of all devices together."""
        self.crew.tell("memory")
        own, source = self._first.memory()
        others = [device for _, device in self.crew.answers()]
        return (None, source) if own is None or None in others else (own + sum(others), f"{source}, all replicas")


class Handed(tuple[Any, ...]):
    """What `put` returns, and the arrays that it was made of.

    Attributes:
        images: as they were handed over.
        labels: of these.
    """

    images: np.ndarray
    labels: np.ndarray

    def __new__(cls, native: tuple[Any, Any], images: np.ndarray, labels: np.ndarray) -> Handed:
        """A pair."""
        made = super().__new__(cls, native)
        made.images, made.labels = images, labels
        return made


def _parts(batches: Sequence[tuple[np.ndarray, np.ndarray]], replica: Replica) -> list[np.ndarray]:
    """A replica's parts of batches, images and labels in turn."""
    return [each[replica.part(len(each))] for batch in batches for each in batch]


def _start(job: Job, replica: Replica) -> Other:
    """Start a replica's process, which dies with this one."""
    ours, theirs = socket.socketpair()
    block = SharedBlock()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.worker.replica", str(replica.rank), str(theirs.fileno()),
             str(block.descriptor)],
            stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(), block.descriptor),
        )  # fmt: skip
    other = Other(replica, Connection(ours.detach()), block, process, waiting=1)
    other.channel.send((job, replica.meeting))
    return other
