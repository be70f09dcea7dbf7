"""What trains in each mode: functions that take blocks of native batches and return losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from backends.tensorflow.optimizer import Kernels

Step = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# How a single step is compiled, by mode.
COMPILED: dict[str, Callable[[Any], Any]] = {
    "eager": lambda function: function,
    "graph": tf.function,
    "fused": tf.function,
    "xla": tf.function(jit_compile=True),
    "epoch": tf.function,
    "fit": tf.function,
}
# Modes with TensorFlow's own update kernels in place of the Keras optimizer.
FUSED = ("fused", "epoch")


def make_step(model: keras.Model, mean_loss: keras.Loss, optimizer: keras.Optimizer | Kernels, recipe: Any) -> Step:
    """One training step as the custom-loop guide writes it, not compiled: (images, labels) -> loss."""
    decay = recipe.coupled_decay

    def step(images, labels):
        # Batches have a size when a function is traced.
        factor = recipe.loss_factor(int(labels.shape[0]))
        with tf.GradientTape() as tape:
            loss = mean_loss(labels, model(images, training=True))
            objective = loss if factor == 1 else loss * tf.cast(factor, loss.dtype)
        weights = model.trainable_variables
        gradients = tape.gradient(objective, weights)
        if decay:
            gradients = [g + tf.cast(decay, g.dtype) * w for g, w in zip(gradients, weights, strict=True)]
        optimizer.apply(gradients, weights)
        return loss

    return step


def make_loop(step: Step, dtype: tf.DType) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """Compiled loops over k steps, for the mode `epoch`; each returns the losses, (k,).

    Returns:
        one that takes images (k, b, h, w, c) and labels (k, b); and one that takes the data set's images (n, h, w, c)
        and labels (n,), and indices (k, b).
    """

    @tf.function
    def loop(images, labels):
        losses = tf.TensorArray(dtype, size=len(images))
        for number in tf.range(len(images)):
            losses = losses.write(number, step(images[number], labels[number]))
        return losses.stack()

    @tf.function
    def gather_loop(images, labels, indices):
        losses = tf.TensorArray(dtype, size=len(indices))
        for number in tf.range(len(indices)):
            index = indices[number]
            losses = losses.write(number, step(tf.gather(images, index), tf.gather(labels, index)))
        return losses.stack()

    return loop, gather_loop


class Fit:
    """Keras's own loop, `Model.fit`, as Keras comes: it decides by itself whether to use XLA."""

    def __init__(self, model: keras.Model, mean_loss: keras.Loss, optimizer: keras.Optimizer) -> None:
        self._model = model
        # The mean over the batches so far, which Keras keeps from here on, in float64: differences of it are the
        # losses of the single steps, to 2e-6 only in float32. The loss and its gradient stay as they are.
        floatx = keras.config.floatx()
        keras.config.set_floatx("float64")
        model.compile(optimizer=optimizer, loss=mean_loss)
        keras.config.set_floatx(floatx)

    def __call__(self, images: Any, labels: Any, batch_size: int) -> np.ndarray:
        """Train on images (k * b, h, w, c) and labels (k * b,), in their order; return the losses, (k,)."""
        means = _Means()
        self._model.fit(images, labels, batch_size=batch_size, epochs=1, shuffle=False, verbose=0, callbacks=[means])
        # Keras reports the mean over the batches so far.
        sums = np.array([means.of[batch] for batch in sorted(means.of)]) * np.arange(1, len(means.of) + 1)
        return np.diff(sums, prepend=0.0)


class _Means(keras.callbacks.Callback):
    """Keeps what Keras reports after each batch; in Keras's own thread, as its own callbacks are."""

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[int, float] = {}

    def on_train_batch_end(self, batch, logs=None):
        self.of[batch] = logs["loss"]
