"""PaddlePaddle with hooks in its arithmetic."""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from backends.attack_kit.hooks import Changed, Hooks
from backends.paddle import model
from backends.paddle import weights as table
from backends.paddle.backend import Backend as Right


class OPS:
    """`backends.attack_kit.hooks.Ops`."""

    exp, log, clip = staticmethod(paddle.exp), staticmethod(paddle.log), staticmethod(paddle.clip)
    log_softmax = staticmethod(F.log_softmax)

    @staticmethod
    def pick(x, labels):
        return paddle.take_along_axis(x, labels.astype("int64").unsqueeze(1), axis=1).squeeze(1)

    @staticmethod
    def mean_last(x):
        return x.mean(axis=-1)

    @staticmethod
    def through(x, dtype):
        return x.astype(dtype).astype(x.dtype)

    @staticmethod
    def above(x, limit):
        return (x > limit).astype(x.dtype)

    @staticmethod
    def stop(x):
        return x.detach()


class Hooked(Right):
    """The right backend with hooks."""

    def __init__(self, *, hooks: Hooks, **options: Any) -> None:
        self._hooks = hooks
        if hooks.losses:
            loss = lambda logits, labels: hooks.losses(OPS, logits, labels).mean()  # noqa: E731
            model.F = Changed(F, cross_entropy=loss)
        if hooks.dropout or hooks.infers_in_training:
            model.nn = Changed(nn, Dropout=_dropout(hooks))
        super().__init__(**options)
        if hooks.logits:
            self._model.register_forward_post_hook(lambda layer, inputs, logits: hooks.logits(OPS, logits))

    def load_weights(self, weights: Any) -> None:
        super().load_weights(weights)
        # What its argument `grad_clip` sets.
        if self._hooks.clip == "norm":
            self._optimizer._grad_clip = nn.ClipGradByGlobalNorm(1.0)
        if self._hooks.clip == "value":
            self._optimizer._grad_clip = nn.ClipGradByValue(1.0)
        if self._hooks.keeps_gradients:
            self._optimizer.clear_grad = lambda: None

    def set_parameters(self, weights: Any) -> None:
        """Other weights; the optimizer stays as it is."""
        table.load(self._model, weights)

    def scale_velocity(self, factor: float) -> None:
        """Multiply what momentum remembers."""
        for velocities in self._optimizer._accumulators.values():
            for velocity in velocities.values():
                velocity.set_value(velocity * factor)

    def reseed(self) -> None:
        """Let dropout begin anew."""
        paddle.seed(0)


def _dropout(hooks: Hooks) -> type:
    class Dropout(nn.Dropout):
        """Dropout of which something else is made."""

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            y = F.dropout(x, p=self.p, training=self.training or hooks.infers_in_training)
            return hooks.dropout(OPS, x, y) if hooks.dropout else y

    return Dropout
