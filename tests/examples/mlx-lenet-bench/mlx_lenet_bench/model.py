"""The networks as `nn.Sequential`, images in N,H,W,C order."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
from mlx import nn

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


class ConnectedConv2d(nn.Conv2d):
    """A convolution of which only some weights are connected."""

    def __init__(self, inputs: int, layer: Conv) -> None:
        super().__init__(inputs, layer.channels, layer.kernel, padding=layer.padding)
        # Attributes with _ in front are no parameters.
        self._mask = mx.array(np.moveaxis(connection_mask(layer, inputs), 1, -1))

    def __call__(self, x: mx.array) -> mx.array:
        weight = self.weight * self._mask.astype(self.weight.dtype)
        return mx.conv2d(x, weight, self.stride, self.padding) + self.bias


class Subsampling(nn.Module):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.weight, self.bias = mx.ones(channels), mx.zeros(channels)
        self._pool = nn.AvgPool2d(size)

    def __call__(self, x: mx.array) -> mx.array:
        return self._pool(x) * self.weight + self.bias


class Lambda(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[mx.array], mx.array]) -> None:
        super().__init__()
        self._function = function

    def __call__(self, x: mx.array) -> mx.array:
        return self._function(x)


def build(network: Network) -> nn.Sequential:
    """The network, with initial values that `load_weights` replaces."""
    return nn.Sequential(*(_module(row) for row in network.summary()))


def _module(row: LayerSummary) -> nn.Module:
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv2d(row.input_shape[0], row.layer)
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2d(row.input_shape[0], channels, kernel, padding=padding)
        case Relu():
            return nn.ReLU()
        case Sigmoid():
            return nn.Sigmoid()
        case Tanh(amplitude=1.0, slope=1.0):
            return nn.Tanh()
        case Tanh(amplitude=amplitude, slope=slope):
            return Lambda(lambda x: amplitude * mx.tanh(slope * x))
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case AveragePool(size=size):
            return nn.AvgPool2d(size)
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size)
        case Dropout(keep=keep):
            return nn.Dropout(1 - keep)
        case Flatten():
            return Lambda(lambda x: x.reshape(len(x), -1))
        case Dense(units=units):
            return nn.Linear(row.input_shape[0], units)
    raise ValueError(f"The backend mlx has no module for {row.layer}. Add it to _module().")
