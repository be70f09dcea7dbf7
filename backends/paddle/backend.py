"""The protocol in PaddlePaddle. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import paddle
from threadpoolctl import threadpool_info

from backends.paddle import weights as table
from backends.paddle.model import build, make_functions
from backends.paddle.optimizer import make_optimizer, name_of
from harness.spec.network import Network

Pair = tuple[paddle.Tensor, paddle.Tensor]
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """Paddle, dynamic, in either form of a convolution's bias, or converted to a static graph."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        self._place = paddle.set_device(device)
        self._gpu = device == "gpu"
        self._dtype = dtype
        self._feed = feed
        self._recipe = recipe
        self._drops = network.drops
        self._model = build(network, dtype=dtype, apart=mode == "apart")
        self._forward, self._mean_loss = make_functions(self._model, mode=mode)

    @staticmethod
    def devices() -> list[str]:
        return ["cpu", "gpu"] if paddle.device.cuda.device_count() else ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        paddle.zeros([1]).to(device)

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        table.load(self._model, weights)
        self._optimizer = make_optimizer(self._model.parameters(), self._recipe)

    def set_learning_rate(self, value: float) -> None:
        self._optimizer.set_lr(value)

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.dump(self._model)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return (
            paddle.to_tensor(images, dtype=self._dtype, place=self._place),
            paddle.to_tensor(labels, dtype="int32", place=self._place),
        )

    def use_dataset(self, dataset: Pair) -> None:
        self._dataset = dataset

    def _batches(self, batches: Sequence[HostBatch] | np.ndarray) -> Iterator[Pair]:
        for batch in batches:
            if self._feed == "device":
                images, labels = self._dataset
                index = paddle.to_tensor(batch, place=self._place)
                yield paddle.gather(images, index), paddle.gather(labels, index)
            else:
                host_images, host_labels = batch
                yield self.put(images=host_images, labels=host_labels)

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[paddle.Tensor]:
        losses = []
        for images, labels in self._batches(batches):
            loss = self._mean_loss(images, labels)
            factor = self._recipe.loss_factor(len(labels))
            (loss if factor == 1 else loss * factor).backward()
            self._optimizer.step()
            self._optimizer.clear_grad()
            losses.append(loss.detach())
        return losses

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        images, labels = next(self._batches([batch]))
        return images.numpy(), labels.numpy()

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        self.loss(batch).backward()
        gradients = table.gradients(self._model)
        self._optimizer.clear_grad()
        return gradients

    def loss(self, batch: Pair) -> paddle.Tensor:
        return self._mean_loss(*batch)

    @paddle.no_grad()
    def logits(self, images: paddle.Tensor) -> paddle.Tensor:
        if not self._drops:
            return self._forward(images)
        self._model.eval()
        logits = self._forward(images)
        self._model.train()
        return logits

    @paddle.no_grad()
    def activations(self, images: paddle.Tensor) -> dict[str, np.ndarray]:
        self._model.eval()
        found = {}
        for name, layer in self._model.named_children():
            images = layer(images)
            found[name] = images.numpy()
        self._model.train()
        return found

    def synchronize(self) -> None:
        if self._gpu:
            paddle.device.synchronize()

    def to_numpy(self, value: paddle.Tensor | list[paddle.Tensor]) -> np.ndarray:
        return np.array([scalar.numpy() for scalar in value]) if isinstance(value, list) else value.numpy()

    def memory(self) -> tuple[int | None, str]:
        if self._gpu:
            return paddle.device.cuda.max_memory_allocated(), "paddle.device.cuda.max_memory_allocated"
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        onednn = paddle.get_flags(["FLAGS_use_mkldnn"])["FLAGS_use_mkldnn"]
        return {
            "version": paddle.__version__,
            "threads": str(max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")),
            "layout": "NCHW",
            "fast_math": "none",
            "optimizer": f"paddle.optimizer.{name_of(self._recipe)}",
            "compiler": f"MKL {paddle.version.mkl()}, oneDNN {onednn}",
        }
