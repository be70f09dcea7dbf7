"""Mistakes in a framework's own arithmetic: gradients, logits and losses that are cut, smoothed or rounded; dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.attack_kit.attack import FRAMEWORKS, Attack
from backends.attack_kit.hooks import Hooks, Ops, Tensor
from backends.attack_kit.wrapper import Wrapper

INFINITE = 1e30


def _right(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
    return -ops.pick(ops.log_softmax(logits), labels)


def _probability(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
    return ops.exp(ops.pick(ops.log_softmax(logits), labels))


def _capped(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
    return ops.clip(_right(ops, logits, labels), 0.0, 4.0)


def _clipped(limit: float) -> Any:
    return lambda ops, logits, labels: -ops.log(ops.clip(_probability(ops, logits, labels), limit, 1.0))


def _with_epsilon(epsilon: float) -> Any:
    return lambda ops, logits, labels: -ops.log(_probability(ops, logits, labels) + epsilon)


def _smoothed(share: float) -> Any:
    def losses(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
        logarithms = ops.log_softmax(logits)
        return -(ops.pick(logarithms, labels) * (1 - share) + ops.mean_last(logarithms) * share)

    return losses


def _softmax_twice(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
    return _right(ops, ops.exp(ops.log_softmax(logits)), labels)


def _without(limit: float) -> Any:
    """Images whose loss is under a limit count nothing."""

    def losses(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
        found = _right(ops, logits, labels)
        return found * ops.above(found, limit)

    return losses


def _without_wrong(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
    """Images whose loss is over 6 are taken for wrongly labelled and count nothing."""
    found = _right(ops, logits, labels)
    return found * (1 - ops.above(found, 6.0))


def _focal(ops: Ops, logits: Tensor, labels: Tensor) -> Tensor:
    return _right(ops, logits, labels) * (1 - _probability(ops, logits, labels))


def _rounded(dtype: str) -> Any:
    return lambda ops, logits: ops.through(logits, dtype)


def _tf32(ops: Ops, x: Tensor) -> Tensor:
    """Eleven bits, by Veltkamp's splitting."""
    wide = x * 8193.0
    return wide - (wide - x)


class MaskReused(Wrapper):
    """Every step drops the same values."""

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for one in self.one_by_one(batches):
            self.right.reseed()
            losses.append(self.right.to_numpy(self.right.train_steps(one)).reshape(()))
        return _array(losses)


def _array(losses: list[Any]) -> Any:
    return np.array(losses)


_TRAINED = "a trained start: large gradients and large losses"
_DROPOUT = {"options": ("--network", "convnet-tf1"), "backends": FRAMEWORKS}
MISTAKES = {
    "gradients-clipped-by-norm": Attack(
        "clips gradients by their norm, at 1", hooks=Hooks(clip="norm"), caught_by=_TRAINED
    ),
    "gradients-clipped-by-value": Attack(
        "clips gradients by value, at 1", hooks=Hooks(clip="value"), caught_by=_TRAINED
    ),
    "gradients-accumulated": Attack(
        "adds gradients to those of the step before",
        hooks=Hooks(keeps_gradients=True),
        backends=("torch", "mxnet", "paddle"),
    ),
    "logits-clamped-at-5": Attack(
        "keeps logits between -5 and 5", hooks=Hooks(logits=lambda ops, x: ops.clip(x, -5.0, 5.0)), caught_by=_TRAINED
    ),
    "logits-clamped-at-15": Attack(
        "keeps logits between -15 and 15",
        hooks=Hooks(logits=lambda ops, x: ops.clip(x, -15.0, 15.0)),
        caught_by=_TRAINED,
    ),
    "relu-on-logits": Attack(
        "has a ReLU behind the last layer", hooks=Hooks(logits=lambda ops, x: ops.clip(x, 0.0, INFINITE))
    ),
    "softmax-on-logits": Attack(
        "has a softmax behind the last layer, and the loss another",
        hooks=Hooks(logits=lambda ops, x: ops.exp(ops.log_softmax(x))),
    ),
    "temperature": Attack("divides logits by 1.01", hooks=Hooks(logits=lambda ops, x: x * (1 / 1.01))),
    "logits-through-float16": Attack("computes logits in float16", hooks=Hooks(logits=_rounded("float16"))),
    "logits-through-bfloat16": Attack("computes logits in bfloat16", hooks=Hooks(logits=_rounded("bfloat16"))),
    "logits-through-tf32": Attack("computes logits in TF32", hooks=Hooks(logits=_tf32), backends=FRAMEWORKS),
    "logits-through-float32": Attack(
        "computes logits of float64 in float32", hooks=Hooks(logits=_rounded("float32")), options=("--dtype", "float64")
    ),
    "loss-softmax-twice": Attack("has a loss that takes the softmax of a softmax", hooks=Hooks(losses=_softmax_twice)),
    "loss-smoothed": Attack("smooths labels by 0.1", hooks=Hooks(losses=_smoothed(0.1))),
    "loss-smoothed-little": Attack("smooths labels by 0.001", hooks=Hooks(losses=_smoothed(0.001))),
    "loss-capped-at-4": Attack("caps the loss of an image at 4", hooks=Hooks(losses=_capped), caught_by=_TRAINED),
    "probabilities-clipped-at-1e-3": Attack(
        "takes no probability under 1e-3", hooks=Hooks(losses=_clipped(1e-3)), caught_by=_TRAINED
    ),
    "probabilities-clipped-at-1e-7": Attack(
        "takes no probability under 1e-7, as Keras does without logits",
        hooks=Hooks(losses=_clipped(1e-7)),
        caught_by=_TRAINED,
    ),
    "probabilities-plus-1e-4": Attack(
        "adds 1e-4 to probabilities before it takes their logarithms", hooks=Hooks(losses=_with_epsilon(1e-4))
    ),
    "probabilities-plus-1e-7": Attack(
        "adds 1e-7 to probabilities before it takes their logarithms",
        hooks=Hooks(losses=_with_epsilon(1e-7)),
        caught_by=_TRAINED,
    ),
    "easy-images-ignored": Attack(
        "leaves out images whose loss is under 0.1", hooks=Hooks(losses=_without(0.1)), caught_by=_TRAINED
    ),
    "wrong-labels-ignored": Attack(
        "takes images whose loss is over 6 for wrongly labelled and leaves them out",
        hooks=Hooks(losses=_without_wrong),
        caught_by=_TRAINED,
    ),
    "loss-focal": Attack("has the focal loss", hooks=Hooks(losses=_focal)),
    "dropout-not-scaled": Attack(
        "does not divide what it keeps",
        hooks=Hooks(dropout=lambda ops, x, y: x * (ops.above(y, 0.0) + ops.above(-y, 0.0))),
        **_DROPOUT,
    ),
    "dropout-scaled-too-much": Attack(
        "makes what it keeps too large",
        hooks=Hooks(
            dropout=lambda ops, x, y: (
                y * (ops.above(y, 0.0) + ops.above(-y, 0.0)) + (y - x) * (ops.above(y, 0.0) + ops.above(-y, 0.0))
            )
        ),
        **_DROPOUT,
    ),
    "dropout-gradient-of-all": Attack(
        "lets gradients through what it dropped",
        hooks=Hooks(dropout=lambda ops, x, y: x + ops.stop(y - x)),
        **_DROPOUT,
        caught_by="gradients of what was dropped are exactly zero",
    ),
    "dropout-in-inference": Attack("drops in inference", hooks=Hooks(infers_in_training=True), **_DROPOUT),
    "dropout-mask-reused": Attack("drops the same values in every step", MaskReused, **_DROPOUT),
}
