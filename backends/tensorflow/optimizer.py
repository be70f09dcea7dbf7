"""The recipe's optimizer: Keras's, or TensorFlow's own kernels, one operation a variable where Keras takes several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def keras_optimizer(recipe: Any) -> keras.Optimizer:
    """Keras's own. Coupled weight decay is not here: Keras has none, so the step adds it to the gradients."""
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(
            recipe.learning_rate, beta_1=recipe.beta1, beta_2=recipe.beta2, epsilon=recipe.epsilon,
            weight_decay=recipe.decoupled_decay or None,
        )  # fmt: skip
    return keras.optimizers.SGD(
        recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov,
        weight_decay=recipe.decoupled_decay or None,
    )  # fmt: skip


class Kernels:
    """The recipe by TensorFlow's own update kernels: the learning rate is not in the velocity.

    Attributes:
        variables: learning rate, velocities or moments, and powers of Adam's betas.
    """

    def __init__(self, weights: Sequence[keras.Variable], recipe: Any) -> None:
        dtype = tf.as_dtype(weights[0].dtype)

        def state(value: float | tf.Tensor) -> tf.Variable:
            return tf.Variable(value, dtype=dtype, trainable=False)

        self._recipe, self._dtype = recipe, dtype
        self.learning_rate = state(recipe.learning_rate)
        kinds = 2 if recipe.optimizer == "adam" else 1 if recipe.momentum else 0
        self._slots = [[state(tf.zeros(weight.shape, dtype)) for weight in weights] for _ in range(kinds)]
        self._powers = [state(recipe.beta1), state(recipe.beta2)] if recipe.optimizer == "adam" else []
        self.variables = [self.learning_rate, *self._powers, *(slot for slots in self._slots for slot in slots)]

    def apply(self, gradients: Sequence[tf.Tensor], weights: Sequence[keras.Variable]) -> None:
        """Update the weights in place; callable inside `tf.function`."""
        for gradient, weight, *slots in zip(gradients, weights, *self._slots, strict=True):
            if self._recipe.decoupled_decay:
                rate = self.learning_rate * tf.cast(self._recipe.decoupled_decay, self._dtype)
                weight.value.assign_sub(weight.value * rate)
            self._update(weight.value.handle, gradient, [slot.handle for slot in slots])
        for power, beta in zip(self._powers, (self._recipe.beta1, self._recipe.beta2)):
            power.assign(power * tf.cast(beta, self._dtype))

    def _update(self, weight: Any, gradient: tf.Tensor, slots: list[Any]) -> None:
        recipe = self._recipe

        def number(value: float) -> tf.Tensor:
            return tf.constant(value, self._dtype)

        if recipe.optimizer == "adam":
            tf.raw_ops.ResourceApplyAdam(
                var=weight, m=slots[0], v=slots[1], beta1_power=self._powers[0], beta2_power=self._powers[1],
                lr=self.learning_rate, beta1=number(recipe.beta1), beta2=number(recipe.beta2),
                epsilon=number(recipe.epsilon), grad=gradient,
            )  # fmt: skip
        elif slots:
            tf.raw_ops.ResourceApplyMomentum(
                var=weight, accum=slots[0], lr=self.learning_rate, grad=gradient, momentum=number(recipe.momentum),
                use_nesterov=recipe.nesterov,
            )  # fmt: skip
        else:
            tf.raw_ops.ResourceApplyGradientDescent(var=weight, alpha=self.learning_rate, delta=gradient)
