"""The networks as `keras.Sequential`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.spec.connections import connection_mask
from harness.spec.network import (
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LayerSummary,
    MaxPool,
    Network,
    Relu,
    Sigmoid,
    Subsample,
    Tanh,
)


def build(network: Network, *, dtype: str) -> keras.Sequential:
    """Build the network; its layers carry the names of the layer table.

    Args:
        dtype: name of a Keras dtype policy: `float32`, `float64`, `mixed_bfloat16`.
    """
    channels, height, width = network.input_shape
    model = keras.Sequential(
        [keras.Input((height, width, channels), dtype=keras.DTypePolicy(dtype).variable_dtype)], name=network.name
    )
    rows = list(network.summary())
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        layer = row.layer
        if isinstance(layer, Conv) and layer.padding:
            model.add(keras.layers.ZeroPadding2D(layer.padding, dtype=dtype, name=f"{layer.name}_padding"))
        activation = _activation(layer)
        if activation is None:
            model.add(_layer(row, activation=after and _activation(after.layer), dtype=dtype))
        elif not isinstance(model.layers[-1], _WITH_ACTIVATION):
            model.add(keras.layers.Activation(activation, name=layer.name, dtype=dtype))
    return model


def layer_outputs(model: keras.Sequential, network: Network, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Output of each row of the layer table, by its name, at test time; also where two rows are one Keras layer."""
    found, value = {}, images
    rows = iter(network.layers)
    for layer in model.layers:
        value = _without_activation(layer, value)
        if layer.name.endswith("_padding"):
            continue
        found[next(rows).name] = value
        if isinstance(layer, _WITH_ACTIVATION) and layer.activation is not keras.activations.linear:
            value = layer.activation(value)
            found[next(rows).name] = value
    return found


def _without_activation(layer: keras.Layer, value: tf.Tensor) -> tf.Tensor:
    if not isinstance(layer, _WITH_ACTIVATION):
        return layer(value, training=False)
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        return layer(value)
    finally:
        layer.activation = activation


class ConnectedConv2D(keras.layers.Conv2D):
    """A convolution of which only some weights are connected."""

    def __init__(self, inputs: int, layer: Conv, **options: Any) -> None:
        super().__init__(layer.channels, layer.kernel, **options)
        self.mask = connection_mask(layer, inputs).transpose(2, 3, 1, 0)

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel * keras.ops.cast(self.mask, kernel.dtype))


class Subsampling(keras.layers.Layer):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, size: int, **options: str) -> None:
        super().__init__(**options)
        self.size = size

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="weight")
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs):
        return keras.ops.average_pool(inputs, self.size, self.size) * self.weight + self.bias


def _scaled_tanh(amplitude: float, slope: float):
    def scaled(x):
        return keras.ops.tanh(x * np.asarray(slope, x.dtype.name)) * np.asarray(amplitude, x.dtype.name)

    return scaled


# An activation after one of these is an argument of it, as Keras's own guides write it: uncompiled, a layer of its own
# costs a Python call.
_WITH_ACTIVATION = (keras.layers.Conv2D, keras.layers.Dense)


def _activation(layer: Layer) -> str | Callable[[tf.Tensor], tf.Tensor] | None:
    match layer:
        case Relu():
            return "relu"
        case Sigmoid():
            return "sigmoid"
        case Tanh(amplitude=1.0, slope=1.0):
            return "tanh"
        case Tanh(amplitude=amplitude, slope=slope):
            return _scaled_tanh(amplitude, slope)
    return None


def _layer(row: LayerSummary, *, activation: str | Callable[..., tf.Tensor] | None, dtype: str) -> keras.Layer:
    options = {"name": row.layer.name, "dtype": dtype}
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv2D(row.input_shape[0], row.layer, activation=activation, **options)
        case Conv(channels=channels, kernel=kernel):
            return keras.layers.Conv2D(channels, kernel, activation=activation, **options)
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
            return keras.layers.Dense(units, activation=activation, **options)
    raise ValueError(f"backends/tensorflow has no layer for {row.layer}. Add it to _layer().")
