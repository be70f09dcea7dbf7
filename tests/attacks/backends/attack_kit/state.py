"""Mistakes in what is kept from call to call: weights, velocity, learning rate, losses, images, logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.attack_kit.attack import Attack
from backends.attack_kit.wrapper import Weights, Wrapper


def _rates(change: Callable[[float], float]) -> type:
    """Trains with other learning rates than it is told to."""

    class Rates(Wrapper):
        def set_learning_rate(self, value: float) -> None:
            super().set_learning_rate(change(value))

    return Rates


class RateIgnored(Wrapper):
    def set_learning_rate(self, value: float) -> None:
        """Nothing."""


class RateLate(Wrapper):
    """A new learning rate counts from the second step on."""

    waiting: float | None = None

    def set_learning_rate(self, value: float) -> None:
        self.waiting = value

    def load_weights(self, weights: Weights) -> None:
        self.waiting = None
        super().load_weights(weights)

    def train_steps(self, batches: Any) -> Any:
        if self.waiting is None:
            return super().train_steps(batches)
        first, waiting, self.waiting = self.train_one(batches[:1]), self.waiting, None
        super().set_learning_rate(waiting)
        rest = self.to_numpy(super().train_steps(batches[1:])) if len(batches) > 1 else np.zeros(0)
        return np.concatenate([[first], rest])


class RateLateByBlock(RateLate):
    """A new learning rate counts from the second block on."""

    def train_steps(self, batches: Any) -> Any:
        losses = self.right.train_steps(batches)
        if self.waiting is not None:
            self.right.set_learning_rate(self.waiting)
            self.waiting = None
        return losses


class RateCompounded(Wrapper):
    """Every new rate is taken for a share of the one before."""

    now = 0.0

    def load_weights(self, weights: Weights) -> None:
        self.now = self.recipe.learning_rate
        super().load_weights(weights)

    def set_learning_rate(self, value: float) -> None:
        self.now *= value / self.recipe.learning_rate
        super().set_learning_rate(self.now)


class RateKeptOnLoad(Wrapper):
    """The learning rate of before is still there after weights were loaded."""

    now: float | None = None

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        if self.now is not None:
            super().set_learning_rate(self.now)

    def set_learning_rate(self, value: float) -> None:
        self.now = value
        super().set_learning_rate(value)


class VelocityForgotten(Wrapper):
    """A new learning rate makes a new optimizer."""

    def set_learning_rate(self, value: float) -> None:
        super().load_weights(self.dump_weights())
        super().set_learning_rate(value)


class RateInVelocity(Wrapper):
    """The learning rate is in the velocity, which is not scaled when it changes."""

    def begin(self) -> None:
        self.now = self.recipe.learning_rate

    def load_weights(self, weights: Weights) -> None:
        self.now = self.recipe.learning_rate
        super().load_weights(weights)

    def set_learning_rate(self, value: float) -> None:
        before, self.now = self.now, value
        super().set_learning_rate(value)
        self.right.scale_velocity(before / value)


class VelocityKept(Wrapper):
    """Loading weights leaves the optimizer as it was."""

    loaded = False

    def load_weights(self, weights: Weights) -> None:
        if self.loaded:
            self.right.set_parameters(weights)
        else:
            super().load_weights(weights)
        self.loaded = True


class WeightsKept(Wrapper):
    """Only the first weights are taken."""

    first: Weights | None = None

    def load_weights(self, weights: Weights) -> None:
        if self.first is None:
            self.first = {name: value.copy() for name, value in weights.items()}
            super().load_weights(weights)


class BiasesKept(Wrapper):
    """Only the first biases are taken; later ones stay as training left them."""

    loaded = False

    def load_weights(self, weights: Weights) -> None:
        if self.loaded:
            trained = self.dump_weights()
            weights = {name: trained[name] if name.endswith("bias") else value for name, value in weights.items()}
        super().load_weights({name: np.asarray(value, np.float32) for name, value in weights.items()})
        self.loaded = True


def _layout(change: Callable[[Weights], Weights], back: Callable[[Weights], Weights]) -> type:
    """Weights have other places or signs inside than was said; whoever dumps them sees none of it."""

    class Layout(Wrapper):
        def load_weights(self, weights: Weights) -> None:
            super().load_weights(_contiguous(change(weights)))

        def dump_weights(self) -> Weights:
            return _contiguous(back(super().dump_weights()))

        def gradients(self, batch: Any) -> Weights:
            return _contiguous(back(super().gradients(batch)))

    return Layout


def _contiguous(weights: Weights) -> Weights:
    return {name: np.ascontiguousarray(value) for name, value in weights.items()}


def _of_kind(axes: int, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Weights], Weights]:
    """Change the weights with so many axes."""
    return lambda weights: {name: change(v) if v.ndim == axes else v for name, v in weights.items()}


def _of_first_dense(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {"dense1.weight": change(weights["dense1.weight"])}


def _to_channels_last(value: np.ndarray) -> np.ndarray:
    """Columns of lenet5's first dense layer, 16 maps of 5 x 5, in the order height, width, channel."""
    return value.reshape(-1, 16, 5, 5).transpose(0, 2, 3, 1).reshape(value.shape)


