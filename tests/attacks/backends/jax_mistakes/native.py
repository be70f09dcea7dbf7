"""JAX with hooks in its arithmetic: names in the modules of the right backend mean something else."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from backends.attack_kit.hooks import Changed, Hooks
from backends.jax import backend as right
from backends.jax import model
from backends.jax import weights as table
from backends.jax.optimizer import make_optimizer


class OPS:
    """`backends.attack_kit.hooks.Ops`."""

    exp, log, clip = staticmethod(jnp.exp), staticmethod(jnp.log), staticmethod(jnp.clip)
    log_softmax, stop = staticmethod(jax.nn.log_softmax), staticmethod(jax.lax.stop_gradient)

    @staticmethod
    def pick(x, labels):
        return jnp.take_along_axis(x, labels[:, None], axis=1)[:, 0]

    @staticmethod
    def mean_last(x):
        return x.mean(-1)

    @staticmethod
    def through(x, dtype):
        # Two casts one after the other are none to XLA, unless it is told that precision is meant.
        bits = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23)}[dtype]
        return jax.lax.reduce_precision(x, *bits)

    @staticmethod
    def above(x, limit):
        return (x > limit).astype(x.dtype)


def clipped(optimizer: Any, clip: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer that clips gradients first; its state is the right one's."""

    def update(gradients: Any, state: Any, parameters: Any = None) -> Any:
        gradients, _ = clip.update(gradients, clip.init(parameters))
        return optimizer.update(gradients, state, parameters)

    return optax.GradientTransformation(optimizer.init, update)


CLIPS = {"norm": optax.clip_by_global_norm(1.0), "value": optax.clip(1.0)}


class Hooked(right.Backend):
    """The right backend with hooks."""

    def __init__(self, *, hooks: Hooks, **options: Any) -> None:
        self._hooks = hooks
        if hooks.logits:
            right.Model = _model(hooks)
        if hooks.losses:
            loss = lambda logits, labels: hooks.losses(OPS, logits, labels)  # noqa: E731
            right.optax = Changed(optax, softmax_cross_entropy_with_integer_labels=loss)
        if hooks.clip:
            right.make_optimizer = lambda *arguments: clipped(make_optimizer(*arguments), CLIPS[hooks.clip])
        if hooks.dropout or hooks.infers_in_training:
            model.nnx = Changed(nnx, Dropout=_dropout(hooks))
        super().__init__(**options)

    def set_parameters(self, weights: Any) -> None:
        """Other weights; the optimizer stays as it is."""
        native = table.to_native(weights, self._network)
        self._parameters = jax.tree.map(
            lambda value: jax.device_put(np.array(value, self._dtype), self._device), native
        )

    def scale_velocity(self, factor: float) -> None:
        """Multiply what momentum remembers."""
        scaled = jax.tree.map(lambda value: value * factor, self._moments.inner_state)
        self._moments = self._moments._replace(inner_state=scaled)

    def reseed(self) -> None:
        """Let dropout begin anew: its key is the count of steps."""
        self._moments = self._moments._replace(count=jnp.zeros_like(self._moments.count))


def _model(hooks: Hooks) -> type:
    class Model(model.Model):
        """The right model, whose logits are changed."""

        def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
            return hooks.logits(OPS, super().__call__(x, key))

    return Model


# One class for all backends of a process: the model asks whether a layer is of it.
@cache
def _dropout(hooks: Hooks) -> type:
    class Dropout(nnx.Dropout):
        """Dropout of which something else is made."""

        def __call__(self, x: jax.Array, *, deterministic: bool, rngs: Any) -> jax.Array:
            if hooks.infers_in_training and deterministic:
                deterministic, rngs = False, jax.random.key(0)
            y = super().__call__(x, deterministic=deterministic, rngs=rngs)
            return hooks.dropout(OPS, x, y) if hooks.dropout else y

    return Dropout
