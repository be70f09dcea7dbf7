"""Steps made slower on purpose: by exactly what was asked for, and nothing else changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker import phases
from harness.worker.handicap import Slowed
from harness.worker.job import Entrant, Job
from harness.worker.stopwatch import timed

TICK = 2.0**-16


class Inner:
    """A backend whose steps take 1 s: a quarter when they are queued, three quarters until they are done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.pending = 0.0
        self.losses = object()
        self.trained: list[Any] = []
        monkeypatch.setattr(time, "perf_counter", self.tick)

    def tick(self) -> float:
        """The clock goes on whenever it is looked at: spinning ends."""
        self.now += TICK
        return self.now

    def train_steps(self, batches: Any) -> object:
        self.trained.append(batches)
        self.now += 0.25
        self.pending += 0.75
        return self.losses

    def synchronize(self) -> None:
        self.now += self.pending
        self.pending = 0.0

    def logits(self, images: Any) -> tuple[str, Any]:
        return "logits of", images


@pytest.mark.parametrize("slowdown", [0.01, 0.03, 0.5, 2.0])
def test_steps_take_their_share_longer(monkeypatch: pytest.MonkeyPatch, slowdown: float) -> None:
    """The stopwatch finds 1 + slowdown times what the backend takes until its queued work is done."""
    inner = Inner(monkeypatch)
    slowed = Slowed(inner, slowdown)

    first = timed(slowed.train_steps, "batches", synchronize=slowed.synchronize)
    second = timed(slowed.train_steps, "others", synchronize=slowed.synchronize)

    assert first == pytest.approx(1 + slowdown, abs=10 * TICK)
    assert second == pytest.approx(1 + slowdown, abs=10 * TICK)
    assert inner.trained == ["batches", "others"]


def test_losses_and_all_else_are_the_backends_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are passed through as they are; other methods are the backend's, and take no longer."""
    inner = Inner(monkeypatch)
    slowed = Slowed(inner, 0.5)

    assert slowed.train_steps([]) is inner.losses
    before = inner.now
    assert slowed.logits(7) == ("logits of", 7)
    assert inner.now == before
    assert slowed.trained is inner.trained
    with pytest.raises(AttributeError, match="no_such_method"):
        slowed.no_such_method()


@pytest.mark.parametrize(("slowdown", "expected"), [(0.03, [0.03]), (0.0, [])])
def test_worker_slows_who_is_to_be_slowed(
    monkeypatch: pytest.MonkeyPatch,
    make_entrant: Callable[..., Entrant],
    tmp_path: Path,
    slowdown: float,
    expected: list[float],
) -> None:
    """An entrant's slowdown reaches its backend, with its share; an entrant without one runs as it is."""
    made = Mock(side_effect=Slowed)
    monkeypatch.setattr(phases, "Slowed", made)
    np.savez(tmp_path / "weights.npz", **initial_weights(get_network("lenet5"), seed=0))
    job = Job(
        kind="describe", entrant=make_entrant(slowdown=slowdown), recipe=LENET5.as_dict(), seed=0, data="",
        weights=str(tmp_path / "weights.npz"),
    )  # fmt: skip

    phases.run(job, lambda event, **values: None, lambda: False)

    assert [call.args[1] for call in made.call_args_list] == expected
