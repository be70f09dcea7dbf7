"""The networks as `paddle.nn.Sequential`."""

from __future__ import annotations

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import nn

from harness.network import Conv, Dense, Flatten, LayerSummary, MaxPool, Network, Relu


def build(network: Network, *, dtype: str) -> nn.Sequential:
    """Build the network; its sublayers carry the names of the layer table."""
    model = nn.Sequential(*((row.layer.name, _layer(row)) for row in network.summary()))
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

    if mode == "dynamic":
        return forward, mean_loss
    if mode == "cinn" and not paddle.is_compiled_with_cinn():
        raise ValueError(
            f"--mode cinn: PaddlePaddle {paddle.__version__} was built without CINN here. It has: dynamic, static."
        )
    options = {"full_graph": True, "backend": "CINN" if mode == "cinn" else None}
    return paddle.jit.to_static(forward, **options), paddle.jit.to_static(mean_loss, **options)


def _layer(row: LayerSummary) -> nn.Layer:
    match row.layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2D(row.input_shape[0], channels, kernel, padding=padding)
        case Relu():
            return nn.ReLU()
        case MaxPool(size=size):
            return nn.MaxPool2D(size)
        case Flatten():
            return nn.Flatten()
        case Dense(units=units):
            return nn.Linear(row.input_shape[0], units)
    raise ValueError(f"backends/paddle has no layer for {row.layer}. Add it to _layer().")
