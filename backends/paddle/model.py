"""The networks as `paddle.nn.Sequential`."""

from __future__ import annotations

from paddle import nn

from harness.network import Conv, Dense, Flatten, LayerSummary, MaxPool, Network, Relu


def build(network: Network, *, dtype: str) -> nn.Sequential:
    """Build the network; its sublayers carry the names of the layer table."""
    model = nn.Sequential(*((row.layer.name, _layer(row)) for row in network.summary()))
    return model.to(dtype=dtype)


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
