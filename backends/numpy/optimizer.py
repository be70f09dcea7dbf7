"""The recipe's optimizer, written out: the reference of docs/recipes.md."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Parameters = dict[str, np.ndarray]


class Optimizer:
    """SGD, with momentum or without, or Adam; weight decay coupled or decoupled.

    Attributes:
        learning_rate: of the next step.
    """

    def __init__(self, recipe: Any, parameters: Parameters, errors: Any = None) -> None:
        """Begin; `errors.adam_rate()` is the share by which Adam's rate is off in a step."""
        self.learning_rate = recipe.learning_rate
        self._recipe = recipe
        self._errors = errors
        self._count = 0
        self._first = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._second = {name: np.zeros_like(value) for name, value in parameters.items()}

    def update(self, parameters: Parameters, gradients: Parameters) -> None:
        """Take one step, in place."""
        self._count += 1
        recipe = self._recipe
        self._rate = self.learning_rate * (1 if self._errors is None else 1 + self._errors.adam_rate())
        for name, gradient in gradients.items():
            weight = parameters[name]
            if recipe.coupled_decay:
                gradient = gradient + recipe.coupled_decay * weight
            if recipe.decoupled_decay:
                weight -= self.learning_rate * recipe.decoupled_decay * weight
            if recipe.optimizer == "adam":
                weight -= self._adam(name, gradient)
            else:
                weight -= self.learning_rate * self._direction(name, gradient)

    def _direction(self, name: str, gradient: np.ndarray) -> np.ndarray:
        momentum = self._recipe.momentum
        velocity = self._first[name]
        velocity *= momentum
        velocity += gradient
        return gradient + momentum * velocity if self._recipe.nesterov else velocity

    def _adam(self, name: str, gradient: np.ndarray) -> np.ndarray:
        recipe, first, second = self._recipe, self._first[name], self._second[name]
        first *= recipe.beta1
        first += (1 - recipe.beta1) * gradient
        second *= recipe.beta2
        second += (1 - recipe.beta2) * gradient * gradient
        corrections = math.sqrt(1 - recipe.beta2**self._count) / (1 - recipe.beta1**self._count)
        return self._rate * corrections * first / (np.sqrt(second) + recipe.epsilon)
