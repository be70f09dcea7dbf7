"""The networks as a Flax NNX module."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from harness.network import Conv, Dense, Flatten, LayerSummary, MaxPool, Network, Relu


class Model(nnx.Module):
    """The layers as attributes with the names of the layer table, called in its order."""

    def __init__(self, network: Network, *, dtype: jnp.dtype, param_dtype: jnp.dtype) -> None:
        self.order = tuple(layer.name for layer in network.layers)
        for row in network.summary():
            setattr(self, row.layer.name, _module(row, dtype=dtype, param_dtype=param_dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) -> logits (n, classes)."""
        for name in self.order:
            x = getattr(self, name)(x)
        return x


def _module(row: LayerSummary, **dtypes: jnp.dtype) -> Callable[[jax.Array], jax.Array]:
    # NNX wants a key for its own initial values; `load_weights` replaces all of them.
    options = dtypes | {"rngs": nnx.Rngs(0)}
    match row.layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nnx.Conv(row.input_shape[0], channels, (kernel, kernel), padding=padding, **options)
        case Relu():
            return nnx.relu
        case MaxPool(size=size):
            return lambda x: nnx.max_pool(x, (size, size), strides=(size, size))
        case Flatten():
            return lambda x: x.reshape(len(x), -1)
        case Dense(units=units):
            return nnx.Linear(row.input_shape[0], units, **options)
    raise ValueError(f"backends/jax has no module for {row.layer}. Add it to _module().")
