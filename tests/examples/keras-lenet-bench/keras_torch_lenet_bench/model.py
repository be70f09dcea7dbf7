"""The networks as `keras.Sequential`, a layer for each row of the layer table, and the recipe's optimizer."""

from __future__ import annotations

from typing import Any

import keras

from harness.spec.connections import connection_mask
from harness.spec.network import (
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    LayerSummary,
    MaxPool,
    Network,
    Relu,
    Sigmoid,
    Subsample,
    Tanh,
)


class PaddedConv2D(keras.layers.Conv2D):
    """A convolution with any padding, of which only some weights may be connected."""

    def __init__(self, inputs: int, layer: Conv, **options: Any) -> None:
        super().__init__(layer.channels, layer.kernel, **options)
        self.margin = layer.padding
        self.mask = connection_mask(layer, inputs).transpose(2, 3, 1, 0) if layer.connections else None

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        count, height, width, channels = input_shape
        return super().compute_output_shape((count, height + 2 * self.margin, width + 2 * self.margin, channels))

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        margin = (self.margin, self.margin)
        if self.margin:
            inputs = keras.ops.pad(inputs, ((0, 0), margin, margin, (0, 0)))
        if self.mask is not None:
            kernel = kernel * keras.ops.cast(self.mask, kernel.dtype)
        return super().convolution_op(inputs, kernel)


class Subsampling(keras.layers.Layer):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        self.size = size

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.weight = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="weight")
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        return keras.ops.average_pool(inputs, self.size, self.size) * self.weight + self.bias


class ScaledTanh(keras.layers.Layer):
    """amplitude * tanh(slope * x)."""

    def __init__(self, amplitude: float, slope: float, **options: Any) -> None:
        super().__init__(**options)
        self.amplitude, self.slope = amplitude, slope

    def call(self, inputs: Any) -> Any:
        return keras.ops.tanh(inputs * self.slope) * self.amplitude


def build(network: Network, dtype: str) -> keras.Sequential:
    """The network, with initial values that `load_weights` replaces."""
    channels, height, width = network.input_shape
    first = keras.Input((height, width, channels), dtype=dtype)
    return keras.Sequential([first, *(_layer(row, name=row.layer.name, dtype=dtype) for row in network.summary())])


def make_optimizer(recipe: Any) -> keras.Optimizer:
    """Keras's own. Coupled weight decay is not here: Keras has none, so the step adds it to the gradients."""
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(
            recipe.learning_rate, beta_1=recipe.beta1, beta_2=recipe.beta2, epsilon=recipe.epsilon,
            weight_decay=recipe.decoupled_decay or None,
        )  # fmt: skip
    return keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)


def _layer(row: LayerSummary, **options: Any) -> keras.Layer:
    match row.layer:
        case Conv(channels=channels, kernel=kernel, padding=padding, connections=connections):
            if padding or connections:
                return PaddedConv2D(row.input_shape[0], row.layer, **options)
            return keras.layers.Conv2D(channels, kernel, **options)
        case Relu():
            return keras.layers.Activation("relu", **options)
        case Sigmoid():
            return keras.layers.Activation("sigmoid", **options)
        case Tanh(amplitude=1.0, slope=1.0):
            return keras.layers.Activation("tanh", **options)
        case Tanh(amplitude=amplitude, slope=slope):
            return ScaledTanh(amplitude, slope, **options)
        case MaxPool(size=size):
            return keras.layers.MaxPooling2D(size, **options)
        case AveragePool(size=size):
            return keras.layers.AveragePooling2D(size, **options)
        case Subsample(size=size):
            return Subsampling(size, **options)
        case Dropout(keep=keep):
            return keras.layers.Dropout(1 - keep, **options)
        case Flatten():
            return keras.layers.Flatten(**options)
        case Dense(units=units):
            return keras.layers.Dense(units, **options)
    raise ValueError(f"Keras's backends have no layer for {row.layer}. Add it to _layer().")
