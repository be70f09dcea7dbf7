"""TensorFlow with hooks in its arithmetic: names in the modules of the right backend mean something else."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from backends.attack_kit.hooks import Changed, Hooks
from backends.tensorflow import backend as right
from backends.tensorflow import model
from backends.tensorflow import weights as table
from backends.tensorflow.model import build


class OPS:
    """`backends.attack_kit.hooks.Ops`."""

    exp, log, clip = staticmethod(tf.exp), staticmethod(tf.math.log), staticmethod(tf.clip_by_value)
    log_softmax, stop = staticmethod(tf.nn.log_softmax), staticmethod(tf.stop_gradient)

    @staticmethod
    def pick(x, labels):
        return tf.gather(x, labels, batch_dims=1)

    @staticmethod
    def mean_last(x):
        return tf.reduce_mean(x, axis=-1)

    @staticmethod
    def through(x, dtype):
        return tf.cast(tf.cast(x, dtype), x.dtype)

    @staticmethod
    def above(x, limit):
        return tf.cast(x > limit, x.dtype)


class ChangedModel(Changed):
    """The right model, whose logits are changed."""

    def __call__(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        return self.change(OPS, self._original(images, training=training))


class Hooked(right.Backend):
    """The right backend with hooks."""

    def __init__(self, *, hooks: Hooks, **options: Any) -> None:
        self._hooks = hooks
        if hooks.logits:
            right.build = lambda *arguments, **more: ChangedModel(build(*arguments, **more), change=hooks.logits)
        if hooks.losses:
            losses = Changed(keras.losses, SparseCategoricalCrossentropy=lambda **more: _mean_of(hooks))
            right.keras = Changed(keras, losses=losses)
        if hooks.dropout or hooks.infers_in_training:
            model.keras = Changed(keras, layers=Changed(keras.layers, Dropout=_dropout(hooks)))
        super().__init__(**options)
        # Attributes that Keras's optimizers have from their arguments `global_clipnorm` and `clipvalue`.
        if hooks.clip == "norm":
            self._optimizer.global_clipnorm = 1.0
        if hooks.clip == "value":
            self._optimizer.clipvalue = 1.0
        seeds = [getattr(layer, "seed_generator", None) for layer in self._model.layers]
        self._seeds = [(seed.state, seed.state.numpy()) for seed in seeds if seed is not None]

    def set_parameters(self, weights: Any) -> None:
        """Other weights; the optimizer stays as it is."""
        for variable, value in zip(self._model.trainable_variables, table.to_native(weights, self._network)):
            variable.assign(value)

    def scale_velocity(self, factor: float) -> None:
        """Multiply what momentum remembers."""
        for velocity in self._optimizer.momentums:
            velocity.assign(velocity * factor)

    def reseed(self) -> None:
        """Let dropout begin anew."""
        for state, first in self._seeds:
            state.assign(first)


def _mean_of(hooks: Hooks) -> Any:
    return lambda labels, logits: tf.reduce_mean(hooks.losses(OPS, logits, labels))


def _dropout(hooks: Hooks) -> type:
    class Dropout(keras.layers.Dropout):
        """Dropout of which something else is made."""

        def call(self, inputs, training=False):
            y = super().call(inputs, training=training or hooks.infers_in_training)
            return hooks.dropout(OPS, inputs, y) if hooks.dropout else y

    return Dropout
