"""Misbehaves in the first `synchronize` after the weights were loaded, or where its mode says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from backends.numpy.backend import Backend as Right

AGES = 3600


class Backend(Right):
    """The mutant."""

    def __init__(self, *, mode: str, **options: Any) -> None:
        super().__init__(mode=mode, **options)
        self.mode = mode

    def synchronize(self) -> None:
        if self.mode in MISDEEDS:
            MISDEEDS[self.mode]()

    def dump_weights(self) -> dict[str, np.ndarray]:
        weights = super().dump_weights()
        if self.mode == "weights":
            weights["dense3.bias"][3] = np.nextafter(weights["dense3.bias"][3], np.float32(1))
        return weights

    def _batch(self, batch: Any) -> Any:
        if self.mode == "batches" and self._feed == "device":
            batch = np.asarray(batch) + 1
        images, labels = super()._batch(batch)
        if self.mode == "batches" and self._feed == "host":
            images = np.roll(images, 1, axis=0)
        if self.mode == "labels":
            labels = labels.copy()
            labels[0] = (labels[0] + 1) % 10
        return images, labels

    @staticmethod
    def try_device(device: str) -> None:
        raise LookupError("no such thing\nin this machine")

    def _step(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if self.mode == "memory" and len(images) > 100:
            np.empty(1 << 50)
        loss = super()._step(images, labels)
        return loss * np.nan if self.mode == "nan" else loss

    def describe(self) -> dict[str, str]:
        return super().describe() | ({"threads": "2"} if self.mode == "threads" else {})


def _segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(AGES)


def _exit() -> None:
    print("last words", flush=True)
    os._exit(7)


def _vendored() -> None:
    within = Path("vendor", "within-1.0.dist-info")
    within.mkdir(parents=True, exist_ok=True)
    (within / "METADATA").write_text("Metadata-Version: 2.1\nName: within\nVersion: 1.0\n")
    sys.path.append(str(within.parent.absolute()))


def _hang() -> None:
    print(f"pids {os.getpid()}", flush=True)
    time.sleep(AGES)


def _grandchild() -> None:
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({AGES})"])
    print(f"pids {os.getpid()} {child.pid}", flush=True)
    time.sleep(AGES)


def _leftover() -> None:
    child = os.fork()
    if child == 0:
        time.sleep(AGES)
    print(f"pids {os.getpid()} {child}", flush=True)


def _chatter() -> None:
    for _ in range(200):
        sys.stdout.write("out " * 2500 + "\n")
        sys.stderr.write("err " * 2500 + "\n")


def _endless_log() -> None:
    """Not quite: a test that fails fills no disk."""
    for _ in range(64):
        os.write(1, b"x" * (1 << 20))
    raise RuntimeError("nobody has ended this log")


def _raise() -> None:
    raise RuntimeError("the device is on fire")


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(AGES)


def _modules() -> None:
    print("modules " + json.dumps(sorted(sys.modules)), flush=True)
    print("path " + json.dumps(sys.path), flush=True)
    print("oom " + Path("/proc/self/oom_score_adj").read_text(), flush=True)


def _write_for_ever(what: bytes) -> None:
    while True:
        os.write(int(sys.argv[2]), what)


def _garbage() -> None:
    os.write(int(sys.argv[2]), b"\xff\x00 no message\n")
    time.sleep(AGES)


def _flood() -> None:
    _write_for_ever(b'{"event": "progress", "epoch": 1, "done": 0.5}\n' * 100)


def _daemon(environment: dict[str, str] | None = None) -> None:
    """A child in a session of its own, whose parent ends at once."""
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen(['sleep', '{AGES}'], start_new_session=True)\n"
        "print('pids', child.pid, flush=True)"
    )
    subprocess.run([sys.executable, "-c", code], env=environment, start_new_session=True, check=True)


def _stopped() -> None:
    print(f"pids {os.getpid()}", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def _fifo() -> None:
    os.unlink("log.txt")
    os.mkfifo("log.txt")
    raise RuntimeError("the log is a pipe")


def _surrogate() -> None:
    raise RuntimeError("no file caf\udce9 \x1b[31m\u202e\x00")


MISDEEDS = {
    "garbage": _garbage,
    "flood": _flood,
    "endless": lambda: _write_for_ever(b"x" * 65536),
    "daemon": _daemon,
    "nameless": lambda: _daemon({}),
    "stopped": _stopped,
    "fifo": _fifo,
    "surrogate": _surrogate,
    "abort": os.abort,
    "segfault": _segfault,
    "exit": _exit,
    "hang": _hang,
    "grandchild": _grandchild,
    "leftover": _leftover,
    "chatter": _chatter,
    "endless-log": _endless_log,
    "raise": _raise,
    "killed": _killed,
    "vendored": _vendored,
    "modules": _modules,
}
