"""Canonical axes to a framework's and back, each named by its letter. NumPy only; backends import it.

Canonical are images `nchw`, convolutions `oihw` (out, in, height, width) and dense weights `oi`, with the inputs behind
Flatten in C,H,W order. A framework that flattens images in another order has the columns of the first dense layer in
that order, too: they move with the images' letters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.spec.network import Network, Weighted

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Axes:
    """The order of a framework's axes.

    Attributes:
        images, conv, dense: the canonical letters in the framework's order, `nhwc`, `hwio` and `io` for instance.

    Raises:
        ValueError: letters are missing, or others are there.
    """

    images: str = "nchw"
    conv: str = "oihw"
    dense: str = "oi"

    def __post_init__(self) -> None:
        for name, letters in (("images", "nchw"), ("conv", "oihw"), ("dense", "oi")):
            if sorted(getattr(self, name)) != sorted(letters):
                raise ValueError(
                    f"The axes of {name} are the letters {letters} in any order, got {getattr(self, name)!r}."
                )
        if self.images[0] != "n":
            raise ValueError(f"The axis n of images comes first, got {self.images!r}.")

    def to_native(self, network: Network, weights: Arrays) -> Arrays:
        """Canonical weights by their names -> the framework's order, C-contiguous, by the same names."""
        moved = dict(weights)
        for layer in network.weighted():
            name = f"{layer.name}.weight"
            moved[name] = self._weight_in(layer, weights[name])
        return {name: np.ascontiguousarray(value) for name, value in moved.items()}

    def to_canonical(self, network: Network, arrays: Arrays) -> Arrays:
        """The way back, bit by bit, in the order of the layer table; gradients go the same way."""
        found = {}
        for layer in network.weighted():
            found[f"{layer.name}.weight"] = self._weight_out(layer, arrays[f"{layer.name}.weight"])
            found[f"{layer.name}.bias"] = arrays[f"{layer.name}.bias"]
        return {name: np.ascontiguousarray(value) for name, value in found.items()}

    def images_in(self, images: np.ndarray) -> np.ndarray:
        """(n, c, h, w) -> the framework's order."""
        return np.ascontiguousarray(_moved(images, "nchw", self.images))

    def images_out(self, images: np.ndarray) -> np.ndarray:
        """The way back."""
        return np.ascontiguousarray(_moved(images, self.images, "nchw"))

    def output(self, values: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
        """A layer's output as `activations` returns it.

        Args:
            values: (n, units), or images in the framework's order.
            input_shape: of the layer, canonical; three numbers in front of two axes are what Flatten has.
        """
        if values.ndim == 4:
            return self.images_out(values)
        if len(input_shape) == 3:
            sizes = dict(zip("chw", input_shape))
            images = values.reshape(len(values), *(sizes[letter] for letter in self.images[1:]))
            return self.images_out(images).reshape(len(values), -1)
        return values

    def _weight_in(self, layer: Weighted, value: np.ndarray) -> np.ndarray:
        if layer.kind == "conv":
            return _moved(value, "oihw", self.conv)
        if layer.kind == "scale":
            return value
        if layer.flattened:
            parts = value.reshape(len(value), *layer.flattened)
            value = _moved(parts, "ochw", "o" + self.images[1:]).reshape(len(value), -1)
        return _moved(value, "oi", self.dense)

    def _weight_out(self, layer: Weighted, value: np.ndarray) -> np.ndarray:
        if layer.kind == "conv":
            return _moved(value, self.conv, "oihw")
        if layer.kind == "scale":
            return value
        value = _moved(value, self.dense, "oi")
        if layer.flattened:
            sizes = dict(zip("chw", layer.flattened))
            parts = value.reshape(len(value), *(sizes[letter] for letter in self.images[1:]))
            value = _moved(parts, "o" + self.images[1:], "ochw").reshape(len(value), -1)
        return value


def _moved(value: np.ndarray, have: str, want: str) -> np.ndarray:
    return value.transpose([have.index(letter) for letter in want])
