"""A clock that moves only when it is told to, and a backend that records what it is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.worker.experiment import Step


class Clock:
    """A clock that moves only when it is told to.

    Attributes:
        elsewhere: seconds of it in which this process had no CPU.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.elsewhere = 100.0, 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: self.now - self.elsewhere)


class Blocks:
    """A source whose blocks come from an iterator, whatever turn they are for.

    Attributes:
        asked: (turn, steps) of every time that it was asked.
        seeds: of every turn that has begun.
    """

    def __init__(self, blocks: Iterator[Any]) -> None:
        self.blocks = blocks
        self.asked: list[tuple[int, int]] = []
        self.seeds: list[int] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "seed":
            self.seeds.append(value)
        super().__setattr__(name, value)

    def unforeseen(self) -> Step:
        return Step(1, {"turn": np.array(0)}, np.array([5, 7]), next(self.blocks)[:1])

    def start(self, turn: int) -> dict[str, np.ndarray]:
        return {"turn": np.array(turn)}

    def take(self, turn: int, steps: int) -> Any:
        self.asked.append((turn, steps))
        return next(self.blocks)[:steps]


class Recorder:
    """A backend that keeps what it is given; the k-th call of train_steps takes durations[k] seconds, of logits too."""

    def __init__(self, clock: Clock, durations: Iterator[float], logits: Iterator[float] | None = None) -> None:
        self.clock = clock
        self.durations = durations
        self.logits_durations = logits or iter(())
        self.pending = 0.0
        self.calls: list[str] = []
        self.batches: list[Any] = []
        self.asked: list[np.ndarray] = []
        self.loaded: list[dict[str, np.ndarray]] = []

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        self.clock.now += 1000  # nothing that is timed may contain this
        self.loaded.append(weights)

    def dump_weights(self) -> dict[str, np.ndarray]:
        self.synchronize()
        return {"weight": np.zeros(3, np.float32)}

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.clock.now += 1000  # nothing that is timed may contain this
        return images, labels

    def train_steps(self, batches: Any) -> list[float]:
        self.calls.append("train")
        self.batches.append(batches)
        self.pending += next(self.durations)
        return [0.5] * len(batches)

    def to_numpy(self, losses: list[float]) -> np.ndarray:
        return np.array(losses)

    def logits(self, images: np.ndarray) -> np.ndarray:
        self.calls.append("logits")
        self.asked.append(images)
        self.pending += next(self.logits_durations)
        return images.reshape(len(images), -1)[:, :10]

    def synchronize(self) -> None:
        self.calls.append("synchronize")
        self.clock.now += self.pending
        self.pending = 0.0
