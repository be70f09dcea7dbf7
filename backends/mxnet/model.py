"""The networks as `gluon.nn.HybridSequential`."""

from __future__ import annotations

from mxnet.gluon import nn

from harness.network import Conv, Dense, Flatten, LayerSummary, MaxPool, Network, Relu


def build(network: Network, *, dtype: str) -> nn.HybridSequential:
    """Build the network; its blocks carry the names of the layer table."""
    model = nn.HybridSequential(prefix="")
    for row in network.summary():
        model.add(_block(row))
    model.cast(dtype)
    return model


def _block(row: LayerSummary) -> nn.HybridBlock:
    # The inputs are given, so that nothing waits for a first batch to infer its shape.
    prefix = f"{row.layer.name}_"
    match row.layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nn.Conv2D(channels, kernel, padding=padding, in_channels=row.input_shape[0], prefix=prefix)
        case Relu():
            return nn.Activation("relu", prefix=prefix)
        case MaxPool(size=size):
            return nn.MaxPool2D(size, prefix=prefix)
        case Flatten():
            return nn.Flatten(prefix=prefix)
        case Dense(units=units):
            return nn.Dense(units, in_units=row.input_shape[0], flatten=False, prefix=prefix)
    raise ValueError(f"backends/mxnet has no block for {row.layer}. Add it to _block().")
