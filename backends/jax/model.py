"""The networks as a Flax NNX module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from backends.jax import stencil
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


class Model(nnx.Module):
    """The layers as attributes with the names of the layer table, called in its order."""

    def __init__(self, network: Network, *, mode: str, dtype: jnp.dtype, param_dtype: jnp.dtype) -> None:
        self.order = tuple(layer.name for layer in network.layers)
        pool = reshaped_max_pool if mode in ("reshape-pool", "stencil") else max_pool
        convolve = stencil.conv_general_dilated if mode == "stencil" else jax.lax.conv_general_dilated
        for row in network.summary():
            setattr(self, row.layer.name, _module(row, pool, convolve, dtype=dtype, param_dtype=param_dtype))

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """(n, h, w, c) -> logits (n, classes); with a key, dropout drops."""
        return self.outputs(x, key)[self.order[-1]]

    def outputs(self, x: jax.Array, key: jax.Array | None = None) -> dict[str, jax.Array]:
        """The output of every layer, by its name."""
        found = {}
        for name in self.order:
            layer = getattr(self, name)
            options = {"deterministic": key is None, "rngs": key} if isinstance(layer, nnx.Dropout) else {}
            found[name] = x = layer(x, **options)
        return found


class ConnectedConv(nnx.Conv):
    """A convolution of which only some weights are connected. `nnx.Conv` has a mask, but as an array in the module's
    static part, which cannot be compared and so not be compiled."""

    def __init__(self, inputs: int, layer: Conv, **options: Any) -> None:
        super().__init__(inputs, layer.channels, (layer.kernel, layer.kernel), padding=layer.padding, **options)
        self.layer = layer

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.kernel[...].astype(self.dtype)
        kernel *= connection_mask(self.layer, kernel.shape[2]).transpose(2, 3, 1, 0).astype(kernel.dtype)
        padding = [(self.layer.padding, self.layer.padding)] * 2
        y = self.conv_general_dilated(x.astype(self.dtype), kernel, (1, 1), padding, dimension_numbers=stencil.LAYOUT)
        return y + self.bias[...].astype(self.dtype)


class Subsampling(nnx.Module):
    """Average pooling, times a weight and plus a bias for each channel."""

    def __init__(self, channels: int, size: int, *, dtype: jnp.dtype, param_dtype: jnp.dtype) -> None:
        self.size, self.dtype = size, dtype
        self.kernel = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = (parameter[...].astype(self.dtype) for parameter in (self.kernel, self.bias))
        return nnx.avg_pool(x, (self.size, self.size), strides=(self.size, self.size)) * kernel + bias


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
    row: LayerSummary,
    pool: Callable[[jax.Array, int], jax.Array],
    convolve: Callable[..., jax.Array],
    **dtypes: jnp.dtype,
) -> Callable[[jax.Array], jax.Array]:
    # NNX wants a key for its own initial values; `load_weights` replaces all of them.
    options = dtypes | {"rngs": nnx.Rngs(0)}
    match row.layer:
        case Conv(connections=connections) if connections:
            return ConnectedConv(row.input_shape[0], row.layer, conv_general_dilated=convolve, **options)
        case Conv(channels=channels, kernel=kernel, padding=padding):
            options |= {"padding": padding, "conv_general_dilated": convolve}
            return nnx.Conv(row.input_shape[0], channels, (kernel, kernel), **options)
        case Relu():
            return nnx.relu
        case Sigmoid():
            return nnx.sigmoid
        case Tanh(amplitude=amplitude, slope=slope):
            return nnx.tanh if amplitude == slope == 1 else lambda x: amplitude * nnx.tanh(slope * x)
        case MaxPool(size=size):
            return lambda x: pool(x, size)
        case AveragePool(size=size):
            return lambda x: nnx.avg_pool(x, (size, size), strides=(size, size))
        case Subsample(size=size):
            return Subsampling(row.input_shape[0], size, **dtypes)
        case Dropout(keep=keep):
            return nnx.Dropout(1 - keep)
        case Flatten():
            return lambda x: x.reshape(len(x), -1)
        case Dense(units=units):
            return nnx.Linear(row.input_shape[0], units, **options)
    raise ValueError(f"backends/jax has no module for {row.layer}. Add it to _module().")
