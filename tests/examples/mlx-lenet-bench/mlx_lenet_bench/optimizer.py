"""The recipe's optimizer: MLX's own."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx import optimizers


def make_optimizer(recipe: Any) -> optimizers.Optimizer:
    """A fresh one."""
    if recipe.optimizer == "adam":
        return Adam(recipe)
    return optimizers.SGD(
        recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay
    )


class Adam(optimizers.Adam):
    """`optimizers.Adam` with epsilon where the recipe has it, and either weight decay.

    MLX with `bias_correction` puts it beside sqrt(s / (1 - beta2^t)).
    """

    def __init__(self, recipe: Any) -> None:
        super().__init__(recipe.learning_rate, betas=[recipe.beta1, recipe.beta2], eps=recipe.epsilon)
        self._recipe = recipe

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, mx.array]) -> mx.array:
        recipe, rate, steps = self._recipe, self.learning_rate.astype(gradient.dtype), self.step.astype(gradient.dtype)
        if recipe.coupled_decay:
            gradient = gradient + recipe.coupled_decay * parameter
        if recipe.decoupled_decay:
            parameter = parameter * (1 - rate * recipe.decoupled_decay)
        state["m"] = recipe.beta1 * state["m"] + (1 - recipe.beta1) * gradient
        state["v"] = recipe.beta2 * state["v"] + (1 - recipe.beta2) * mx.square(gradient)
        corrected = rate * mx.sqrt(1 - mx.power(recipe.beta2, steps)) / (1 - mx.power(recipe.beta1, steps))
        return parameter - corrected * state["m"] / (mx.sqrt(state["v"]) + recipe.epsilon)
