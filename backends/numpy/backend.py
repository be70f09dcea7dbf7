"""The protocol in NumPy. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from backends.numpy import weights as table
from backends.numpy.model import Model, cross_entropy
from backends.numpy.optimizer import Optimizer
from harness.spec.network import Network
from harness.spec.precision import array_dtype

Pair = tuple[np.ndarray, np.ndarray]


class Backend:
    """The reference."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        if threads:
            threadpool_limits(threads)
        self._dtype = np.dtype(array_dtype(dtype))
        self._feed = feed
        self._recipe = recipe
        self._model = Model(network, dtype)
        # Verification's: errors that another framework is known to make (harness/proof/rounding.py).
        self.errors: Any = None

    @staticmethod
    def devices() -> list[str]:
        return ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        """NumPy has no other device than the CPU."""

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        self._parameters = table.to_native(weights, self._dtype)
        self._optimizer = Optimizer(self._recipe, self._parameters, self.errors)

    def set_learning_rate(self, value: float) -> None:
        self._optimizer.learning_rate = value

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.to_canonical(self._parameters)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return np.asarray(images, self._dtype), labels

    def use_dataset(self, dataset: Pair) -> None:
        self._dataset = dataset

    def _batch(self, batch: Pair | np.ndarray) -> Pair:
        if self._feed == "device":
            images, labels = self._dataset
            return images[batch], labels[batch]
        images, labels = batch
        return self.put(images=images, labels=labels)

    def train_steps(self, batches: Sequence[Pair] | np.ndarray) -> list[np.ndarray]:
        return [self._step(*self._batch(batch)) for batch in batches]

    def _step(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        loss, gradients = self._loss_and_gradients(images, labels)
        factor = self._recipe.loss_factor(len(labels))
        if self.errors is not None:
            factor *= 1 + self.errors.batch_mean(len(labels))
        if factor != 1:
            gradients = {name: gradient * factor for name, gradient in gradients.items()}
        self._optimizer.update(self._parameters, gradients)
        return loss

    def _loss_and_gradients(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        logits = self._model.forward(images, self._parameters, training=True)
        loss, d_logits = cross_entropy(logits, labels, self._log_softmax_errors(labels))
        return loss, self._model.backward(d_logits, self._parameters)

    def read_back(self, batch: Pair | np.ndarray) -> Pair:
        return self._batch(batch)

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        return self._loss_and_gradients(*batch)[1]

    def loss(self, batch: Pair) -> np.ndarray:
        images, labels = batch
        logits = self._model.forward(images, self._parameters, training=True)
        return cross_entropy(logits, labels, self._log_softmax_errors(labels))[0]

    def _log_softmax_errors(self, labels: np.ndarray) -> np.ndarray | None:
        return None if self.errors is None else self.errors.log_softmax(len(labels)).astype(self._dtype)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self._model.forward(images, self._parameters)

    def activations(self, images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = self._model.outputs(images, self._parameters)
        return {module.layer.name: output for module, output in zip(self._model.layers, outputs)}

    def synchronize(self) -> None:
        """NumPy returns when it is done."""

    def to_numpy(self, value: np.ndarray | list[np.ndarray]) -> np.ndarray:
        return np.asarray(value)

    def memory(self) -> tuple[int | None, str]:
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return {
            "version": np.__version__,
            "threads": str(max((pool["num_threads"] for pool in pools), default=1)),
            "layout": "NCHW",
            "fast_math": "none",
            "optimizer": f"{self._recipe.optimizer}, written out",
            "compiler": ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in pools),
        }
