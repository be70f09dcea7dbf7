"""The networks as a list of tinygrad's layers, images in N,C,H,W order."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad import Tensor, nn

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

Layer = Callable[[Tensor], Tensor]


class ConnectedConv2d(nn.Conv2d):
    """A convolution of which only some weights are connected."""

    def __init__(self, inputs: int, layer: Conv) -> None:
        super().__init__(inputs, layer.channels, layer.kernel, padding=layer.padding)
        self.mask = Tensor(connection_mask(layer, inputs)).realize()

    def __call__(self, x: Tensor) -> Tensor:
        return x.conv2d(self.weight * self.mask, self.bias, padding=self.padding)


class Subsampling:
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, channels: int, size: int) -> None:
        self.size = size
        self.weight, self.bias = Tensor.ones(channels).contiguous(), Tensor.zeros(channels).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        pooled = x.avg_pool2d((self.size, self.size))
        return pooled * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)


class Model:
    """The layers in order."""

    def __init__(self, network: Network) -> None:
        self.layers = [_layer(row) for row in network.summary()]
        self._weighted = {
            layer.name: made for layer, made in zip(network.layers, self.layers) if hasattr(made, "weight")
        }
        self.weights = {
            f"{name}.{part}": getattr(layer, part)
            for name, layer in self._weighted.items()
            for part in ("weight", "bias")
        }
        Tensor.realize(*self.weights.values())

    def __call__(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> logits (n, classes)."""
        return x.sequential(self.layers)


def _layer(row: LayerSummary) -> Layer:
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv2d(row.input_shape[0], row.layer)
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2d(row.input_shape[0], channels, kernel, padding=padding)
        case Relu():
            return Tensor.relu
        case Sigmoid():
            return Tensor.sigmoid
        case Tanh(amplitude=amplitude, slope=slope):
            return Tensor.tanh if amplitude == slope == 1 else lambda x: (x * slope).tanh() * amplitude
        case MaxPool(size=size):
            return lambda x: x.max_pool2d((size, size))
        case AveragePool(size=size):
            return lambda x: x.avg_pool2d((size, size))
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size)
        case Dropout(keep=keep):
            return lambda x: x.dropout(1 - keep)
        case Flatten():
            return lambda x: x.flatten(1)
        case Dense(units=units):
            return nn.Linear(row.input_shape[0], units)
    raise ValueError(f"The backend tinygrad has no layer for {row.layer}. Add it to _layer().")
