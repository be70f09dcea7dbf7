"""What backends have in common: the two feeds, the way back, canonical axes, and the defaults of a CPU.

A backend may inherit from this, and need not. NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from harness.spec.axes import Arrays, Axes
from harness.spec.network import Network
from harness.spec.precision import array_dtype

Native = Any
Pair = tuple[Native, Native]


class CommonBackend:
    """The part of `harness.spec.protocol.Backend` that is the same in most frameworks, in terms of five methods.

    A subclass writes `native`, `host`, `step` and `outputs`, and of the protocol `load_weights`, `dump_weights`,
    `set_learning_rate`, `gradients`, `loss`, `logits` and `describe`. It overrides whatever its framework does
    otherwise: `synchronize`, where work is queued; `devices` and `memory`, where there is a GPU.

    Attributes:
        axes: the framework's order.
    """

    axes = Axes()

    def __init__(self, *, network: Network, feed: str, dtype: str) -> None:
        self.network, self.feed, self.array_dtype = network, feed, array_dtype(dtype)

    def native(self, value: np.ndarray) -> Native:
        """A NumPy array as one of the framework's, on the device: a copy, which training may change."""
        raise NotImplementedError

    def host(self, value: Native) -> np.ndarray:
        """The way back; it waits for the value."""
        raise NotImplementedError

    def step(self, images: Native, labels: Native) -> Native:
        """One step of the optimizer; the loss before it."""
        raise NotImplementedError

    def outputs(self, images: Native) -> Iterable[Native]:
        """The output of every layer in inference mode, in the order of the layer table."""
        raise NotImplementedError

    def to_native(self, weights: Arrays) -> dict[str, Native]:
        """Canonical weights as the framework's arrays, by the same names."""
        moved = self.axes.to_native(self.network, weights)
        return {name: self.native(value.astype(self.array_dtype)) for name, value in moved.items()}

    def to_canonical(self, values: dict[str, Native]) -> Arrays:
        """The way back, of weights or gradients."""
        return self.axes.to_canonical(self.network, {name: self.host(value) for name, value in values.items()})

    @staticmethod
    def devices() -> list[str]:
        """The CPU alone."""
        return ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        """There is the CPU alone."""

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        """Both on the device, images in the framework's order."""
        return self.native(self.axes.images_in(images)), self.native(labels)

    def use_dataset(self, dataset: Pair) -> None:
        """Keep it for `gathered`."""
        self.dataset = dataset

    def gathered(self, index: np.ndarray) -> Pair:
        """One batch of the resident data set."""
        images, labels = self.dataset
        return images[index], labels[index]

    def pair(self, batch: Any) -> Pair:
        """One batch of `train_steps`, by either feed."""
        return self.gathered(batch) if self.feed == "device" else self.put(images=batch[0], labels=batch[1])

    def train_steps(self, batches: Sequence[Pair] | np.ndarray) -> Native:
        """One step after another."""
        return [self.step(*self.pair(batch)) for batch in batches]

    def read_back(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """By the way that `train_steps` takes."""
        images, labels = self.pair(batch)
        return self.axes.images_out(self.host(images)), self.host(labels)

    def activations(self, images: Native) -> Arrays:
        """Of `outputs`, canonical."""
        rows = list(self.network.summary())
        return {
            row.layer.name: self.axes.output(self.host(value), row.input_shape)
            for row, value in zip(rows, self.outputs(images), strict=True)
        }

    def synchronize(self) -> None:
        """Calls return when they are done."""

    def to_numpy(self, value: Any) -> np.ndarray:
        """An array, or a list of scalars."""
        return np.stack([self.host(each) for each in value]) if isinstance(value, list) else self.host(value)

    def memory(self) -> tuple[int | None, str]:
        """A CPU has no memory of its own."""
        return None, "cpu: see peak_rss_bytes"
