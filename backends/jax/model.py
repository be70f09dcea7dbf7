"""The networks as a Flax NNX module."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from harness.network import Conv, Dense, Flatten, LayerSummary, MaxPool, Network, Relu


class Model(nnx.Module):
    """The layers as attributes with the names of the layer table, called in its order."""

    def __init__(self, network: Network, *, reshape_pool: bool, dtype: jnp.dtype, param_dtype: jnp.dtype) -> None:
        self.order = tuple(layer.name for layer in network.layers)
        pool = reshaped_max_pool if reshape_pool else max_pool
        for row in network.summary():
            setattr(self, row.layer.name, _module(row, pool, dtype=dtype, param_dtype=param_dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) -> logits (n, classes)."""
        for name in self.order:
            x = getattr(self, name)(x)
        return x


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """(n, h, w, c) -> (n, h // size, w // size, c): the largest of each window, as Flax has it."""
    return nnx.max_pool(x, (size, size), strides=(size, size))


def reshaped_max_pool(x: jax.Array, size: int) -> jax.Array:
    """The same by windows as axes of their own: XLA's CPU backend has fast code for this gradient, which Flax's is
    not: a scatter, element by element. Where several elements are the largest, the gradient is shared among them."""
    count, height, width, channels = x.shape
    rows, columns = height // size, width // size
    x = x[:, : rows * size, : columns * size]
    return x.reshape(count, rows, size, columns, size, channels).max((2, 4))


def _module(
    row: LayerSummary, pool: Callable[[jax.Array, int], jax.Array], **dtypes: jnp.dtype
) -> Callable[[jax.Array], jax.Array]:
    # NNX wants a key for its own initial values; `load_weights` replaces all of them.
    options = dtypes | {"rngs": nnx.Rngs(0)}
    match row.layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            return nnx.Conv(row.input_shape[0], channels, (kernel, kernel), padding=padding, **options)
        case Relu():
            return nnx.relu
        case MaxPool(size=size):
            return lambda x: pool(x, size)
        case Flatten():
            return lambda x: x.reshape(len(x), -1)
        case Dense(units=units):
            return nnx.Linear(row.input_shape[0], units, **options)
    raise ValueError(f"backends/jax has no module for {row.layer}. Add it to _module().")
