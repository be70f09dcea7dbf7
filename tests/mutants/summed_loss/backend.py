"""Reports the mean loss and follows the gradient of the sum."""

from __future__ import annotations

import numpy as np

from backends.numpy.backend import Backend as Right


class Backend(Right):
    """The mutant."""

    def _loss_and_gradients(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        loss, gradients = super()._loss_and_gradients(images, labels)
        return loss, {name: value * np.asarray(len(labels), value.dtype) for name, value in gradients.items()}
