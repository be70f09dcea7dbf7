"""What Keras's backends share, whatever the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from harness.spec.axes import Arrays, Axes
from harness.spec.common import CommonBackend
from harness.spec.network import Network

from .model import build, make_optimizer


class KerasBackend(CommonBackend):
    """Model, loss and optimizer, in Keras's variables."""

    axes = Axes(images="nhwc", conv="hwio", dense="io")

    def __init__(self, *, network: Network, recipe: Any, feed: str, dtype: str) -> None:
        super().__init__(network=network, feed=feed, dtype=dtype)
        self.recipe = recipe
        self.model = build(network, dtype)
        self.mean_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)
        self.optimizer = make_optimizer(recipe)
        self.optimizer.build(self.model.trainable_variables)
        self._fresh = [keras.ops.convert_to_numpy(variable).copy() for variable in self.optimizer.variables]

    def load_weights(self, weights: Arrays) -> None:
        native = self.axes.to_native(self.network, weights)
        for variable, value in zip(self.model.trainable_variables, native.values(), strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def canonical(self, values: list[Any]) -> Arrays:
        """Of kernel, bias, kernel, bias, ..."""
        return self.to_canonical(dict(zip(self.network.parameter_shapes(), values, strict=True)))

    def outputs(self, images: Any) -> Iterator[Any]:
        for layer in self.model.layers:
            images = layer(images, training=False) if isinstance(layer, keras.layers.Dropout) else layer(images)
            yield images

    def decayed(self, gradients: list[Any], weights: list[Any]) -> list[Any]:
        """Gradients with coupled weight decay, which Keras has not."""
        decay = self.recipe.coupled_decay
        return [g + decay * w for g, w in zip(gradients, weights, strict=True)] if decay else gradients

    def described(self, **more: str) -> dict[str, str]:
        """What `describe` says, and what the engine adds."""
        return {
            "version": keras.__version__,
            "layout": "NHWC",
            "fast_math": "none",
            "optimizer": f"keras.optimizers, {self.recipe.optimizer}",
        } | more

    def host(self, value: Any) -> np.ndarray:
        return np.array(keras.ops.convert_to_numpy(value))
