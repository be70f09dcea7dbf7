"""The protocol in MLX. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten
from threadpoolctl import threadpool_info, threadpool_limits

from harness.spec.axes import Arrays, Axes
from harness.spec.common import CommonBackend, Pair
from harness.spec.network import Network

from .model import build
from .optimizer import make_optimizer


class Backend(CommonBackend):
    """A network in MLX, its step compiled or not."""

    axes = Axes(images="nhwc", conv="ohwi", dense="oi")

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        super().__init__(network=network, feed=feed, dtype=dtype)
        if threads:
            threadpool_limits(threads)
        mx.set_default_device(mx.cpu)
        self._recipe, self._mode = recipe, mode
        self._model = build(network)
        # `layers.0.weight` and so on, by canonical names.
        places = {row.layer.name: number for number, row in enumerate(network.summary())}
        self._names = {
            name: "layers.{}.{}".format(places[name.partition(".")[0]], name.partition(".")[2])
            for name in network.parameter_shapes()
        }

    def native(self, value: np.ndarray) -> mx.array:
        # Without the type, float64 would become float32.
        return mx.array(value, dtype=getattr(mx, value.dtype.name))

    def host(self, value: mx.array) -> np.ndarray:
        return np.array(value)

    def load_weights(self, weights: Arrays) -> None:
        native = self.to_native(weights)
        self._model.update(tree_unflatten([(self._names[name], value) for name, value in native.items()]))
        self._optimizer = make_optimizer(self._recipe)
        self._optimizer.init(self._model.trainable_parameters())
        self._state = [self._model.state, self._optimizer.state, mx.random.state]
        mx.eval(self._state)
        self._step = self._made_step()

    def _made_step(self) -> Any:
        def objective(images: mx.array, labels: mx.array) -> tuple[mx.array, mx.array]:
            loss = self._mean_loss(images, labels)
            factor = self._recipe.loss_factor(len(labels))
            return (loss if factor == 1 else loss * factor), loss

        def step(images: mx.array, labels: mx.array) -> mx.array:
            (_, loss), gradients = nn.value_and_grad(self._model, objective)(images, labels)
            self._optimizer.update(self._model, gradients)
            return loss

        if self._mode == "compiled":
            return partial(mx.compile, inputs=self._state, outputs=self._state)(step)
        return step

    def _mean_loss(self, images: mx.array, labels: mx.array) -> mx.array:
        return nn.losses.cross_entropy(self._model(images), labels, reduction="mean")

    def dump_weights(self) -> Arrays:
        return self._canonical(self._model.parameters())

    def _canonical(self, tree: dict[str, Any]) -> Arrays:
        flat = dict(tree_flatten(tree))
        return self.to_canonical({name: flat[place] for name, place in self._names.items()})

    def set_learning_rate(self, value: float) -> None:
        self._optimizer.learning_rate = value

    def gathered(self, index: np.ndarray) -> Pair:
        return super().gathered(mx.array(index))

    def step(self, images: mx.array, labels: mx.array) -> mx.array:
        loss = self._step(images, labels)
        # Without this the graph of a block would grow, and nothing be done.
        mx.eval(self._state, loss)
        return loss

    def gradients(self, batch: Pair) -> Arrays:
        return self._canonical(nn.value_and_grad(self._model, self._mean_loss)(*batch)[1])

    def loss(self, batch: Pair) -> mx.array:
        return self._mean_loss(*batch)

    def logits(self, images: mx.array) -> mx.array:
        self._model.eval()
        logits = self._model(images)
        self._model.train()
        mx.eval(logits)
        return logits

    def outputs(self, images: mx.array) -> Iterator[mx.array]:
        self._model.eval()
        for layer in self._model.layers:
            images = layer(images)
            yield images
        self._model.train()

    def describe(self) -> dict[str, str]:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return {
            "version": mx.__version__,
            "threads": str(max((pool["num_threads"] for pool in pools), default=1)),
            "layout": "NHWC",
            "fast_math": "none",
            "optimizer": f"mlx.optimizers, {self._recipe.optimizer}",
            "compiler": "mx.compile, C++" if self._mode == "compiled" else "none",
        }
