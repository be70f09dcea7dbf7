"""The recipe's optimizer as Paddle's own."""

from __future__ import annotations

import math
from typing import Any

import paddle


def make_optimizer(parameters: list[paddle.Tensor], recipe: Any) -> paddle.optimizer.Optimizer:
    """SGD, Momentum, Adam or AdamW; L2Decay is coupled, AdamW's decay is not."""
    options = {"learning_rate": recipe.learning_rate, "parameters": parameters}
    coupled = paddle.regularizer.L2Decay(recipe.coupled_decay) if recipe.coupled_decay else None
    if recipe.optimizer == "adam":
        options |= {"beta1": recipe.beta1, "beta2": recipe.beta2, "epsilon": recipe.epsilon}
        if recipe.decoupled_decay:
            return AdamW(recipe, weight_decay=recipe.decoupled_decay, **options)
        return Adam(recipe, weight_decay=coupled, **options)
    if recipe.momentum:
        return paddle.optimizer.Momentum(
            momentum=recipe.momentum, use_nesterov=recipe.nesterov, weight_decay=coupled, **options
        )
    return paddle.optimizer.SGD(weight_decay=coupled, **options)


def name_of(recipe: Any) -> str:
    """Name of the class that `make_optimizer` takes."""
    if recipe.optimizer == "adam":
        return "AdamW" if recipe.decoupled_decay else "Adam"
    return "Momentum" if recipe.momentum else "SGD"


class _RecipesEpsilon:
    """Epsilon where the recipe has it, beside the uncorrected root.

    Paddle puts it beside sqrt(s / (1 - beta2^t)), so a step takes epsilon / sqrt(1 - beta2^t).
    """

    def __init__(self, recipe: Any, **options: Any) -> None:
        super().__init__(**options)
        self._recipe, self._count = recipe, 0

    def step(self) -> None:
        """Update all parameters."""
        self._count += 1
        self._epsilon = self._recipe.epsilon / math.sqrt(1 - self._recipe.beta2**self._count)
        super().step()


class Adam(_RecipesEpsilon, paddle.optimizer.Adam):
    """Adam with the recipe's epsilon."""


class AdamW(_RecipesEpsilon, paddle.optimizer.AdamW):
    """AdamW with the recipe's epsilon."""
