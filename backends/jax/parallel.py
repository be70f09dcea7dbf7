"""The same with replicas: arrays with a sharding over several devices, as JAX's guides to parallel programming teach.

A replica is a device. Weights are on all of them, each device has its part of the batch, and the jitted step is the
same: XLA adds the sum over devices where the mean over the batch is. On a CPU the devices are made up, and share the
process and its threads. A batch that does not divide is computed whole on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from backends.jax import backend as alone
from harness.spec.replicas import Replica


class Backend(alone.Backend):
    """All replicas."""

    def __init__(self, *, replica: Replica, device: str, **options: Any) -> None:
        self._replicas = replica.count
        if device == "cpu":
            # Before JAX looks for devices, and once: a process may build several of these.
            jax.config.update("jax_num_cpu_devices", replica.count)
        super().__init__(device=device, **options)
        mesh = Mesh(np.array(jax.devices(device)[: replica.count]), ("batch",))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._shared_out = NamedSharding(mesh, PartitionSpec("batch"))
        # All weights, and the same as the first device has them.
        self._seen: Any = (None, None)

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        super().load_weights(weights)
        self._parameters, self._moments = jax.device_put((self._parameters, self._moments), self._everywhere)

    def set_learning_rate(self, value: float) -> None:
        rate = jax.device_put(self._dtype.type(value), self._everywhere)
        self._moments.hyperparams["learning_rate"] = rate

    def use_dataset(self, dataset: alone.Pair) -> None:
        super().use_dataset(jax.device_put(dataset, self._everywhere))

    def _share_out(self, batch: Any) -> Any:
        """Arrays whose first axis is the batch, a part on each device."""
        (size,) = {len(each) for each in jax.tree.leaves(batch)}
        return jax.device_put(batch, self._everywhere if size % self._replicas else self._shared_out)

    def train_steps(self, batches: Sequence[alone.HostBatch] | np.ndarray) -> list[jax.Array]:
        parameters, moments = self._parameters, self._moments
        losses = []
        for batch in batches:
            if self._feed == "device":
                index = self._share_out(batch)
                parameters, moments, loss = self._gather_step(parameters, moments, self._dataset, index)
            else:
                images, labels = self._share_out((alone._channels_last(batch[0]), batch[1]))
                parameters, moments, loss = self._step(parameters, moments, images, labels)
            losses.append(loss)
        self._parameters, self._moments = parameters, moments
        return losses

    def read_back(self, batch: alone.HostBatch | np.ndarray) -> alone.HostBatch:
        if self._feed == "device":
            images, labels = self._gather(self._dataset, self._share_out(batch))
        else:
            images, labels = self._share_out((alone._channels_last(batch[0]), batch[1]))
        return np.asarray(images).transpose(0, 3, 1, 2), np.asarray(labels)

    def _on_first(self) -> Any:
        """The weights as the first device has them."""
        if self._seen[0] is not self._parameters:
            of_first = jax.tree.map(lambda value: value.addressable_data(0), self._parameters)
            self._seen = self._parameters, of_first
        return self._seen[1]

    def logits(self, images: jax.Array) -> jax.Array:
        logits = self._forward(self._on_first(), images)
        self._pending.append(logits)
        return logits

    def activations(self, images: jax.Array) -> dict[str, np.ndarray]:
        together, self._parameters = self._parameters, self._on_first()
        found = super().activations(images)
        self._parameters = together
        return found

    def describe(self) -> dict[str, str]:
        found = super().describe()
        return found | {"threads": str(int(found["threads"]) // self._replicas)}

    def gradients(self, batch: alone.Pair) -> dict[str, np.ndarray]:
        return super().gradients(self._share_out(batch))

    def loss(self, batch: alone.Pair) -> jax.Array:
        return super().loss(self._share_out(batch))
