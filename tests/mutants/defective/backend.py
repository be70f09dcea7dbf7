"""One mistake a mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.numpy.backend import Backend as Right
from backends.numpy.model import Parameters, cross_entropy
from backends.numpy.optimizer import Optimizer


class Backend(Right):
    """The mutant."""

    def __init__(self, *, network: Any, recipe: Any, mode: str, **options: Any) -> None:
        if mode == "nesterov-missing":
            recipe = replace(recipe, nesterov=False)
        if mode == "second-moment":
            recipe = replace(recipe, beta2=0.99)
        super().__init__(network=network, recipe=recipe, mode=mode, **options)
        self.mode = mode
        self._loaded = False
        self._first: np.ndarray | None = None
        self._largest = 0
        layers = self._model.layers
        if mode == "activation-after-pool":
            layers[1], layers[2] = layers[2], layers[1]
            layers[1].layer, layers[2].layer = (replace(layers[k].layer, name=network.layers[k].name) for k in (1, 2))
        if mode in AFTER:
            place, change = AFTER[mode]
            layers[place] = Changed(layers[place], change)
        if mode == "tf32-inside":
            layers[3] = Short(layers[3])

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        before = getattr(self, "_optimizer", None)
        if not (self.mode == "keeps-weights" and self._loaded):
            super().load_weights(weights)
        self._loaded = True
        if self.mode in OPTIMIZERS:
            self._optimizer = OPTIMIZERS[self.mode](self._recipe, self._parameters)
        if self.mode == "keeps-velocity" and before is not None:
            self._optimizer = before

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        if self._first is None:
            self._first = np.asarray(images)
        return super().put(images=images, labels=labels)

    def _batch(self, batch: Any) -> Any:
        images, labels = super()._batch(batch)
        if self.mode == "shifted-batch":
            images = np.roll(images, 1, axis=0)
        if self.mode == "labels-permuted":
            labels = np.where(labels == 3, 5, np.where(labels == 5, 3, labels))
        return images, labels

    def train_steps(self, batches: Any) -> list[np.ndarray]:
        losses = super().train_steps(batches)
        return losses[-1:] * len(losses) if self.mode == "losses-overwritten" else losses

    def _step(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        self._largest = max(self._largest, 64, len(labels))
        if self.mode == "small-batch-dropped" and len(labels) < self._largest:
            return self.loss((images, labels))
        return super()._step(images, labels)

    def _loss_and_gradients(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, Parameters]:
        if self.mode != "double-softmax":
            loss, gradients = super()._loss_and_gradients(images, labels)
            if self.mode == "gradient-off":
                gradients["conv1.weight"] *= np.asarray(1.001, loss.dtype)
            return loss, gradients
        once = softmax(self._model.forward(images, self._parameters))
        loss, d_once = cross_entropy(once, labels)
        d_logits = once * (d_once - (d_once * once).sum(axis=1, keepdims=True))
        return loss, self._model.backward(d_logits, self._parameters)

    def loss(self, batch: Any) -> np.ndarray:
        return self._loss_and_gradients(*batch)[0]

    def logits(self, images: np.ndarray) -> np.ndarray:
        if self.mode == "evaluates-training" and self._first is not None:
            images = self._first
        return super().logits(images)


def softmax(x: np.ndarray) -> np.ndarray:
    """(n, classes) -> (n, classes)."""
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


class Changed:
    """A layer whose outputs are changed; its derivatives are those of the right one."""

    def __init__(self, right: Any, change: Any) -> None:
        self.right, self.change, self.layer = right, change, right.layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        return self.change(self.right.forward(x, parameters))

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        return self.right.backward(dy, parameters, gradients)


def _without_last_channel(y: np.ndarray) -> np.ndarray:
    y = y.copy()
    y[:, -1] = 0
    return y


# Place of the layer in lenet5's table, and what happens to what it puts out.
AFTER = {
    "relu-on-logits": (-1, lambda y: np.maximum(y, 0)),
    "channel-short": (3, _without_last_channel),
    "float16-inside": (7, lambda y: y.astype(np.float16).astype(y.dtype)),
    "float32-inside": (7, lambda y: y.astype(np.float32).astype(y.dtype)),
}


class Short:
    """A convolution of numbers that are cut to 10 bits behind the point, as TF32 has them."""

    def __init__(self, right: Any) -> None:
        self.right, self.layer = right, right.layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        return self.right.forward(_cut(x), {name: _cut(value) for name, value in parameters.items()})

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        return self.right.backward(dy, parameters, gradients)


def _cut(x: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.trunc(mantissa * 2**11) / 2**11, exponent).astype(x.dtype)


class RateInside(Optimizer):
    """v <- m v + lr g; w <- w - v, whatever happens to lr."""

    def _direction(self, name: str, gradient: np.ndarray) -> np.ndarray:
        return super()._direction(name, self.learning_rate * gradient) / self.learning_rate


class EpsilonInside(Optimizer):
    """sqrt(s + epsilon) for sqrt(s) + epsilon."""

    def _adam(self, name: str, gradient: np.ndarray) -> np.ndarray:
        root = self._second[name]
        step = super()._adam(name, gradient)
        return step * (np.sqrt(root) + self._recipe.epsilon) / np.sqrt(root + self._recipe.epsilon)


class NoBiases(Optimizer):
    """Decays weights alone."""

    def update(self, parameters: Parameters, gradients: Parameters) -> None:
        decay = self._recipe.coupled_decay
        for name in gradients:
            if name.endswith(".bias"):
                gradients[name] = gradients[name] - decay * parameters[name]
        super().update(parameters, gradients)


class Dampened(Optimizer):
    """v <- m v + 0.9 g, but for the first step: PyTorch's dampening."""

    def _direction(self, name: str, gradient: np.ndarray) -> np.ndarray:
        return super()._direction(name, gradient if self._count == 1 else np.float32(0.9) * gradient)


class Accumulating(Optimizer):
    """Nobody sets the gradients to zero."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sums: Parameters = {}

    def update(self, parameters: Parameters, gradients: Parameters) -> None:
        self._sums = {name: gradient + self._sums.get(name, 0) for name, gradient in gradients.items()}
        super().update(parameters, self._sums)


OPTIMIZERS = {
    "rate-in-velocity": RateInside,
    "epsilon-inside": EpsilonInside,
    "biases-not-decayed": NoBiases,
    "dampened": Dampened,
    "gradients-kept": Accumulating,
}
