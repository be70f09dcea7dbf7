"""Canonical axes are MXNet's own; only the names differ: `conv1.weight` is the parameter `conv1_weight`."""

from __future__ import annotations

import mxnet as mx
import numpy as np


def load(parameters: mx.gluon.ParameterDict, weights: dict[str, np.ndarray]) -> None:
    """Copy canonical weights into the parameters."""
    for name, value in weights.items():
        parameter = parameters[name.replace(".", "_")]
        parameter.set_data(mx.nd.array(value, dtype=parameter.dtype))


def dump(parameters: mx.gluon.ParameterDict, names: list[str]) -> dict[str, np.ndarray]:
    """Copy the parameters out."""
    return {name: parameters[name.replace(".", "_")].data().asnumpy() for name in names}


def gradients(parameters: mx.gluon.ParameterDict, names: list[str], *, scale: float) -> dict[str, np.ndarray]:
    """Copy out the gradients that `backward` left, which are of the summed loss, times `scale`."""
    return {name: parameters[name.replace(".", "_")].grad().asnumpy() * scale for name in names}
