"""The protocol in JAX. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from backends.jax import weights as table
from backends.jax.model import Model
from backends.jax.optimizer import make_optimizer
from harness.spec.network import Flatten, Network
from harness.spec.precision import array_dtype

Pair = tuple[jax.Array, jax.Array]
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """Pure functions over plain pytrees: a jitted step, a jitted loop over steps, or no jit."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        jax.config.update("jax_enable_x64", dtype == "float64")
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if dtype == "tf32" else "highest")
        self._device = jax.devices(device)[0]
        self._dtype = jnp.dtype(array_dtype(dtype))
        self._mode = mode
        self._feed = feed
        self._network = network
        self._recipe = recipe
        self._optimizer = make_optimizer(recipe, self._dtype)
        # Shapes only: initial values would be computed, a compilation each, to be thrown away by load_weights.
        compute = jnp.dtype("bfloat16") if dtype == "bfloat16" else self._dtype
        options = {"mode": mode, "dtype": compute, "param_dtype": self._dtype}
        graph, _ = nnx.split(nnx.eval_shape(lambda: Model(network, **options)))
        self._compile(graph)
        self._pending: list[jax.Array] = []

    def _compile(self, graph: nnx.GraphDef) -> None:
        def forward(parameters, images, key=None):
            return nnx.merge(graph, parameters)(images, key).astype(self._dtype)

        def mean_loss(parameters, images, labels, key=None):
            logits = forward(parameters, images, key)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        def objective(parameters, images, labels, key):
            loss = mean_loss(parameters, images, labels, key)
            factor = self._recipe.loss_factor(len(labels))
            return (loss if factor == 1 else loss * factor), loss

        def step(parameters, moments, images, labels):
            # The optimizer's count of steps, so that every step drops other values.
            key = jax.random.fold_in(jax.random.key(0), moments.count) if self._network.drops else None
            gradients, loss = jax.grad(objective, has_aux=True)(parameters, images, labels, key)
            updates, moments = self._optimizer.update(gradients, moments, parameters)
            return optax.apply_updates(parameters, updates), moments, loss

        def gather_step(parameters, moments, dataset, index):
            images, labels = gather(dataset, index)
            return step(parameters, moments, images, labels)

        def gather(dataset, index):
            images, labels = dataset
            return images[index], labels[index]

        def loop(parameters, moments, images, labels):
            return scan(lambda state, batch: step(*state, *batch), parameters, moments, (images, labels))

        def gather_loop(parameters, moments, dataset, indices):
            return scan(lambda state, index: gather_step(*state, dataset, index), parameters, moments, indices)

        def scan(one, parameters, moments, steps):
            def body(state, each):
                *state, loss = one(state, each)
                return state, loss

            # Inside a loop XLA's convolutions on the CPU take five times as long (jax#12868): no loop is left there.
            unroll = self._device.platform == "cpu"
            (parameters, moments), losses = jax.lax.scan(body, [parameters, moments], steps, unroll=unroll)
            return parameters, moments, losses

        def jit(function, **options):
            return function if self._mode == "eager" else jax.jit(function, **options)

        self._start = jax.jit(self._optimizer.init)
        self._step = jit(step, donate_argnums=(0, 1))
        self._gather_step = jit(gather_step, donate_argnums=(0, 1))
        self._loop = jit(loop, donate_argnums=(0, 1))
        self._gather_loop = jit(gather_loop, donate_argnums=(0, 1))
        self._gather = jit(gather)
        self._outputs = jit(lambda parameters, images: nnx.merge(graph, parameters).outputs(images))
        self._forward = jit(forward)
        self._loss = jit(mean_loss)
        self._gradients = jit(jax.grad(mean_loss))

    @staticmethod
    def devices() -> list[str]:
        return ["cpu", "gpu"] if jax.default_backend() == "gpu" else ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        jax.devices(device)

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        native = table.to_native(weights, self._network)
        # A copy of our own: donation would otherwise invalidate arrays that alias the caller's.
        self._parameters = jax.tree.map(
            lambda value: jax.device_put(np.array(value, self._dtype), self._device), native
        )
        # Placed as a step returns them: a step from moments that are not would be another program, compiled for itself.
        self._moments = jax.device_put(self._start(self._parameters), self._device)

    def set_learning_rate(self, value: float) -> None:
        self._moments.hyperparams["learning_rate"] = jax.device_put(self._dtype.type(value), self._device)

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.to_canonical(self._parameters, self._network)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return jax.device_put((_channels_last(images), labels), self._device)

    def use_dataset(self, dataset: Pair) -> None:
        self._dataset = dataset

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[jax.Array]:
        if self._mode == "epoch":
            return self._train_block(batches)
        parameters, moments = self._parameters, self._moments
        losses = []
        for batch in batches:
            if self._feed == "device":
                parameters, moments, loss = self._gather_step(parameters, moments, self._dataset, batch)
            else:
                images, labels = batch
                parameters, moments, loss = self._step(parameters, moments, _channels_last(images), labels)
            losses.append(loss)
        self._parameters, self._moments = parameters, moments
        return losses

    def _train_block(self, batches: Sequence[HostBatch] | np.ndarray) -> jax.Array:
        """Hand over all batches at once."""
        state = self._parameters, self._moments
        if self._feed == "device":
            *state, losses = self._gather_loop(*state, self._dataset, batches)
        else:
            images, labels = (np.stack(part) for part in zip(*batches, strict=True))
            *state, losses = self._loop(*state, _channels_last(images), labels)
        self._parameters, self._moments = state
        return losses

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        if self._feed == "device":
            images, labels = self._gather(self._dataset, batch)
        else:
            images, labels = self.put(images=batch[0], labels=batch[1])
        return np.asarray(images).transpose(0, 3, 1, 2), np.asarray(labels)

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        return table.to_canonical(self._gradients(self._parameters, *batch), self._network)

    def loss(self, batch: Pair) -> jax.Array:
        return self._loss(self._parameters, *batch)

    def logits(self, images: jax.Array) -> jax.Array:
        logits = self._forward(self._parameters, images)
        self._pending.append(logits)
        return logits

    def activations(self, images: jax.Array) -> dict[str, np.ndarray]:
        outputs = self._outputs(self._parameters, images)
        found = {}
        for row in self._network.summary():
            value = np.asarray(outputs[row.layer.name].astype(self._dtype))
            if isinstance(row.layer, Flatten):
                channels, height, width = row.input_shape
                value = value.reshape(-1, height, width, channels)
            value = value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
            found[row.layer.name] = value.reshape(len(value), -1) if isinstance(row.layer, Flatten) else value
        return found

    def synchronize(self) -> None:
        # The weights depend on every step before them; each inference stands alone.
        jax.block_until_ready((self._parameters, self._pending))
        self._pending.clear()

    def to_numpy(self, value: jax.Array | list[jax.Array]) -> np.ndarray:
        return np.asarray(value)

    def memory(self) -> tuple[int | None, str]:
        statistics = self._device.memory_stats()
        if statistics and "peak_bytes_in_use" in statistics:
            return statistics["peak_bytes_in_use"], "jax.Device.memory_stats"
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        # A GPU's has several lines.
        compiler = " ".join(f"XLA {self._device.client.platform_version}".split())
        card = f", {self._device.device_kind}" if self._device.platform != "cpu" else ""
        return {
            "version": jax.__version__,
            "flax": flax.__version__,
            "optax": optax.__version__,
            "threads": str(len(os.sched_getaffinity(0))),
            "layout": "NHWC",
            "fast_math": f"matmul_precision={jax.config.jax_default_matmul_precision}",
            "optimizer": f"optax {self._recipe.optimizer}, inject_hyperparams",
            "compiler": compiler + card + ", no jit" * (self._mode == "eager"),
        }


def _channels_last(images: np.ndarray) -> np.ndarray:
    """..., C, H, W -> ..., H, W, C; with one channel this moves no bytes."""
    return np.ascontiguousarray(np.moveaxis(images, -3, -1))
