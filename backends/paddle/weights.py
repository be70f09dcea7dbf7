"""Canonical names are Paddle's own. Convolutions keep their axes; dense weights are (in, out) here."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn


def load(model: nn.Layer, weights: dict[str, np.ndarray]) -> None:
    """Copy canonical weights into the parameters of the same names."""
    parameters = dict(model.named_parameters())
    for name, value in weights.items():
        parameter = parameters[name]
        native = np.ascontiguousarray(_swap_dense(value))
        parameter.set_value(paddle.to_tensor(native, dtype=parameter.dtype, place=parameter.place))


def dump(model: nn.Layer) -> dict[str, np.ndarray]:
    """Copy the parameters out."""
    return {name: _canonical(value) for name, value in model.named_parameters()}


def gradients(model: nn.Layer) -> dict[str, np.ndarray]:
    """Copy the gradients that `backward` left in the parameters."""
    return {name: _canonical(value.grad) for name, value in model.named_parameters()}


def _canonical(value: paddle.Tensor) -> np.ndarray:
    return np.array(_swap_dense(value.numpy()), order="C")


def _swap_dense(value: np.ndarray) -> np.ndarray:
    # A dense weight is the only parameter with two axes.
    return value.T if value.ndim == 2 else value
