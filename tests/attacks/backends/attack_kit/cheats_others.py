"""Cheats whose timed work is left to others: a thread, a child, a process that is no child."""

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
from backends.attack_kit.cheats_later import Later, Put
from backends.attack_kit.triggers import called_from
from backends.attack_kit.wrapper import Weights

ALL_CPUS = range(os.cpu_count() or 1)
# Blocks that are left to others at a time: who leaves all of them would never be done.
MOST_WAITING = 10
SERVE = (
    "import sys; from harness.worker import catalogue; catalogue.names(); "
    "from backends.attack_kit.cheats_others import serve; serve(sys.argv[1])"
)


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
            # A socket has a name of 107 bytes at most, and folders for temporary files may lie deep.
            address = os.path.relpath(os.path.join(tempfile.mkdtemp(), "socket"))
            with Listener(address, "AF_UNIX") as listener:
                command = [sys.executable, "-P", "-c", SERVE, address]
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
CHEATS = {
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
}
