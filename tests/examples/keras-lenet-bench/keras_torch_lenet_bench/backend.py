"""The protocol in Keras on PyTorch. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from harness.spec.axes import Arrays
from harness.spec.common import Pair
from harness.spec.network import Network

from .common import KerasBackend


class Backend(KerasBackend):
    """A network in Keras, trained by PyTorch's autograd and Keras's optimizer."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        super().__init__(network=network, recipe=recipe, feed=feed, dtype=dtype)

    def native(self, value: np.ndarray) -> torch.Tensor:
        return torch.tensor(value)

    def dump_weights(self) -> Arrays:
        return self.canonical([variable.value.detach() for variable in self.model.trainable_variables])

    def set_learning_rate(self, value: float) -> None:
        before = float(self.optimizer.learning_rate.value)
        self.optimizer.learning_rate.assign(value)
        if self.recipe.momentum:
            # Keras's v holds the learning rate (v <- m v - lr g), so what is in it must be scaled with it.
            for velocity in self.optimizer.momentums:
                velocity.assign(velocity * (value / before))

    def gathered(self, index: np.ndarray) -> Pair:
        return super().gathered(torch.from_numpy(index))

    def _backward(self, images: torch.Tensor, labels: torch.Tensor, factor: float) -> torch.Tensor:
        self.model.zero_grad()
        loss = self.mean_loss(labels, self.model(images, training=True))
        (loss if factor == 1 else loss * factor).backward()
        return loss.detach()

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = self._backward(images, labels, self.recipe.loss_factor(len(labels)))
        weights = self.model.trainable_weights
        with torch.no_grad():
            gradients = self.decayed([weight.value.grad for weight in weights], [weight.value for weight in weights])
            self.optimizer.apply(gradients, weights)
        return loss

    def gradients(self, batch: Pair) -> Arrays:
        self._backward(*batch, 1.0)
        return self.canonical([weight.value.grad for weight in self.model.trainable_weights])

    def loss(self, batch: Pair) -> torch.Tensor:
        images, labels = batch
        return self.mean_loss(labels, self.model(images, training=True)).detach()

    @torch.no_grad()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images, training=False)

    @torch.no_grad()
    def activations(self, images: torch.Tensor) -> Arrays:
        return super().activations(images)

    def describe(self) -> dict[str, str]:
        return self.described(
            torch=torch.__version__,
            threads=str(torch.get_num_threads()),
            compiler=f"oneDNN {torch.backends.mkldnn.is_available()}",
        )
