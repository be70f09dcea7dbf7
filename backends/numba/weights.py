"""Canonical weights to the one array that all parameters lie in, and back: output channels innermost."""

from __future__ import annotations

import math

import numpy as np

from backends.numba.vector import Target
from harness.spec.connections import connection_mask
from harness.spec.network import LayerSummary, Network

Arrays = dict[str, np.ndarray]


class Places:
    """Where each parameter is.

    A weight (out, in, ...) lies as (in, ..., out), filled up with zeros to whole vectors; what has one axis alone, too.

    Attributes:
        count: numbers of the array.
    """

    def __init__(self, network: Network, target: Target) -> None:
        self._target, self.count = target, 0
        self._parts: dict[str, tuple[int, tuple[int, ...]]] = {}
        for name, shape in network.parameter_shapes().items():
            self._parts[name] = self.count, shape
            self.count += math.prod(shape[1:]) * target.whole(shape[0])

    def byte_of(self, name: str) -> int:
        """The byte where a parameter begins."""
        return self._parts[name][0] * self._target.size

    def view(self, array: np.ndarray, name: str) -> np.ndarray:
        """A parameter within the array, its axes in the canonical order."""
        start, shape = self._parts[name]
        row = self._target.whole(shape[0])
        whole = array[start : start + math.prod(shape[1:]) * row].reshape(*shape[1:], row)
        return np.moveaxis(whole[..., : shape[0]], -1, 0)

    def load(self, array: np.ndarray, weights: Arrays) -> None:
        """Write canonical weights into the array."""
        for name in self._parts:
            self.view(array, name)[...] = weights[name]

    def dump(self, array: np.ndarray) -> Arrays:
        """Canonical copies of all parameters, or of what else lies like them."""
        return {name: np.array(self.view(array, name), order="C") for name in self._parts}

    def connect(self, array: np.ndarray, row: LayerSummary) -> None:
        """1 for every parameter of the array, and 0 for weights of a layer where nothing is connected."""
        array[:] = 1
        weight = self.view(array, f"{row.layer.name}.weight")
        weight[...] = connection_mask(row.layer, weight.shape[1])  # type: ignore[arg-type]
