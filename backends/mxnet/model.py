"""The networks as `gluon.nn.HybridSequential`."""

from __future__ import annotations

from mxnet.gluon import nn

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


def build(network: Network, *, dtype: str) -> nn.HybridSequential:
    """Build the network; its blocks carry the names of the layer table."""
    model = nn.HybridSequential(prefix="")
    for row in network.summary():
        model.add(_block(row))
    model.cast(dtype)
    return model


class ConnectedConv2D(nn.Conv2D):
    """A convolution of which only some weights are connected."""

    def __init__(self, inputs: int, layer: Conv, prefix: str) -> None:
        super().__init__(layer.channels, layer.kernel, padding=layer.padding, in_channels=inputs, prefix=prefix)
        self.mask = self.params.get_constant("mask", connection_mask(layer, inputs))

    def hybrid_forward(self, F, x, weight, bias, mask):
        return super().hybrid_forward(F, x, F.broadcast_mul(weight, mask), bias)


class Subsampling(nn.HybridBlock):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, channels: int, size: int, prefix: str) -> None:
        super().__init__(prefix=prefix)
        self._size = (size, size)
        self.weight = self.params.get("weight", shape=(channels,), init="ones")
        self.bias = self.params.get("bias", shape=(channels,), init="zeros")

    def hybrid_forward(self, F, x, weight, bias):
        means = F.Pooling(x, kernel=self._size, stride=self._size, pool_type="avg")
        scaled = F.broadcast_mul(means, F.reshape(weight, (1, -1, 1, 1)))
        return F.broadcast_add(scaled, F.reshape(bias, (1, -1, 1, 1)))


class ScaledTanh(nn.HybridBlock):
    """amplitude * tanh(slope * x)."""

    def __init__(self, amplitude: float, slope: float, prefix: str) -> None:
        super().__init__(prefix=prefix)
        self._amplitude, self._slope = amplitude, slope

    def hybrid_forward(self, F, x):
        return F.tanh(x * self._slope) * self._amplitude


def _block(row: LayerSummary) -> nn.HybridBlock:
    # The inputs are given, so that nothing waits for a first batch to infer its shape.
    prefix = f"{row.layer.name}_"
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv2D(row.input_shape[0], row.layer, prefix)
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2D(channels, kernel, padding=padding, in_channels=row.input_shape[0], prefix=prefix)
        case Relu():
            return nn.Activation("relu", prefix=prefix)
        case Sigmoid():
            return nn.Activation("sigmoid", prefix=prefix)
        case Tanh(amplitude=1.0, slope=1.0):
            return nn.Activation("tanh", prefix=prefix)
        case Tanh(amplitude=amplitude, slope=slope):
            return ScaledTanh(amplitude, slope, prefix)
        case MaxPool(size=size):
            return nn.MaxPool2D(size, prefix=prefix)
        case AveragePool(size=size):
            return nn.AvgPool2D(size, prefix=prefix)
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size, prefix)
        case Dropout(keep=keep):
            return nn.Dropout(1 - keep, prefix=prefix)
        case Flatten():
            return nn.Flatten(prefix=prefix)
        case Dense(units=units):
            return nn.Dense(units, in_units=row.input_shape[0], flatten=False, prefix=prefix)
    raise ValueError(f"backends/mxnet has no block for {row.layer}. Add it to _block().")
