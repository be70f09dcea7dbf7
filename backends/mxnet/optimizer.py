"""The recipe's optimizer as MXNet's own."""

from __future__ import annotations

from typing import Any

import mxnet as mx


def make_optimizer(recipe: Any) -> mx.optimizer.Optimizer:
    """SGD, NAG or Adam, with MXNet's weight decay, which is coupled."""
    common = {"learning_rate": recipe.learning_rate, "wd": recipe.coupled_decay}
    if recipe.optimizer == "adam":
        options = {"beta1": recipe.beta1, "beta2": recipe.beta2, "epsilon": recipe.epsilon} | common
        if recipe.decoupled_decay:
            return DecoupledAdam(recipe.decoupled_decay, **options)
        return mx.optimizer.Adam(**options)
    if recipe.nesterov:
        return mx.optimizer.NAG(momentum=recipe.momentum, **common)
    return mx.optimizer.SGD(momentum=recipe.momentum, **common)


class DecoupledAdam(mx.optimizer.Adam):
    """Adam with weight decay that does not go through the gradient; MXNet 1.9.1 has none in Python."""

    def __init__(self, decay: float, **options: float) -> None:
        super().__init__(**options)
        self._decay = decay

    def update(self, index, weight, grad, state):
        weight *= 1 - self._get_lr(index) * self._decay
        super().update(index, weight, grad, state)
