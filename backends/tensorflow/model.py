"""The networks as `keras.Sequential`."""

from __future__ import annotations

import keras
import numpy as np

from harness.connections import connection_mask
from harness.network import (
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


def build(network: Network, *, dtype: str) -> keras.Sequential:
    """Build the network; its layers carry the names of the layer table.

    Args:
        dtype: name of a Keras dtype policy: `float32`, `float64`, `mixed_bfloat16`.
    """
    channels, height, width = network.input_shape
    model = keras.Sequential(
        [keras.Input((height, width, channels), dtype=keras.DTypePolicy(dtype).variable_dtype)], name=network.name
    )
    for row in network.summary():
        layer = row.layer
        if isinstance(layer, Conv) and layer.padding:
            model.add(keras.layers.ZeroPadding2D(layer.padding, dtype=dtype, name=f"{layer.name}_padding"))
        model.add(_layer(row, dtype=dtype))
    return model


class ConnectedConv2D(keras.layers.Conv2D):
    """A convolution of which only some weights are connected."""

    def __init__(self, inputs: int, layer: Conv, **options: str) -> None:
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


def _layer(row: LayerSummary, *, dtype: str) -> keras.Layer:
    options = {"name": row.layer.name, "dtype": dtype}
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv2D(row.input_shape[0], row.layer, **options)
        case Conv(channels=channels, kernel=kernel):
            return keras.layers.Conv2D(channels, kernel, **options)
        case Relu():
            return keras.layers.ReLU(**options)
        case Sigmoid():
            return keras.layers.Activation("sigmoid", **options)
        case Tanh(amplitude=1.0, slope=1.0):
            return keras.layers.Activation("tanh", **options)
        case Tanh(amplitude=amplitude, slope=slope):
            return keras.layers.Activation(_scaled_tanh(amplitude, slope), **options)
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
    raise ValueError(f"backends/tensorflow has no layer for {row.layer}. Add it to _layer().")
