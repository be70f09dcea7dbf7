"""The networks as `paddle.nn.Sequential`."""

from __future__ import annotations

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import nn

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


def build(network: Network, *, dtype: str, apart: bool) -> nn.Sequential:
    """Build the network; its sublayers carry the names of the layer table.

    Args:
        apart: whether convolutions add their biases in an addition of their own.
    """
    model = nn.Sequential(*((row.layer.name, _layer(row, apart=apart)) for row in network.summary()))
    return model.to(dtype=dtype)


def make_functions(model: nn.Layer, *, mode: str) -> tuple[Callable, Callable]:
    """The forward pass, and the mean loss of (images, labels), in a mode.

    Raises:
        ValueError: `cinn` where Paddle was built without it.
    """

    def forward(images):
        return model(images)

    def mean_loss(images, labels):
        return F.cross_entropy(model(images), labels)

    if mode in ("dynamic", "apart"):
        return forward, mean_loss
    if mode == "cinn" and not paddle.is_compiled_with_cinn():
        raise ValueError(
            f"--mode cinn: PaddlePaddle {paddle.__version__} was built without CINN here. It has: dynamic, apart, "
            "static."
        )
    options = {"full_graph": True, "backend": "CINN" if mode == "cinn" else None}
    return paddle.jit.to_static(forward, **options), paddle.jit.to_static(mean_loss, **options)


class Convolution(nn.Conv2D):
    """A convolution of which only some weights are connected, or whose bias is added behind it, as (channels, 1, 1).

    Paddle's own adds it as (1, channels, 1, 1). Broadcasting along a first axis of 1 is slow on a CPU
    (docs/frameworks.md).
    """

    def __init__(self, inputs: int, layer: Conv, *, apart: bool) -> None:
        super().__init__(inputs, layer.channels, layer.kernel)
        self.padding, self.apart, self.connected = layer.padding, apart, bool(layer.connections)
        if self.connected:
            self.register_buffer("mask", paddle.to_tensor(connection_mask(layer, inputs)))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        weight = self.weight * self.mask if self.connected else self.weight
        if self.apart:
            return F.conv2d(x, weight, padding=self.padding) + self.bias.reshape([-1, 1, 1])
        return F.conv2d(x, weight, self.bias, padding=self.padding)


class Subsampling(nn.Layer):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.weight = self.create_parameter([channels])
        self.bias = self.create_parameter([channels], is_bias=True)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        means = F.avg_pool2d(x, self.size)
        return means * self.weight.reshape([1, -1, 1, 1]) + self.bias.reshape([1, -1, 1, 1])


class ScaledTanh(nn.Layer):
    """amplitude * tanh(slope * x)."""

    def __init__(self, amplitude: float, slope: float) -> None:
        super().__init__()
        self.amplitude, self.slope = amplitude, slope

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return F.tanh(x * self.slope) * self.amplitude


def _layer(row: LayerSummary, *, apart: bool) -> nn.Layer:
    match row.layer:
        case Conv(connections=connections) if connections or apart:
            return Convolution(row.input_shape[0], row.layer, apart=apart)
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2D(row.input_shape[0], channels, kernel, padding=padding)
        case Relu():
            return nn.ReLU()
        case Sigmoid():
            return nn.Sigmoid()
        case Tanh(amplitude=1.0, slope=1.0):
            return nn.Tanh()
        case Tanh(amplitude=amplitude, slope=slope):
            return ScaledTanh(amplitude, slope)
        case MaxPool(size=size):
            return nn.MaxPool2D(size)
        case AveragePool(size=size):
            return nn.AvgPool2D(size)
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size)
        case Dropout(keep=keep):
            return nn.Dropout(1 - keep)
        case Flatten():
            return nn.Flatten()
        case Dense(units=units):
            return nn.Linear(row.input_shape[0], units)
    raise ValueError(f"backends/paddle has no layer for {row.layer}. Add it to _layer().")
