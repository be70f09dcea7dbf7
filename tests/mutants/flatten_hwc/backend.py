"""Flattens as a channels-last framework does when nobody permutes the dense layer's columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.numpy.backend import Backend as Right
from backends.numpy.model import FlattenLayer, Parameters
from harness.spec.network import Flatten


class ChannelsLast(FlattenLayer):
    """Height, width, channel into one axis, with its right derivative."""

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        return super().forward(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), parameters)

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        return super().backward(dy, parameters, gradients).transpose(0, 3, 1, 2)


class Backend(Right):
    """The mutant."""

    def __init__(self, *, network: Any, **options: Any) -> None:
        super().__init__(network=network, **options)
        self._model.layers = [
            ChannelsLast(layer) if isinstance(layer, Flatten) else right
            for layer, right in zip(network.layers, self._model.layers)
        ]
