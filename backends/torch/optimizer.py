"""The recipe's optimizer as PyTorch's own, all parameters in one call."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


def make_optimizer(model: nn.Module, recipe: Any, *, mode: str) -> torch.optim.Optimizer:
    """Return a fresh optimizer over the model's parameters.

    Raises:
        ValueError: Adam in a captured graph, where its epsilon could not change from step to step.
    """
    parameters = list(model.parameters())
    if recipe.optimizer == "adam":
        if mode == "cuda-graph":
            raise ValueError("--mode cuda-graph trains with SGD only. Use another mode, or a recipe with SGD.")
        return Adam(parameters, recipe)
    rate: float | torch.Tensor = recipe.learning_rate
    if mode == "cuda-graph":
        # A number would be a constant of the captured graph.
        rate = torch.tensor(rate, device=parameters[0].device)
    return torch.optim.SGD(
        parameters, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay,
        fused=True,
    )  # fmt: skip


def forget(optimizer: torch.optim.Optimizer) -> None:
    """Set the momentum back where it lies: the next step is then as the first one."""
    for state in optimizer.state.values():
        if state.get("momentum_buffer") is not None:
            state["momentum_buffer"].zero_()


def name_of(recipe: Any) -> str:
    """Name of the class that `make_optimizer` takes."""
    return "Adam" if recipe.optimizer == "adam" else "SGD"


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` with epsilon where the recipe has it, beside the uncorrected root.

    PyTorch puts it beside sqrt(s / (1 - beta2^t)), so a step takes epsilon / sqrt(1 - beta2^t).
    """

    def __init__(self, parameters: list[nn.Parameter], recipe: Any) -> None:
        super().__init__(
            parameters, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2), eps=recipe.epsilon,
            weight_decay=recipe.weight_decay, decoupled_weight_decay=recipe.decoupled, fused=True,
        )  # fmt: skip
        self._recipe, self._count = recipe, 0

    def step(self) -> None:  # type: ignore[override]
        """Update all parameters."""
        self._count += 1
        for group in self.param_groups:
            group["eps"] = self._recipe.epsilon / math.sqrt(1 - self._recipe.beta2**self._count)
        super().step()
