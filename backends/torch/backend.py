"""The protocol in PyTorch. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from backends.torch import weights as table
from backends.torch.model import build, mixed
from backends.torch.optimizer import forget, make_optimizer, name_of
from backends.torch.steps import Pair, make_step
from harness.spec.network import Network
from harness.spec.precision import array_dtype

HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """PyTorch, eager in either layout, compiled or captured."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == "tf32"
        self._device = torch.device("cuda" if device == "gpu" else "cpu")
        self._dtype = getattr(torch, array_dtype(dtype))
        self._mode = mode
        self._feed = feed
        self._recipe = recipe
        self._layout = torch.channels_last if mode == "channels-last" else torch.contiguous_format
        self._model = build(network, device=self._device, dtype=self._dtype).to(memory_format=self._layout)
        self._drops = network.drops
        self._mixed = dtype == "bfloat16"
        self._forward = mixed(self._model) if self._mixed else self._model
        self._predict, self._train_loss = self._forward, self._mean_loss
        self._optimizer: torch.optim.Optimizer | None = None
        if mode == "compiled":
            self._predict = torch.compile(self._forward)
            # A program for each batch size: one for all sizes would be slower for each of them.
            self._train_loss = torch.compile(self._mean_loss, dynamic=False)

    @staticmethod
    def devices() -> list[str]:
        return ["cpu", "gpu"] if torch.cuda.is_available() else ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        torch.zeros(1, device="cuda")

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        table.load(self._model, weights)
        if self._mode == "cuda-graph" and self._optimizer:
            # Addresses are constants of what was captured: what lies there is set back, and nothing is captured anew.
            forget(self._optimizer)
            self.set_learning_rate(self._recipe.learning_rate)
            return
        self._optimizer = make_optimizer(self._model, self._recipe, mode=self._mode)
        self._step = make_step(self._mode, self._train_loss, self._optimizer, self._factor)

    def _factor(self, images: int) -> float:
        return float(self._recipe.loss_factor(images))

    def _mean_loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self._forward(images), labels)

    def set_learning_rate(self, value: float) -> None:
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.dump(self._model)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return (
            torch.from_numpy(images).to(self._device, self._dtype, memory_format=self._layout),
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
        return [self._step(images, labels) for images, labels in self._batches(batches)]

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        images, labels = next(self._batches(batch[None] if self._feed == "device" else [batch]))
        return images.cpu().numpy(), labels.cpu().numpy()

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        self._optimizer.zero_grad()
        self.loss(batch).backward()
        return table.gradients(self._model)

    def loss(self, batch: Pair) -> torch.Tensor:
        return self._mean_loss(*batch)

    @torch.inference_mode()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        if not self._drops:
            return self._predict(images)
        self._model.eval()
        logits = self._predict(images)
        self._model.train()
        return logits

    @torch.inference_mode()
    def activations(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        self._model.eval()
        found = {}
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            for name, module in self._model.named_children():
                images = module(images)
                found[name] = images.to(self._dtype).cpu().numpy()
        self._model.train()
        return found

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
            "layout": "NHWC" if self._mode == "channels-last" else "NCHW",
            "fast_math": f"tf32={torch.backends.cudnn.allow_tf32}",
            "optimizer": f"torch.optim.{name_of(self._recipe)}(fused=True)",
            "compiler": self._compiler(),
        }

    def _compiler(self) -> str:
        if self._device.type == "cpu":
            return "Inductor" if self._mode == "compiled" else f"oneDNN {torch.backends.mkldnn.is_available()}"
        libraries = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        libraries += ", Inductor" * (self._mode == "compiled")
        return f"{libraries}, {torch.cuda.get_device_name()}"
