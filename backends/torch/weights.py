"""Canonical names and axes are PyTorch's own: `conv1.weight` (out, in, kh, kw), `dense1.weight` (out, in)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


@torch.no_grad()
def load(model: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Copy canonical weights into the parameters of the same names."""
    parameters = dict(model.named_parameters())
    for name, value in weights.items():
        parameters[name].copy_(torch.from_numpy(value))


def dump(model: nn.Module) -> dict[str, np.ndarray]:
    """Copy the parameters out."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.named_parameters()}


def gradients(model: nn.Module) -> dict[str, np.ndarray]:
    """Copy the gradients that `backward` left in the parameters."""
    return {name: value.grad.cpu().numpy().copy() for name, value in model.named_parameters()}
