"""The networks as `torch.nn.Sequential`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

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


def build(network: Network, *, device: torch.device, dtype: torch.dtype) -> nn.Sequential:
    """Build the network; its modules carry the names of the layer table."""
    layers = OrderedDict((row.layer.name, _module(row)) for row in network.summary())
    return nn.Sequential(layers).to(device=device, dtype=dtype)


def mixed(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The forward pass in bfloat16, weights and logits in float32: PyTorch's automatic mixed precision."""

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            logits = model(images)
        return logits.float()

    return forward


class ConnectedConv2d(nn.Conv2d):
    """A convolution of which only some weights are connected."""

    def __init__(self, inputs: int, layer: Conv) -> None:
        super().__init__(inputs, layer.channels, layer.kernel, padding=layer.padding)
        self.register_buffer("mask", torch.from_numpy(connection_mask(layer, inputs)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Subsampling(nn.Module):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, self.size) * self.weight[:, None, None] + self.bias[:, None, None]


class ScaledTanh(nn.Module):
    """amplitude * tanh(slope * x)."""

    def __init__(self, amplitude: float, slope: float) -> None:
        super().__init__()
        self.amplitude, self.slope = amplitude, slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x * self.slope) * self.amplitude


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
            return ScaledTanh(amplitude, slope)
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case AveragePool(size=size):
            return nn.AvgPool2d(size)
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size)
        case Dropout(keep=keep):
            return nn.Dropout(1 - keep)
        case Flatten():
            return nn.Flatten()
        case Dense(units=units):
            return nn.Linear(row.input_shape[0], units)
    raise ValueError(f"backends/torch has no module for {row.layer}. Add it to _module().")
