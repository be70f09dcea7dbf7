"""The recipe's optimizer: tinygrad's own."""

from __future__ import annotations

from typing import Any

from tinygrad import Tensor
from tinygrad.nn import optim


def make_optimizer(weights: list[Tensor], recipe: Any) -> optim.Optimizer:
    """One for as long as the weights are there.

    Raises:
        ValueError: Adam with coupled weight decay, which tinygrad has not.
    """
    if recipe.optimizer == "adam":
        if recipe.coupled_decay:
            raise ValueError(f"tinygrad's Adam has decoupled weight decay alone, got the recipe {recipe.name}.")
        return Adam(weights, recipe)
    return optim.SGD(weights, recipe.learning_rate, recipe.momentum, recipe.weight_decay, nesterov=recipe.nesterov)


def forget(optimizer: optim.Optimizer, recipe: Any) -> None:
    """Set all state back in place, where captured programs look for it."""
    moments = [*optimizer.m, *optimizer.v] if recipe.optimizer == "adam" else optimizer.b
    changed = [moment.assign(moment.zeros_like()) for moment in moments]
    if recipe.optimizer == "adam":
        changed += [power.assign(power.ones_like()) for power in (optimizer.b1_t, optimizer.b2_t)]
    Tensor.realize(*changed, optimizer.lr.assign(Tensor([recipe.learning_rate])))


class Adam(optim.LAMB):
    """tinygrad's Adam with epsilon where the recipe has it; tinygrad puts it beside sqrt(s / (1 - beta2^t))."""

    def __init__(self, weights: list[Tensor], recipe: Any) -> None:
        self._epsilon = recipe.epsilon
        super().__init__(
            weights, recipe.learning_rate, recipe.beta1, recipe.beta2, weight_decay=recipe.decoupled_decay, adam=True
        )

    @property
    def eps(self) -> Tensor:
        """What a step takes, after it has counted itself."""
        return self._epsilon / (1 - self.b2_t).sqrt()

    @eps.setter
    def eps(self, value: float) -> None:
        """The class's own default is not wanted."""
