"""A backend around the right one of a framework, which changes what a mistake or a cheat changes and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]


class Wrapper:
    """The protocol, handed on to the right backend; attacks are classes beside it that override methods.

    Attributes:
        right: the backend that is wrapped.
        feed: `host` or `device`.
        threads: that were asked for.
        built: what the right backend was built with.
    """

    right: Any
    feed: str
    threads: int
    built: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name == "right":
            raise AttributeError(name)
        return getattr(self.right, name)

    def load_weights(self, weights: Weights) -> None:
        self.right.load_weights(weights)

    def set_learning_rate(self, value: float) -> None:
        self.right.set_learning_rate(value)

    def dump_weights(self) -> Weights:
        return self.right.dump_weights()

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        return self.right.put(images=images, labels=labels)

    def use_dataset(self, dataset: Any) -> None:
        self.right.use_dataset(dataset)

    def train_steps(self, batches: Any) -> Any:
        return self.right.train_steps(batches)

    def read_back(self, batch: Any) -> Any:
        return self.right.read_back(batch)

    def gradients(self, batch: Any) -> Weights:
        return self.right.gradients(batch)

    def loss(self, batch: Any) -> Any:
        return self.right.loss(batch)

    def logits(self, images: Any) -> Any:
        return self.right.logits(images)

    def activations(self, images: Any) -> Weights:
        return self.right.activations(images)

    def synchronize(self) -> None:
        self.right.synchronize()

    def to_numpy(self, value: Any) -> np.ndarray:
        """What an attack made itself is an array already."""
        return value if isinstance(value, np.ndarray) else self.right.to_numpy(value)

    # What attacks are made of.

    def begin(self) -> None:
        """What an attack does once the right backend is built."""

    def another(self, **changes: Any) -> Any:
        """A second right backend."""
        raise NotImplementedError

    def one_by_one(self, batches: Any) -> Iterator[Any]:
        """Blocks of one step each."""
        for number in range(len(batches)):
            yield batches[number : number + 1]

    def loss_of(self, batches: Any) -> np.ndarray:
        """Losses of these batches without training on them, (k,)."""
        native = [self.right.put(images=images, labels=labels) for images, labels in map(self.arrays_of, batches)]
        return np.array([float(np.ravel(self.right.to_numpy(self.right.loss(batch)))[0]) for batch in native])

    def arrays_of(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of a batch, also where indices were given."""
        if self.feed != "device":
            return batch
        images, labels = self.right.read_back(batch)
        return np.ascontiguousarray(images), np.ascontiguousarray(labels, np.int32)

    def train_one(self, batches: Any) -> float:
        """Take one step; its loss."""
        return float(np.ravel(self.right.to_numpy(self.right.train_steps(batches)))[0])


def make_class(right_class: Any, *, default_mode: str, attack_of: Any) -> Any:
    """The class `Backend` of a folder of attacks.

    Args:
        right_class: of the framework; it takes `hooks` beside what every backend takes.
        default_mode: of the right backend.
        attack_of: mode -> the attack: an object with `wrapper`, `recipe`, `network`, `dtype` and `hooks`.
    """

    class Backend(Wrapper):
        """The right backend with the attack that the mode names."""

        def __init__(self, *, network: Any, recipe: Any, mode: str, dtype: str, **options: Any) -> None:
            attack = attack_of(mode)
            if attack.wrapper is not None and not isinstance(self, attack.wrapper):
                self.__class__ = type("Backend", (attack.wrapper, Backend), {})
            self.feed, self.threads, self.dtype, self.recipe = options["feed"], options["threads"], dtype, recipe
            self.built = {
                "network": attack.network(network) if attack.network else network,
                "recipe": attack.recipe(recipe) if attack.recipe else recipe,
                "mode": default_mode, "dtype": attack.dtype or dtype, "hooks": attack.hooks, **options,
            }  # fmt: skip
            self.right = right_class(**self.built)
            self.begin()

        def another(self, **changes: Any) -> Any:
            """A second right backend."""
            return right_class(**(self.built | changes))

        @staticmethod
        def devices() -> list[str]:
            return right_class.devices()

        @staticmethod
        def try_device(device: str) -> None:
            right_class.try_device(device)

    return Backend


def contiguous(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arrays as backends are promised them."""
    return tuple(np.ascontiguousarray(array) for array in arrays)
