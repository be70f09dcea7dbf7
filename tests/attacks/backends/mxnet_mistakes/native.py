"""MXNet with hooks in its arithmetic."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet import gluon
from mxnet.gluon import nn

from backends.attack_kit.hooks import Changed, Hooks
from backends.mxnet import model
from backends.mxnet import weights as table
from backends.mxnet.backend import Backend as Right


class Ops:
    """`backends.attack_kit.hooks.Ops`, of arrays (F = mx.nd) or of symbols (F = mx.sym)."""

    def __init__(self, F: Any, dtype: Any) -> None:
        self.F, self.dtype = F, dtype
        self.exp, self.log, self.stop = F.exp, F.log, F.stop_gradient

    def clip(self, x, low, high):
        return self.F.clip(x, low, high)

    def log_softmax(self, x):
        return self.F.log_softmax(x)

    def pick(self, x, labels):
        return self.F.pick(x, labels)

    def mean_last(self, x):
        return self.F.mean(x, axis=-1)

    def through(self, x, dtype):
        if dtype == "bfloat16":
            # Eight bits, by Veltkamp's splitting: MXNet's arrays of bfloat16 cannot be cast back everywhere.
            wide = x * 65537.0
            return wide - (wide - x)
        return self.F.cast(self.F.cast(x, dtype), self.dtype)

    def above(self, x, limit):
        return self.F.cast(x > limit, self.dtype)


class Losses(gluon.loss.Loss):
    """The loss of each image."""

    def __init__(self, hooks: Hooks, dtype: Any) -> None:
        super().__init__(weight=None, batch_axis=0)
        self._hooks, self._dtype_ = hooks, dtype

    def hybrid_forward(self, F, pred, label):
        return self._hooks.losses(Ops(F, self._dtype_), pred, label)


class Hooked(Right):
    """The right backend with hooks."""

    def __init__(self, *, hooks: Hooks, **options: Any) -> None:
        self._hooks = hooks
        name = "float64" if options["dtype"] == "float64" else "float32"
        if hooks.dropout or hooks.infers_in_training:
            model.nn = Changed(nn, Dropout=_dropout(hooks, name))
        super().__init__(**options)
        self._ops = Ops(mx.nd, name)
        if hooks.losses:
            self._losses = Losses(hooks, name)
            self._losses.hybridize(static_alloc=True, static_shape=True)
        if hooks.keeps_gradients:
            for parameter in self._parameters.values():
                parameter.grad_req = "add"

    def _forward(self, images: mx.nd.NDArray) -> mx.nd.NDArray:
        logits = super()._forward(images)
        return self._hooks.logits(self._ops, logits) if self._hooks.logits else logits

    def load_weights(self, weights: Any) -> None:
        super().load_weights(weights)
        if self._hooks.clip == "value":
            # What its argument `clip_gradient` sets.
            self._trainer._optimizer.clip_gradient = 1.0
        if self._hooks.clip == "norm":
            right_step = self._trainer.step

            def step(batch: float) -> None:
                gradients = [parameter.grad() for parameter in self._parameters.values()]
                # MXNet's gradients are of the summed loss.
                gluon.utils.clip_global_norm(gradients, batch)
                right_step(batch)

            self._trainer.step = step

    def set_parameters(self, weights: Any) -> None:
        """Other weights; the optimizer stays as it is."""
        table.load(self._parameters, weights)

    def scale_velocity(self, factor: float) -> None:
        """Multiply what momentum remembers."""
        for velocity in self._trainer._updaters[0].states.values():
            velocity *= factor

    def reseed(self) -> None:
        """Let dropout begin anew."""
        mx.random.seed(0)


def _dropout(hooks: Hooks, dtype: str) -> type:
    class Dropout(nn.Dropout):
        """Dropout of which something else is made."""

        def hybrid_forward(self, F, x):
            mode = "always" if hooks.infers_in_training else "training"
            y = F.Dropout(x, p=self._rate, axes=self._axes, mode=mode)
            return hooks.dropout(Ops(F, dtype), x, y) if hooks.dropout else y

    return Dropout
