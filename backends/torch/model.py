"""The networks as `torch.nn.Sequential`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from harness.network import Conv, Dense, Flatten, LayerSummary, MaxPool, Network, Relu


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


def _module(row: LayerSummary) -> nn.Module:
    match row.layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2d(row.input_shape[0], channels, kernel, padding=padding)
        case Relu():
            return nn.ReLU()
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case Flatten():
            return nn.Flatten()
        case Dense(units=units):
            return nn.Linear(row.input_shape[0], units)
    raise ValueError(f"backends/torch has no module for {row.layer}. Add it to _module().")