def _from_channels_last(value: np.ndarray) -> np.ndarray:
    return value.reshape(-1, 5, 5, 16).transpose(0, 3, 1, 2).reshape(value.shape)


def _after_steps(change: Callable[[Weights, Weights], Weights]) -> type:
    """After each step the weights are changed: (before, after) -> what they are then."""

    class AfterSteps(Wrapper):
        def train_steps(self, batches: Any) -> Any:
            losses = []
            for one in self.one_by_one(batches):
                before = self.right.dump_weights()
                losses.append(self.train_one(one))
                self.right.set_parameters(_contiguous(change(before, self.right.dump_weights())))
            return np.array(losses)

    return AfterSteps


def _frozen(*names: str) -> type:
    return _after_steps(lambda before, after: after | {name: before[name] for name in names})


def _each(change: Callable[[np.ndarray], np.ndarray]) -> type:
    return _after_steps(lambda before, after: {name: change(value) for name, value in after.items()})


def _limited_norm(value: np.ndarray) -> np.ndarray:
    """Keras's `max_norm`: the norm of a unit's weights is one at most."""
    norm = np.sqrt((value.reshape(len(value), -1) ** 2).sum(axis=1)).reshape(-1, *[1] * (value.ndim - 1))
    return value * np.minimum(1, 1 / np.maximum(norm, 1e-12)).astype(value.dtype)


class SkipsLargeLosses(Wrapper):
    """A guard against losses that explode: their steps are not taken."""

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for one in self.one_by_one(batches):
            loss = self.loss_of(one)[0]
            losses.append(loss if loss > 5 else self.train_one(one))
        return np.array(losses)


class Float32Inside(Wrapper):
    """Takes and gives float64, and computes in float32."""

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        return super().put(images=images.astype(np.float32), labels=labels)

    def train_steps(self, batches: Any) -> Any:
        if self.feed == "host":
            batches = [(images.astype(np.float32), labels) for images, labels in batches]
        return super().train_steps(batches)

    def dump_weights(self) -> Weights:
        return {name: value.astype(np.float64) for name, value in super().dump_weights().items()}


