"""The networks as `eqx.nn.Sequential`, of one image (c, h, w): batches go through `jax.vmap`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp

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


class ConnectedConv(eqx.nn.Conv2d):
    """A convolution of which only some weights are connected."""

    layer: Conv = eqx.field(static=True)

    def __init__(self, inputs: int, layer: Conv, *, dtype: jnp.dtype, key: jax.Array) -> None:
        super().__init__(inputs, layer.channels, layer.kernel, padding=layer.padding, dtype=dtype, key=key)
        self.layer = layer

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        mask = connection_mask(self.layer, self.in_channels).astype(self.weight.dtype)
        padding = [(self.layer.padding, self.layer.padding)] * 2
        y = jax.lax.conv_general_dilated(x[None], self.weight * mask, (1, 1), padding)
        return y[0] + self.bias


class Subsampling(eqx.Module):
    """Average pooling, times a weight and plus a bias for each channel."""

    weight: jax.Array
    bias: jax.Array
    pool: eqx.nn.AvgPool2d

    def __init__(self, channels: int, size: int, dtype: jnp.dtype) -> None:
        self.weight, self.bias = jnp.ones(channels, dtype), jnp.zeros(channels, dtype)
        self.pool = eqx.nn.AvgPool2d(size, stride=size)

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        return self.pool(x) * self.weight[:, None, None] + self.bias[:, None, None]


def build(network: Network, dtype: jnp.dtype) -> eqx.nn.Sequential:
    """The network, with initial values that `load_weights` replaces."""
    key = jax.random.key(0)
    return eqx.nn.Sequential([_module(row, dtype=dtype, key=key) for row in network.summary()])


def weighted(model: eqx.nn.Sequential) -> Iterator[eqx.Module]:
    """The layers that have a weight and a bias, in order."""
    return (layer for layer in model.layers if hasattr(layer, "weight"))


def leaves(model: eqx.nn.Sequential) -> list[jax.Array]:
    """Weight, bias, weight, bias, ... in order."""
    return [leaf for layer in weighted(model) for leaf in (layer.weight, layer.bias)]


def _module(row: LayerSummary, *, dtype: jnp.dtype, key: jax.Array) -> Callable[..., jax.Array]:
    options = {"dtype": dtype, "key": key}
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv(row.input_shape[0], row.layer, **options)
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return eqx.nn.Conv2d(row.input_shape[0], channels, kernel, padding=padding, **options)
        case Relu():
            return eqx.nn.Lambda(jax.nn.relu)
        case Sigmoid():
            return eqx.nn.Lambda(jax.nn.sigmoid)
        case Tanh(amplitude=amplitude, slope=slope):
            return eqx.nn.Lambda(jnp.tanh if amplitude == slope == 1 else lambda x: amplitude * jnp.tanh(slope * x))
        case MaxPool(size=size):
            return eqx.nn.MaxPool2d(size, stride=size)
        case AveragePool(size=size):
            return eqx.nn.AvgPool2d(size, stride=size)
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size, dtype)
        case Dropout(keep=keep):
            return eqx.nn.Dropout(1 - keep)
        case Flatten():
            return eqx.nn.Lambda(jnp.ravel)
        case Dense(units=units):
            return eqx.nn.Linear(row.input_shape[0], units, **options)
    raise ValueError(f"The backend equinox has no module for {row.layer}. Add it to _module().")
