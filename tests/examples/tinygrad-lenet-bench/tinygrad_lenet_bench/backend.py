"""The protocol in tinygrad. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
from tinygrad import Context, Device, Tensor, TinyJit
from tinygrad.helpers import NUM_CPU_THREADS

from harness.spec.axes import Arrays
from harness.spec.common import CommonBackend, Pair
from harness.spec.network import Network

from .model import Model
from .optimizer import forget, make_optimizer


class Backend(CommonBackend):
    """A network in tinygrad, a captured step for each batch size."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        super().__init__(network=network, feed=feed, dtype=dtype)
        if threads:
            NUM_CPU_THREADS.value = threads
        self._recipe = recipe
        self._model = Model(network)
        self._optimizer = make_optimizer(list(self._model.weights.values()), recipe)
        forget(self._optimizer, recipe)
        self._programs: dict[tuple[str, int], TinyJit] = {}

    def _program(self, function: Callable[..., Tensor], size: int) -> TinyJit:
        """A function for one batch size: TinyJit is for one shape."""
        return self._programs.setdefault((function.__name__, size), TinyJit(function))

    def native(self, value: np.ndarray) -> Tensor:
        return Tensor(value.copy()).realize()

    def host(self, value: Tensor) -> np.ndarray:
        return np.array(value.numpy())

    def load_weights(self, weights: Arrays) -> None:
        new = self.to_native(weights)
        Tensor.realize(*(self._model.weights[name].assign(value) for name, value in new.items()))
        forget(self._optimizer, self._recipe)

    def dump_weights(self) -> Arrays:
        return self.to_canonical(self._model.weights)

    def set_learning_rate(self, value: float) -> None:
        self._optimizer.lr.assign(Tensor([value])).realize()

    def gathered(self, index: np.ndarray) -> Pair:
        where = self.native(index.astype(np.int32))
        images, labels = self.dataset
        return images[where].realize(), labels[where].realize()

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        # The next replay writes its loss to the same place.
        return self._program(self._train, images.shape[0])(images, labels).clone().realize()

    def _train(self, images: Tensor, labels: Tensor) -> Tensor:
        with Context(TRAINING=1):
            self._optimizer.zero_grad()
            loss = self._mean_loss(images, labels)
            (loss * self._recipe.loss_factor(images.shape[0])).backward()
            return loss.realize(*self._optimizer.schedule_step())

    def _mean_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self._model(images).sparse_categorical_crossentropy(labels)

    def gradients(self, batch: Pair) -> Arrays:
        with Context(TRAINING=1):
            self._optimizer.zero_grad()
            self._mean_loss(*batch).backward()
        found = self.to_canonical({name: value.grad for name, value in self._model.weights.items()})
        self._optimizer.zero_grad()
        return found

    def loss(self, batch: Pair) -> Tensor:
        return self._mean_loss(*batch).realize()

    def logits(self, images: Tensor) -> Tensor:
        return self._program(self._predict, images.shape[0])(images).clone().realize()

    def _predict(self, images: Tensor) -> Tensor:
        return self._model(images).realize()

    def outputs(self, images: Tensor) -> Iterator[Tensor]:
        for layer in self._model.layers:
            images = layer(images).realize()
            yield images

    def synchronize(self) -> None:
        Device[Device.DEFAULT].synchronize()

    def describe(self) -> dict[str, str]:
        return {
            "version": version("tinygrad"),
            "threads": str(NUM_CPU_THREADS.value),
            "layout": "NCHW",
            "fast_math": "none",
            "optimizer": f"tinygrad.nn.optim, {self._recipe.optimizer}",
            "compiler": type(Device[Device.DEFAULT].renderer).__name__,
        }