_TRAINED = "a trained start: large gradients and large losses"
_round_tf32 = lambda value: (c := value * value.dtype.type(8193)) - (c - value)  # noqa: E731
MISTAKES = {
    "rate-ignored": Attack("does not change its learning rate", RateIgnored),
    "rate-late-by-a-step": Attack("takes one step more before a new learning rate counts", RateLate),
    "rate-late-by-a-block": Attack("takes one block more before a new learning rate counts", RateLateByBlock),
    "rate-compounded": Attack("takes a learning rate for a share of the one before", RateCompounded),
    "rate-floor": Attack(
        "never trains with a learning rate under 0.01",
        _rates(lambda value: max(value, 0.01)),
        caught_by="learning rates down to the schedule's last",
    ),
    "rate-ceiling": Attack(
        "never trains with a learning rate over 0.04",
        _rates(lambda value: min(value, 0.04)),
        caught_by="setting the recipe's first rate",
    ),
    "rate-rounded": Attack(
        "rounds learning rates to four places",
        _rates(lambda value: round(value, 4)),
        caught_by="learning rates down to the schedule's last",
    ),
    "rate-a-hundredth-larger": Attack(
        "has a learning rate that is one hundredth too large once it changes", _rates(lambda value: value * 1.01)
    ),
    "rate-kept-on-load": Attack("keeps the learning rate when weights are loaded", RateKeptOnLoad),
    "velocity-forgotten": Attack("forgets its velocity when the learning rate changes", VelocityForgotten),
    "rate-in-velocity": Attack("has the learning rate in its velocity and does not scale it", RateInVelocity),
    "velocity-kept": Attack("keeps its velocity when weights are loaded", VelocityKept),
    "weights-kept": Attack("takes the first weights alone", WeightsKept),
    "biases-kept": Attack("takes the first biases alone", BiasesKept),
    "flatten-hwc": Attack(
        "flattens in the order height, width, channel",
        _layout(_of_first_dense(_from_channels_last), _of_first_dense(_to_channels_last)),
    ),
    "flatten-whc": Attack(
        "exchanges height and width when it flattens",
        _layout(
            _of_first_dense(lambda v: v.reshape(-1, 16, 5, 5).swapaxes(2, 3).reshape(v.shape)),
            _of_first_dense(lambda v: v.reshape(-1, 16, 5, 5).swapaxes(2, 3).reshape(v.shape)),
        ),
    ),
    "kernels-flipped": Attack(
        "convolves where it should correlate",
        _layout(_of_kind(4, lambda v: v[:, :, ::-1, ::-1]), _of_kind(4, lambda v: v[:, :, ::-1, ::-1])),
    ),
    "kernels-transposed": Attack(
        "exchanges height and width of its kernels",
        _layout(_of_kind(4, lambda v: v.swapaxes(2, 3)), _of_kind(4, lambda v: v.swapaxes(2, 3))),
    ),
    "channels-reversed": Attack(
        "has the channels that a convolution sees in another order",
        _layout(_of_kind(4, lambda v: v[:, ::-1]), _of_kind(4, lambda v: v[:, ::-1])),
    ),
    "dense-bias-negative": Attack(
        "has the sign of the last bias wrong",
        _layout(lambda w: w | {"dense3.bias": -w["dense3.bias"]}, lambda w: w | {"dense3.bias": -w["dense3.bias"]}),
    ),
    "bias-zeroed": Attack(
        "starts with a first bias of zero", _layout(lambda w: w | {"conv1.bias": 0 * w["conv1.bias"]}, lambda w: w)
    ),
    "bias-frozen": Attack("does not train the bias of the first convolution", _frozen("conv1.bias")),
    "last-bias-frozen": Attack("does not train the bias of the last layer", _frozen("dense3.bias")),
    "layer-frozen": Attack("does not train its first convolution", _frozen("conv1.weight", "conv1.bias")),
    "weights-clipped": Attack(
        "keeps all weights between -0.5 and 0.5", _each(lambda value: value.clip(-0.5, 0.5)), caught_by=_TRAINED
    ),
    "weights-of-norm-one": Attack(
        "keeps the norm of each unit's weights at one or less", _each(_limited_norm), caught_by=_TRAINED
    ),
    "weights-bfloat16": Attack(
        "keeps weights in eight bits between steps",
        _each(
            lambda v: (v.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(v.dtype)
        ),
    ),
    "weights-tf32": Attack("rounds weights to eleven bits after each step", _each(_round_tf32)),
    "weights-float16": Attack(
        "keeps weights in float16 between steps", _each(lambda v: v.astype(np.float16).astype(v.dtype))
    ),
    "large-losses-skipped": Attack("takes no step whose loss is over 5", SkipsLargeLosses, caught_by=_TRAINED),
    "float32-inside": Attack(
        "takes float64, and computes in float32", Float32Inside, dtype="float32", options=("--dtype", "float64")
    ),
    "bfloat16-inside": Attack(
        "takes float32, and computes in bfloat16",
        dtype="bfloat16",
        backends=("torch", "tensorflow", "jax", "mxnet", "numpy"),
    ),
}
