"""The protocol in PyTorch. See harness/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from backends.torch import weights as table
from backends.torch.model import build
from harness.network import Network

Pair = tuple[torch.Tensor, torch.Tensor]
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """Eager PyTorch."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._device = torch.device("cuda" if device == "gpu" else "cpu")
        self._dtype = getattr(torch, dtype)
        self._feed = feed
        self._recipe = recipe
        self._model = build(network, device=self._device, dtype=self._dtype)

    @staticmethod
    def devices() -> list[str]:
        return ["cpu", "gpu"] if torch.cuda.is_available() else ["cpu"]

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        table.load(self._model, weights)
        self._optimizer = torch.optim.SGD(
            self._model.parameters(),
            lr=self._recipe.learning_rate,
            momentum=self._recipe.momentum,
            fused=True,
        )

    def set_learning_rate(self, value: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = value

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.dump(self._model)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return (
            torch.from_numpy(images).to(self._device, self._dtype),
            torch.from_numpy(labels).to(self._device, torch.int64),
        )

    def use_dataset(self, dataset: Pair) -> None:
        self._dataset = dataset

    def _batches(self, batches: Sequence[HostBatch] | np.ndarray) -> Iterator[Pair]:
        if self._feed == "device":
            images, labels = self._dataset
            for index in torch.from_numpy(batches).to(self._device):
                yield images[index], labels[index]
        else:
            for host_images, host_labels in batches:
                yield self.put(images=host_images, labels=host_labels)

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[torch.Tensor]:
        losses = []
        for images, labels in self._batches(batches):
            self._optimizer.zero_grad()
            loss = F.cross_entropy(self._model(images), labels)
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach())
        return losses

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        images, labels = next(self._batches(batch[None] if self._feed == "device" else [batch]))
        return images.cpu().numpy(), labels.cpu().numpy()

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        self._optimizer.zero_grad()
        self.loss(batch).backward()
        return table.gradients(self._model)

    def loss(self, batch: Pair) -> torch.Tensor:
        images, labels = batch
        return F.cross_entropy(self._model(images), labels)

    @torch.inference_mode()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self._model(images)

    def synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def to_numpy(self, value: torch.Tensor | list[torch.Tensor]) -> np.ndarray:
        tensor = torch.stack(value) if isinstance(value, list) else value
        return tensor.detach().cpu().numpy()

    def memory(self) -> tuple[int | None, str]:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(), "torch.cuda.max_memory_allocated"
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        return {
            "version": torch.__version__,
            "threads": str(torch.get_num_threads()),
            "layout": "NCHW",
            "fast_math": f"tf32={torch.backends.cudnn.allow_tf32}",
            "optimizer": "torch.optim.SGD(fused=True)",
            "compiler": f"oneDNN {torch.backends.mkldnn.is_available()}",
        }
