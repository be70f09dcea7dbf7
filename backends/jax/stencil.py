"""Convolutions in the forms that XLA compiles well on a CPU, for training.

XLA's CPU client hands the gradient by a kernel to YNNPACK, and all other convolutions to Eigen, which takes longest for
images of one channel and for the gradient by an image (docs/frameworks.md has the profile). Here the first is a sum
of shifted images, which XLA fuses into one vectorized loop, and the second a matrix product and a sum of shifted parts.
Inference has XLA's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv_general_dilated(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Sequence[tuple[int, int]], **_: Any
) -> jax.Array:
    """What Flax calls in place of `jax.lax.conv_general_dilated`; strides are 1, and nothing is dilated or grouped."""
    if tuple(strides) != (1, 1):
        raise ValueError(f"backends/jax/stencil.py has convolutions with strides of 1, got {tuple(strides)}.")
    return _convolve(jnp.pad(x, ((0, 0), *padding, (0, 0))), kernel)


def _xla(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)


@jax.custom_vjp
def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """(n, h, w, c) and (kh, kw, c, out) -> (n, h - kh + 1, w - kw + 1, out)."""
    return _xla(x, kernel)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    y = _sum_of_shifted(x, kernel) if x.shape[-1] == 1 else _xla(x, kernel)
    return y, (x, kernel)


def _backward(saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    (d_kernel,) = jax.linear_transpose(lambda kernel: _xla(x, kernel), kernel)(dy)
    return _gradient_by_x(kernel, dy), d_kernel


_convolve.defvjp(_forward, _backward)


def _sum_of_shifted(x: jax.Array, kernel: jax.Array) -> jax.Array:
    rows, columns = kernel.shape[:2]
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    wide = _wide(x.dtype)
    parts = [
        x[:, i : i + height, j : j + width].astype(wide) * kernel[i, j].astype(wide)
        for i in range(rows)
        for j in range(columns)
    ]
    return sum(parts[1:], start=parts[0]).astype(x.dtype)


def _gradient_by_x(kernel: jax.Array, dy: jax.Array) -> jax.Array:
    rows, columns, channels, out = kernel.shape
    count, height, width, _ = dy.shape
    # What each pixel of dy adds to each pixel under the kernel; then these, put where they belong, rows first.
    parts = jnp.dot(dy.reshape(-1, out), kernel.reshape(-1, out).T, preferred_element_type=_wide(dy.dtype))
    parts = parts.reshape(count, height, width, rows, columns * channels)
    by_row = [jnp.pad(parts[:, :, :, i], ((0, 0), (i, rows - 1 - i), (0, 0), (0, 0))) for i in range(rows)]
    whole = sum(by_row[1:], start=by_row[0]).reshape(count, height + rows - 1, width, columns, channels)
    by_column = [jnp.pad(whole[:, :, :, j], ((0, 0), (0, 0), (j, columns - 1 - j), (0, 0))) for j in range(columns)]
    return sum(by_column[1:], start=by_column[0]).astype(dy.dtype)


def _wide(dtype: jnp.dtype) -> jnp.dtype:
    """Sums of bfloat16 numbers are float32, as in XLA's own convolutions."""
    return jnp.promote_types(dtype, jnp.float32)
