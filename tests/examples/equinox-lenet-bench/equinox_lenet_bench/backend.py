"""The protocol in Equinox. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from harness.spec.axes import Arrays
from harness.spec.common import CommonBackend, Pair
from harness.spec.network import Network

from .model import build, leaves
from .optimizer import make_optimizer

Model = eqx.nn.Sequential


class Backend(CommonBackend):
    """A network in Equinox: one filter-jitted step, or no jit."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        super().__init__(network=network, feed=feed, dtype=dtype)
        jax.config.update("jax_enable_x64", dtype == "float64")
        self._recipe, self._mode = recipe, mode
        self._optimizer = make_optimizer(recipe, jnp.dtype(dtype))
        self._model = build(network, jnp.dtype(dtype))
        self._pending: list[jax.Array] = []
        self._compile(eqx.filter_jit if mode == "jit" else lambda function, **_: function)

    def _compile(self, jit: Callable[..., Any]) -> None:
        def forward(model: Model, images: jax.Array) -> jax.Array:
            return jax.vmap(eqx.nn.inference_mode(model))(images)

        def mean_loss(model: Model, batch: Pair, key: jax.Array | None = None) -> jax.Array:
            images, labels = batch
            if key is None:
                logits = forward(model, images)
            else:
                logits = jax.vmap(lambda image, key: model(image, key=key))(images, jax.random.split(key, len(images)))
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        def objective(model: Model, batch: Pair, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
            loss = mean_loss(model, batch, key)
            factor = self._recipe.loss_factor(len(batch[1]))
            return (loss if factor == 1 else loss * factor), loss

        def step(batch: Pair, model: Model, state: Any) -> tuple[Model, Any, jax.Array]:
            # The optimizer's count of steps, so that every step drops other values.
            key = jax.random.fold_in(jax.random.key(0), state.count) if self.network.drops else None
            (_, loss), gradients = eqx.filter_value_and_grad(objective, has_aux=True)(model, batch, key)
            updates, state = self._optimizer.update(gradients, state, eqx.filter(model, eqx.is_inexact_array))
            return eqx.apply_updates(model, updates), state, loss

        self._step = jit(step, donate="all-except-first")
        self._gather = jit(lambda dataset, index: (dataset[0][index], dataset[1][index]))
        self._forward, self._loss, self._gradients = jit(forward), jit(mean_loss), jit(eqx.filter_grad(mean_loss))

    def native(self, value: np.ndarray) -> jax.Array:
        return jnp.array(value)

    def host(self, value: jax.Array) -> np.ndarray:
        return np.array(value)

    def load_weights(self, weights: Arrays) -> None:
        new = [
            value.reshape(old.shape)
            for value, old in zip(self.to_native(weights).values(), leaves(self._model), strict=True)
        ]
        self._model = eqx.tree_at(leaves, self._model, new)
        self._state = self._optimizer.init(eqx.filter(self._model, eqx.is_inexact_array))

    def dump_weights(self) -> Arrays:
        return self._canonical(self._model)

    def _canonical(self, model: Model) -> Arrays:
        # A convolution's bias is (out, 1, 1) here.
        shapes = self.network.parameter_shapes()
        named = zip(shapes.items(), leaves(model), strict=True)
        return self.to_canonical({name: leaf.reshape(shape) for (name, shape), leaf in named})

    def set_learning_rate(self, value: float) -> None:
        self._state.hyperparams["learning_rate"] = jnp.asarray(value, self.array_dtype)

    def gathered(self, index: np.ndarray) -> Pair:
        return self._gather(self.dataset, index)

    def step(self, images: jax.Array, labels: jax.Array) -> jax.Array:
        self._model, self._state, loss = self._step((images, labels), self._model, self._state)
        return loss

    def gradients(self, batch: Pair) -> Arrays:
        return self._canonical(self._gradients(self._model, batch))

    def loss(self, batch: Pair) -> jax.Array:
        return self._loss(self._model, batch)

    def logits(self, images: jax.Array) -> jax.Array:
        logits = self._forward(self._model, images)
        self._pending.append(logits)
        return logits

    def outputs(self, images: jax.Array) -> Iterator[jax.Array]:
        for layer in eqx.nn.inference_mode(self._model).layers:
            images = jax.vmap(layer)(images)
            yield images

    def synchronize(self) -> None:
        # The weights depend on every step before them; each inference stands alone.
        jax.block_until_ready((leaves(self._model), self._pending))
        self._pending.clear()

    def describe(self) -> dict[str, str]:
        return {
            "version": eqx.__version__,
            "jax": jax.__version__,
            "optax": optax.__version__,
            "threads": str(len(os.sched_getaffinity(0))),
            "layout": "CHW under vmap",
            "fast_math": "none",
            "optimizer": f"optax {self._recipe.optimizer}, inject_hyperparams",
            "compiler": "XLA" + ", no jit" * (self._mode == "eager"),
        }
