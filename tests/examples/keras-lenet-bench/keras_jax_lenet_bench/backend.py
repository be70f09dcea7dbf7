"""The protocol in Keras on JAX. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.spec.axes import Arrays
from harness.spec.common import Pair
from harness.spec.network import Network

from .common import KerasBackend


class Backend(KerasBackend):
    """A network in Keras, its step a pure function of the values of Keras's variables."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        jax.config.update("jax_enable_x64", dtype == "float64")
        super().__init__(network=network, recipe=recipe, feed=feed, dtype=dtype)
        self._pending: list[jax.Array] = []
        self._compile()

    def _compile(self) -> None:
        def mean_loss(weights: list[Any], others: list[Any], images: jax.Array, labels: jax.Array) -> Any:
            logits, others = self.model.stateless_call(weights, others, images, training=True)
            return self.mean_loss(labels, logits), others

        def objective(weights: list[Any], others: list[Any], images: jax.Array, labels: jax.Array) -> Any:
            loss, others = mean_loss(weights, others, images, labels)
            factor = self.recipe.loss_factor(len(labels))
            return (loss if factor == 1 else loss * factor), (loss, others)

        def step(state: Any, images: jax.Array, labels: jax.Array) -> Any:
            weights, others, moments = state
            gradients, (loss, others) = jax.grad(objective, has_aux=True)(weights, others, images, labels)
            gradients = self.decayed(gradients, weights)
            weights, moments = self.optimizer.stateless_apply(moments, gradients, weights)
            return (weights, others, moments), loss

        self._step = jax.jit(step, donate_argnums=0)
        self._gather = jax.jit(lambda dataset, index: (dataset[0][index], dataset[1][index]))
        self._loss = jax.jit(lambda *arguments: mean_loss(*arguments)[0])
        self._gradients = jax.jit(lambda *arguments: jax.grad(mean_loss, has_aux=True)(*arguments)[0])
        self._forward = jax.jit(
            lambda weights, others, images: self.model.stateless_call(weights, others, images, training=False)[0]
        )

    def native(self, value: np.ndarray) -> jax.Array:
        return jnp.array(value)

    def load_weights(self, weights: Arrays) -> None:
        super().load_weights(weights)
        # Copies: what a step donates, Keras's variables would still name.
        self._state = tuple(
            [jnp.array(variable.value) for variable in variables]
            for variables in (
                self.model.trainable_variables, self.model.non_trainable_variables, self.optimizer.variables
            )
        )  # fmt: skip

    def dump_weights(self) -> Arrays:
        return self.canonical(self._state[0])

    def set_learning_rate(self, value: float) -> None:
        moments = self._state[2]
        places = {id(variable): place for place, variable in enumerate(self.optimizer.variables)}
        rate = places[id(self.optimizer.learning_rate)]
        before = float(moments[rate])
        moments[rate] = jnp.asarray(value, moments[rate].dtype)
        if self.recipe.momentum:
            # Keras's v holds the learning rate (v <- m v - lr g), so what is in it must be scaled with it.
            for velocity in self.optimizer.momentums:
                moments[places[id(velocity)]] *= value / before

    def gathered(self, index: np.ndarray) -> Pair:
        return self._gather(self.dataset, index)

    def step(self, images: jax.Array, labels: jax.Array) -> jax.Array:
        self._state, loss = self._step(self._state, images, labels)
        return loss

    def gradients(self, batch: Pair) -> Arrays:
        return self.canonical(self._gradients(*self._state[:2], *batch))

    def loss(self, batch: Pair) -> jax.Array:
        return self._loss(*self._state[:2], *batch)

    def logits(self, images: jax.Array) -> jax.Array:
        logits = self._forward(*self._state[:2], images)
        self._pending.append(logits)
        return logits

    def activations(self, images: jax.Array) -> Arrays:
        # The layers are called one by one, with the values that their variables have.
        for variable, value in zip(self.model.trainable_variables, self._state[0], strict=True):
            variable.assign(jnp.array(value))
        return super().activations(images)

    def synchronize(self) -> None:
        # The weights depend on every step before them; each inference stands alone.
        jax.block_until_ready((self._state, self._pending))
        self._pending.clear()

    def describe(self) -> dict[str, str]:
        return self.described(jax=jax.__version__, threads=str(len(os.sched_getaffinity(0))), compiler="XLA")
