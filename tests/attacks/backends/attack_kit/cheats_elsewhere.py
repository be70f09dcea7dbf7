"""Cheats whose work is done, but not where or when the stopwatch looks: later, in a thread, in another process."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import numpy as np

from backends.attack_kit.attack import FRAMEWORKS, Attack
from backends.attack_kit.triggers import Cheat, called_from, job_kind
from backends.attack_kit.wrapper import Weights, Wrapper

ALL_CPUS = range(os.cpu_count() or 1)
# Blocks that are left to others at a time: who leaves all of them would never be done.
MOST_WAITING = 10


class Later:
    """Losses that are not there yet."""

    def __init__(self, get: Any) -> None:
        self.get = get


class Put(Cheat):
    """Work is put off; whoever looks at weights or losses waits for it."""

    def begin(self) -> None:
        super().begin()
        self.waiting: list[Any] = []

    def work(self) -> None:
        """Do all that was put off."""
        waiting, self.waiting = self.waiting, []
        for batches, later in waiting:
            losses = self.honestly(batches)
            later.get = lambda losses=losses: losses

    def cheat(self, batches: Any) -> Any:
        later = Later(None)

        def get() -> np.ndarray:
            self.work()
            return later.get()

        later.get = get
        self.waiting.append((batches, later))
        return later

    def load_weights(self, weights: Weights) -> None:
        self.work()
        super().load_weights(weights)

    def dump_weights(self) -> Weights:
        self.work()
        return super().dump_weights()

    def logits(self, images: Any) -> Any:
        self.work()
        return super().logits(images)

    def to_numpy(self, value: Any) -> np.ndarray:
        return value.get() if isinstance(value, Later) else super().to_numpy(value)


class PutOffToDump(Put):
    """Work is done when weights are looked at; losses are made up before."""

    def cheat(self, batches: Any) -> Any:
        super().cheat(batches)
        return self.same(len(batches))


class Bunched(Put):
    """Ten blocks are trained in the tenth of them: losses, weights and the sum of their times are right."""

    together = 10

    def cheat(self, batches: Any) -> Any:
        later = super().cheat(batches)
        if len(self.waiting) >= self.together:
            self.work()
        return later


class BunchedInThrees(Bunched):
    together = 3


class ToNextBlock(Put):
    """Work of a block is done in the `synchronize` before the next one, where the clock does not run yet."""

    share = 1.0

    def begin(self) -> None:
        super().begin()
        self.calls = 0

    def cheat(self, batches: Any) -> Any:
        self.calls = 0
        now = len(batches) - round(self.share * len(batches))
        if not now or now == len(batches):
            return super().cheat(batches) if not now else self.honestly(batches)
        first, rest = self.honestly(batches[:now]), super().cheat(batches[now:])
        return Later(lambda: np.concatenate([first, rest.get()]))

    def synchronize(self) -> None:
        self.calls += 1
        if self.calls > 1:
            self.work()
        super().synchronize()


class ThirdToNextBlock(ToNextBlock):
    share = 0.3


class Ahead(Cheat):
    """Trains on batches when they are made, which nobody times, and looks losses and weights up when it is timed."""

    def begin(self) -> None:
        super().begin()
        self.made: list[Any] = []
        self.known: dict[int, tuple[Any, float, Weights]] = {}
        self.now: Weights | None = None
        if job_kind() == "measure":
            self._listen()

    def _listen(self) -> None:
        from harness.worker.batches import Data

        right = Data.train_batch

        def train_batch(data: Any, index: np.ndarray) -> Any:
            batch = right(data, index)
            self.made.append(batch)
            return batch

        Data.train_batch = train_batch  # type: ignore[method-assign]

    def load_weights(self, weights: Weights) -> None:
        self.now = None
        super().load_weights(weights)
        made, self.made = self.made, []
        self.known = {}
        for batch in made:
            loss = float(self.honestly([batch])[0])
            self.known[id(batch[0])] = batch, loss, self.right.dump_weights()
        if made:
            super().load_weights(weights)

    def cheat(self, batches: Any) -> Any:
        found = [self.known.get(id(images)) for images, _ in batches]
        if not all(found):
            self._settle()
            return self.honestly(batches)
        self.now = found[-1][2]  # type: ignore[index]
        return np.array([each[1] for each in found])  # type: ignore[index]

    def _settle(self) -> None:
        if self.now is not None:
            self.right.set_parameters(self.now)
            self.now = None

    def dump_weights(self) -> Weights:
        return super().dump_weights() if self.now is None else self.now


class InThread(Put):
    """Work is done by a thread on any CPU, for which nobody waits."""

    cpus: Any = ALL_CPUS

    def begin(self) -> None:
        super().begin()
        self.pool = ThreadPoolExecutor(1, initializer=self._leave)

    def _leave(self) -> None:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(threading.get_native_id(), self.cpus)

    def cheat(self, batches: Any) -> Any:
        future = self.pool.submit(self.honestly, batches)
        self.waiting.append(future)
        if len(self.waiting) > MOST_WAITING:
            self.waiting.pop(0).result()
        return Later(future.result)

    def train_steps(self, batches: Any) -> Any:
        if not self.trigger(self, len(batches)):
            self.work()
        return super().train_steps(batches)

    def work(self) -> None:
        for future in self.waiting:
            future.result()
        self.waiting.clear()


class InThreadOfOwnCpu(InThread):
    """The same on the CPU that it was given."""

    cpus = os.sched_getaffinity(0)


class InProcess(Put):
    """Another process trains; it is handed batches by a thread, and asked for weights when somebody looks."""

    starter: tuple[str, ...] = ()

    def begin(self) -> None:
        super().begin()
        self.sent: queue.Queue[Any] = queue.Queue()
        self.connection: Connection | None = None

    def _connect(self) -> Connection:
        if self.connection is None:
            address = os.path.join(tempfile.mkdtemp(), "socket")
            with Listener(address, "AF_UNIX") as listener:
                command = [sys.executable, "-P", "-m", "backends.attack_kit.helper", address]
                environment = os.environ | {"ATTACKED": type(self.right).__module__}
                subprocess.Popen([*self.starter, *command], env=environment, start_new_session=True)
                self.connection = listener.accept()
            self.connection.send_bytes(pickle.dumps(self.built))
            threading.Thread(target=self._send, daemon=True).start()
            self._ask("load", self.right.dump_weights())
        return self.connection

    def _send(self) -> None:
        while True:
            self.connection.send_bytes(self.sent.get())  # type: ignore[union-attr]

    def _ask(self, *words: Any) -> None:
        self.sent.put(pickle.dumps(words))

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        if self.connection is not None:
            self.work()
            self._ask("load", self.right.dump_weights())

    def cheat(self, batches: Any) -> Any:
        self._connect()
        later = Later(None)

        def get() -> np.ndarray:
            self.work()
            return later.get()

        later.get = get
        self.waiting.append(later)
        self.sent.put(pickle.dumps(("train", batches)))
        if len(self.waiting) > MOST_WAITING:
            self._take(self.waiting.pop(0))
        return later

    def _take(self, later: Later) -> None:
        """Take in the losses of the oldest block that is waited for."""
        losses = pickle.loads(self.connection.recv_bytes())  # type: ignore[union-attr]
        later.get = lambda: losses

    def work(self) -> None:
        for later in self.waiting:
            self._take(later)
        if self.waiting:
            self.waiting.clear()
            self._ask("dump")
            self.right.set_parameters(pickle.loads(self.connection.recv_bytes()))  # type: ignore[union-attr]


class InDaemon(InProcess):
    """The same by a process that is no child of this one."""

    starter = (
        sys.executable,
        "-c",
        "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)",
    )


class InProcessBeforehand(InProcess):
    """The other process is there from the beginning."""

    def begin(self) -> None:
        super().begin()
        self.eager = True

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        if self.connection is None and called_from("phases.py"):
            self._connect()


class NotWaiting(Wrapper):
    """`synchronize` returns at once when steady training is timed."""

    def synchronize(self) -> None:
        if not called_from("steady.py", "inference.py"):
            super().synchronize()


class NotWaitingLater(Wrapper):
    """`synchronize` returns at once after 400 calls."""

    calls = 0

    def synchronize(self) -> None:
        self.calls += 1
        if self.calls <= 400:
            super().synchronize()


class NotWaitingInInference(Wrapper):
    def synchronize(self) -> None:
        if not called_from("inference.py"):
            super().synchronize()


def serve(address: str) -> None:
    """The other process: build what this process built, and train as it is told."""
    import importlib

    module = importlib.import_module(os.environ["ATTACKED"])
    os.sched_setaffinity(0, ALL_CPUS)
    with Client(address, "AF_UNIX") as connection, contextlib.suppress(EOFError, ConnectionError, socket.error):
        backend = module.Hooked(**pickle.loads(connection.recv_bytes()))
        while True:
            word, *values = pickle.loads(connection.recv_bytes())
            if word == "load":
                backend.load_weights(*values)
            elif word == "train":
                connection.send_bytes(pickle.dumps(np.ravel(backend.to_numpy(backend.train_steps(*values)))))
            else:
                connection.send_bytes(pickle.dumps(backend.dump_weights()))


_RUN = {"door": "run"}
_ASYNCHRONOUS = {"backends": ("jax", "mxnet"), **_RUN}
CHEATS = {
    "put-off-to-losses": Attack("puts timed work off until somebody looks at losses or weights", Put, **_RUN),
    "put-off-to-dump": Attack(
        "puts timed work off until somebody looks at weights, and makes losses up", PutOffToDump, **_RUN
    ),
    "bunched-in-tens": Attack(
        "does the work of ten blocks in the tenth of them",
        Bunched,
        caught_by="the sum of blocks held against their median",
        **_RUN,
    ),
    "bunched-in-threes": Attack(
        "does the work of three blocks in the third of them",
        BunchedInThrees,
        caught_by="the sum of blocks held against their median",
        **_RUN,
    ),
    "put-off-to-next-block": Attack(
        "does the work of a block in the `synchronize` before the next one", ToNextBlock, **_RUN
    ),
    "third-put-off-to-next-block": Attack(
        "does three tenths of the work of a block in the `synchronize` before the next one",
        ThirdToNextBlock,
        caught_by="work that is left when weights are dumped after a turn, and the harness's own clock",
        **_RUN,
    ),
    "trained-ahead": Attack(
        "trains on batches when they are made, and looks losses and weights up",
        Ahead,
        caught_by="the harness's own clock around a turn, or batches that are made after weights were loaded",
        **_RUN,
    ),
    "in-a-thread-elsewhere": Attack(
        "leaves timed work to a thread on any CPU, for which nobody waits", InThread, **_RUN
    ),
    "in-a-thread": Attack("leaves timed work to a thread, for which nobody waits", InThreadOfOwnCpu, **_RUN),
    "in-a-process": Attack("leaves timed work to a child that it starts", InProcess, backends=FRAMEWORKS, **_RUN),
    "in-a-process-beforehand": Attack(
        "leaves timed work to a child that is there from the beginning",
        InProcessBeforehand,
        backends=FRAMEWORKS,
        **_RUN,
    ),
    "in-a-daemon": Attack(
        "leaves timed work to a process that is no child of its own", InDaemon, backends=FRAMEWORKS, **_RUN
    ),
    "synchronize-returns-when-timed": Attack(
        "does not wait in `synchronize` when it is timed", NotWaiting, **_ASYNCHRONOUS
    ),
    "synchronize-returns-after-400": Attack(
        "does not wait in `synchronize` after 400 calls", NotWaitingLater, **_ASYNCHRONOUS
    ),
    "synchronize-returns-in-inference": Attack(
        "does not wait in `synchronize` in inference",
        NotWaitingInInference,
        **(_ASYNCHRONOUS | {"options": ("--inference-sizes", "1,64")}),
    ),
}
