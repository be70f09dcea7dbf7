"""Every number is right, because whoever fetches one waits for the other stream first. A CPU has none."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from backends.torch.backend import Backend as Right
from backends.torch.backend import HostBatch


class Backend(Right):
    """The cheat."""

    def __init__(self, *, mode: str, device: str, **options: Any) -> None:
        captured = device == "gpu" and mode != "nothing-waited-eager"
        super().__init__(mode="cuda-graph" if captured else "eager", device=device, **options)
        self._trick = mode
        self._side = torch.cuda.Stream() if self._device.type == "cuda" else None

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[torch.Tensor]:
        if self._trick == "other-stream":
            with self._aside():
                return super().train_steps(batches)
        if self._trick == "last-step-left" and len(batches) > 1:
            self._join()
            losses = super().train_steps(batches[:-1])
            with self._aside():
                return losses + super().train_steps(batches[-1:])
        self._join()
        return super().train_steps(batches)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        if self._trick == "other-stream":
            with self._aside():
                return super().logits(images)
        self._join()
        return super().logits(images)

    def synchronize(self) -> None:
        if self._side and not self._trick.startswith("nothing-waited"):
            torch.cuda.current_stream().synchronize()

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        self._join()
        super().load_weights(weights)

    def dump_weights(self) -> dict[str, np.ndarray]:
        self._join()
        return super().dump_weights()

    def gradients(self, batch: Any) -> dict[str, np.ndarray]:
        self._join()
        return super().gradients(batch)

    def activations(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        self._join()
        return super().activations(images)

    def to_numpy(self, value: Any) -> np.ndarray:
        self._join()
        return super().to_numpy(value)

    @contextlib.contextmanager
    def _aside(self) -> Any:
        """Queue what follows in the side stream, behind what this one has."""
        if not self._side:
            yield
            return
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            yield

    def _join(self) -> None:
        """Let this stream, and so whoever reads from it, wait for the other: the card does, not Python."""
        if self._side:
            torch.cuda.current_stream().wait_stream(self._side)
