"""The protocol in MXNet Gluon. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.contrib import amp
from threadpoolctl import threadpool_info

from backends.mxnet import weights as table
from backends.mxnet.model import build
from backends.mxnet.optimizer import make_optimizer
from harness.spec.network import Network
from harness.spec.precision import array_dtype

Pair = tuple[mx.nd.NDArray, mx.nd.NDArray]
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """Gluon, hybridized or imperative."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        self._context = mx.gpu() if device == "gpu" else mx.cpu()
        self._dtype = np.dtype(array_dtype(dtype))
        self._mixed = dtype == "bfloat16"
        if self._mixed:
            # Once for a process, before there are blocks: it exchanges MXNet's operators.
            amp.init(target_dtype="bfloat16")
        self._feed = feed
        self._recipe = recipe
        self._names = list(network.parameter_shapes())
        self._model = build(network, dtype=array_dtype(dtype))
        self._model.initialize(mx.init.Zero(), ctx=self._context)
        self._parameters = self._model.collect_params()
        self._losses = gluon.loss.SoftmaxCrossEntropyLoss()
        if mode == "hybrid":
            self._model.hybridize(static_alloc=True, static_shape=True)
            self._losses.hybridize(static_alloc=True, static_shape=True)

    @staticmethod
    def devices() -> list[str]:
        return ["cpu", "gpu"] if mx.context.num_gpus() else ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        mx.nd.zeros(1, ctx=mx.gpu()).wait_to_read()

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        table.load(self._parameters, weights)
        self._trainer = gluon.Trainer(self._parameters, make_optimizer(self._recipe), kvstore=None)

    def set_learning_rate(self, value: float) -> None:
        # v holds the learning rate (v <- m v - lr g), so what is in it must be scaled with it. Gluon has no
        # public way to the velocities; the updater's states are what `Trainer.save_states` writes.
        scale = value / self._trainer.learning_rate
        self._trainer.set_learning_rate(value)
        if self._recipe.optimizer != "sgd" or not self._recipe.momentum:
            return
        for velocity in self._trainer._updaters[0].states.values():
            velocity *= scale

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.dump(self._parameters, self._names)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return (
            mx.nd.array(images, ctx=self._context, dtype=self._dtype),
            mx.nd.array(labels, ctx=self._context, dtype=np.int32),
        )

    def use_dataset(self, dataset: Pair) -> None:
        self._dataset = dataset

    def _batches(self, batches: Sequence[HostBatch] | np.ndarray) -> Iterator[Pair]:
        for batch in batches:
            if self._feed == "device":
                images, labels = self._dataset
                index = mx.nd.array(batch, ctx=self._context, dtype=np.int32)
                yield mx.nd.take(images, index), mx.nd.take(labels, index)
            else:
                host_images, host_labels = batch
                yield self.put(images=host_images, labels=host_labels)

    def _forward(self, images: mx.nd.NDArray) -> mx.nd.NDArray:
        return self._float(self._model(images))

    def _float(self, value: mx.nd.NDArray) -> mx.nd.NDArray:
        return mx.nd.amp_cast(value, dtype="float32") if self._mixed else value

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[mx.nd.NDArray]:
        means = []
        for images, labels in self._batches(batches):
            with autograd.record():
                losses = self._losses(self._forward(images), labels)
            losses.backward()
            # MXNet divides the gradients, which are of the summed loss.
            self._trainer.step(len(images) / self._recipe.loss_factor(len(images)))
            means.append(losses.mean())
        return means

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        images, labels = next(self._batches([batch]))
        return images.asnumpy(), labels.asnumpy()

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        images, labels = batch
        with autograd.record():
            losses = self._losses(self._forward(images), labels)
        losses.backward()
        return table.gradients(self._parameters, self._names, scale=1 / len(images))

    def loss(self, batch: Pair) -> mx.nd.NDArray:
        images, labels = batch
        return self._losses(self._forward(images), labels).mean()

    def logits(self, images: mx.nd.NDArray) -> mx.nd.NDArray:
        return self._forward(images)

    def activations(self, images: mx.nd.NDArray) -> dict[str, np.ndarray]:
        found = {}
        for block in self._model:
            images = block(images)
            found[block.name] = self._float(images).asnumpy()
        return found

    def synchronize(self) -> None:
        mx.nd.waitall()

    def to_numpy(self, value: mx.nd.NDArray | list[mx.nd.NDArray]) -> np.ndarray:
        if isinstance(value, list):
            return np.concatenate([scalar.asnumpy() for scalar in value])
        return value.asnumpy()

    def memory(self) -> tuple[int | None, str]:
        if self._context.device_type == "gpu":
            free, total = mx.context.gpu_memory_info()
            return total - free, "mxnet.context.gpu_memory_info, now and of all processes"
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        features = mx.runtime.Features()
        return {
            "version": mx.__version__,
            "threads": str(max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")),
            "layout": "NCHW",
            "fast_math": "amp bfloat16" if self._mixed else "none",
            "optimizer": f"gluon.Trainer {type(make_optimizer(self._recipe)).__name__}, kvstore=None",
            "compiler": f"oneDNN {features.is_enabled('MKLDNN')}, OpenMP {features.is_enabled('OPENMP')}",
        }
