"""A clock that moves only when it is told to, and a backend that records what it is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


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

    def logits(self, images: np.ndarray) -> None:
        self.calls.append("logits")
        self.asked.append(images)
        self.pending += next(self.logits_durations)

    def synchronize(self) -> None:
        self.calls.append("synchronize")
        self.clock.now += self.pending
        self.pending = 0.0
