"""Takes steps a hundred times too short."""

from __future__ import annotations

import numpy as np

from backends.numpy.backend import Backend as Right


class Backend(Right):
    """The mutant."""

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        super().load_weights(weights)
        self._optimizer.learning_rate /= 100

    def set_learning_rate(self, value: float) -> None:
        super().set_learning_rate(value / 100)
