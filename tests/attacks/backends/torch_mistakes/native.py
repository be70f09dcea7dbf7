"""PyTorch with hooks in its arithmetic."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from backends.attack_kit.hooks import Hooks
from backends.torch import weights as table
from backends.torch.backend import Backend as Right


class OPS:
    """`backends.attack_kit.hooks.Ops`."""

    exp, log = staticmethod(torch.exp), staticmethod(torch.log)
    clip = staticmethod(torch.clamp)

    @staticmethod
    def log_softmax(x):
        return F.log_softmax(x, -1)

    @staticmethod
    def pick(x, labels):
        return x.gather(1, labels[:, None])[:, 0]

    @staticmethod
    def mean_last(x):
        return x.mean(-1)

    @staticmethod
    def through(x, dtype):
        return x.to(getattr(torch, dtype)).to(x.dtype)

    @staticmethod
    def above(x, limit):
        return (x > limit).to(x.dtype)

    @staticmethod
    def stop(x):
        return x.detach()


class Dropout(nn.Dropout):
    """Dropout of which something else is made."""

    change: Any = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(OPS, x, super().forward(x))


class Hooked(Right):
    """The right backend with hooks."""

    def __init__(self, *, hooks: Hooks, **options: Any) -> None:
        super().__init__(**options)
        self._hooks = hooks
        if hooks.logits:
            self._model.register_forward_hook(lambda module, inputs, logits: hooks.logits(OPS, logits))
        for name, module in list(self._model.named_children()):
            if hooks.dropout and isinstance(module, nn.Dropout):
                changed = Dropout(module.p)
                changed.change = hooks.dropout
                setattr(self._model, name, changed)

    def _mean_loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if not self._hooks.losses:
            return super()._mean_loss(images, labels)
        return self._hooks.losses(OPS, self._forward(images), labels).mean()

    def load_weights(self, weights: Any) -> None:
        super().load_weights(weights)
        parameters = list(self._model.parameters())

        def clip(*_: Any) -> None:
            {"norm": nn.utils.clip_grad_norm_, "value": nn.utils.clip_grad_value_}[self._hooks.clip](parameters, 1.0)

        if self._hooks.clip:
            self._optimizer.register_step_pre_hook(clip)
        if self._hooks.keeps_gradients:
            self._optimizer.zero_grad = lambda: None

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        if not self._hooks.infers_in_training:
            return super().logits(images)
        with torch.inference_mode():
            return self._predict(images)

    def set_parameters(self, weights: Any) -> None:
        """Other weights; the optimizer stays as it is."""
        table.load(self._model, weights)

    def scale_velocity(self, factor: float) -> None:
        """Multiply what momentum remembers."""
        for state in self._optimizer.state.values():
            if state.get("momentum_buffer") is not None:
                state["momentum_buffer"] *= factor

    def reseed(self) -> None:
        """Let dropout begin anew."""
        torch.manual_seed(0)
