"""SGD with momentum by TensorFlow's own kernel: one operation a variable, where Keras's optimizer takes several."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


class Momentum:
    """v <- m v + g; w <- w - lr v, as the recipe has it: the learning rate is not in the velocity.

    Attributes:
        variables: learning rate and velocities.
    """

    def __init__(self, weights: Sequence[keras.Variable], *, learning_rate: float, momentum: float) -> None:
        dtype = tf.as_dtype(weights[0].dtype)
        self.learning_rate = tf.Variable(learning_rate, dtype=dtype, trainable=False)
        self._velocities = [tf.Variable(tf.zeros(weight.shape, dtype), trainable=False) for weight in weights]
        self._momentum = tf.constant(momentum, dtype)
        self.variables = [self.learning_rate, *self._velocities]

    def apply(self, gradients: Sequence[tf.Tensor], weights: Sequence[keras.Variable]) -> None:
        """Update the weights in place; callable inside `tf.function`."""
        for gradient, weight, velocity in zip(gradients, weights, self._velocities, strict=True):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.value.handle,
                accum=velocity.handle,
                lr=self.learning_rate,
                grad=gradient,
                momentum=self._momentum,
            )
