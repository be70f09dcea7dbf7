"""NumPy with hooks in its arithmetic; derivatives of what is changed are taken by differences, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.attack_kit.hooks import Hooks
from backends.numpy import weights as table
from backends.numpy.backend import Backend as Right
from harness.spec.precision import rounded

STEP = 1e-6


class OPS:
    """`backends.attack_kit.hooks.Ops`."""

    exp, log, clip = staticmethod(np.exp), staticmethod(np.log), staticmethod(np.clip)

    @staticmethod
    def log_softmax(x):
        shifted = x - x.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    @staticmethod
    def pick(x, labels):
        return x[np.arange(len(labels)), labels]

    @staticmethod
    def mean_last(x):
        return x.mean(axis=-1)

    @staticmethod
    def through(x, dtype):
        if dtype == "bfloat16":
            return rounded(x.astype(np.float32), dtype).astype(x.dtype)
        return x.astype(dtype).astype(x.dtype)

    @staticmethod
    def above(x, limit):
        return (x > limit).astype(x.dtype)

    @staticmethod
    def stop(x):
        return x


def cross_entropy(ops: Any, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The right losses, (n,)."""
    return -ops.pick(ops.log_softmax(logits), labels)


class Hooked(Right):
    """The right backend with hooks."""

    def __init__(self, *, hooks: Hooks, **options: Any) -> None:
        super().__init__(**options)
        self._hooks = hooks

    def _losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        changed = self._hooks.logits(OPS, logits) if self._hooks.logits else logits
        return (self._hooks.losses or cross_entropy)(OPS, changed, labels)

    def _loss_and_gradients(self, images: np.ndarray, labels: np.ndarray) -> Any:
        if not (self._hooks.logits or self._hooks.losses):
            loss, gradients = super()._loss_and_gradients(images, labels)
            return loss, self._clipped(gradients)
        logits = self._model.forward(images, self._parameters, training=True).astype(np.float64)
        slopes = np.empty_like(logits)
        for place in range(logits.shape[1]):
            move = np.zeros(logits.shape[1])
            move[place] = STEP
            rise = self._losses(logits + move, labels) - self._losses(logits - move, labels)
            slopes[:, place] = rise / (2 * STEP) / len(labels)
        loss = self._losses(logits, labels).mean().astype(self._dtype)
        return loss, self._model.backward(slopes.astype(self._dtype), self._parameters)

    def _clipped(self, gradients: Any) -> Any:
        if self._hooks.clip == "value":
            return {name: value.clip(-1, 1) for name, value in gradients.items()}
        if self._hooks.clip == "norm":
            norm = np.sqrt(sum((value**2).sum() for value in gradients.values()))
            return {name: value * min(1, 1 / norm) for name, value in gradients.items()} if norm > 1 else gradients
        return gradients

    def loss(self, batch: Any) -> np.ndarray:
        if not (self._hooks.logits or self._hooks.losses):
            return super().loss(batch)
        logits = self._model.forward(batch[0], self._parameters, training=True)
        return np.asarray(self._losses(logits.astype(np.float64), batch[1]).mean())

    def logits(self, images: np.ndarray) -> np.ndarray:
        logits = super().logits(images)
        return self._hooks.logits(OPS, logits) if self._hooks.logits else logits

    def set_parameters(self, weights: Any) -> None:
        """Other weights; the optimizer stays as it is."""
        self._parameters = table.to_native(weights, self._dtype)

    def scale_velocity(self, factor: float) -> None:
        """Multiply what momentum remembers."""
        for velocity in self._optimizer._first.values():
            velocity *= factor
