"""A backend made slower by a known share: what the self-test must find. Worker side; standard library only."""

from __future__ import annotations

import time
from typing import Any


class Slowed:
    """A backend whose every `train_steps` takes `1 + slowdown` times as long; all else is the backend's own.

    The extra time is spent spinning, on the same CPU, inside the timed interval: what a slower kernel would do.
    """

    def __init__(self, backend: Any, slowdown: float) -> None:
        self._backend = backend
        self._slowdown = slowdown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def train_steps(self, batches: Any) -> Any:
        """Train, wait until the work is done, and spin for its share."""
        start = time.perf_counter()
        losses = self._backend.train_steps(batches)
        self._backend.synchronize()
        now = time.perf_counter()
        end = now + (now - start) * self._slowdown
        while now < end:
            now = time.perf_counter()
        return losses
