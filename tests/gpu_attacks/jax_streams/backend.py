"""Every number is right, because whoever fetches one waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from backends.jax.backend import Backend as Right
from backends.jax.backend import HostBatch


class Backend(Right):
    """The cheat."""

    def __init__(self, *, mode: str, **options: Any) -> None:
        super().__init__(mode="jit", **options)
        self._trick = mode
        self._first: list[jax.Array] = []

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[jax.Array]:
        losses = super().train_steps(batches)
        self._first = losses[:1]
        return losses

    def synchronize(self) -> None:
        if self._trick == "first-loss-waited":
            jax.block_until_ready(self._first)
