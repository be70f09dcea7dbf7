"""The recipe's optimizer as a chain of Optax's transformations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax


def make_optimizer(recipe: Any, dtype: jnp.dtype) -> optax.GradientTransformation:
    """The learning rate lives in the optimizer's state: as a constant it would cost a compilation an epoch."""

    def chain(learning_rate: jax.Array) -> optax.GradientTransformation:
        parts = []
        if recipe.coupled_decay:
            parts.append(optax.add_decayed_weights(recipe.coupled_decay))
        if recipe.optimizer == "adam":
            parts.append(adam(recipe.beta1, recipe.beta2, recipe.epsilon))
        elif recipe.momentum:
            parts.append(optax.trace(decay=recipe.momentum, nesterov=recipe.nesterov))
        if recipe.decoupled_decay:
            parts.append(optax.add_decayed_weights(recipe.decoupled_decay))
        return optax.chain(*parts, optax.scale_by_learning_rate(learning_rate))

    return optax.inject_hyperparams(chain, hyperparam_dtype=dtype)(learning_rate=recipe.learning_rate)


def adam(beta1: float, beta2: float, epsilon: float) -> optax.GradientTransformation:
    """Adam with epsilon where the recipe has it; `optax.scale_by_adam` puts it beside the corrected root."""

    def init(parameters: Any) -> optax.ScaleByAdamState:
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.copy, zeros))

    def update(gradients: Any, state: optax.ScaleByAdamState, parameters: Any = None) -> tuple[Any, Any]:
        count = state.count + 1
        mu = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, state.mu, gradients)
        nu = jax.tree.map(lambda s, g: beta2 * s + (1 - beta2) * g * g, state.nu, gradients)

        def direction(m: jax.Array, s: jax.Array) -> jax.Array:
            steps = count.astype(m.dtype)
            return jnp.sqrt(1 - beta2**steps) / (1 - beta1**steps) * m / (jnp.sqrt(s) + epsilon)

        return jax.tree.map(direction, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)
