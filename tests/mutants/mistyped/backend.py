"""One mistake a mode."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.numpy.backend import Backend as Right


class Backend(Right):
    """The mutant."""

    def __init__(self, *, mode: str, **options: Any) -> None:
        if mode == "constructor":
            options["thread"] = options.pop("threads")
        super().__init__(mode=mode, **options)
        self.mode = mode

    def train_steps(self, batches: Any) -> Any:
        if self.mode == "step":
            return [self._stepp(*self._batch(batch)) for batch in batches]
        losses = super().train_steps(batches)
        return np.mean(losses) if self.mode == "losses" else losses

    def dump_weights(self) -> dict[str, np.ndarray]:
        weights = super().dump_weights()
        if self.mode == "names":
            weights["dense3.offset"] = weights.pop("dense3.bias")
        if self.mode == "shape":
            weights["dense1.weight"] = weights["dense1.weight"].T
        return weights
