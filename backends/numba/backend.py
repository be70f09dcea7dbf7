"""The protocol in numba. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import llvmlite
import numba
import numpy as np

from backends.numba import ends
from backends.numba.grid import Value, address_of, aligned
from backends.numba.model import Model
from backends.numba.vector import find_target
from harness.spec.network import Network
from harness.spec.precision import array_dtype

# Blocks that inference takes at once: what they leave behind stays in the processor's second cache.
AT_ONCE = 4
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """Kernels for the shapes of one network."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        if threads > 1:
            raise ValueError(f"The backend numba computes with one thread, got {threads}. Give --threads 1.")
        self._network, self._recipe, self._feed = network, recipe, feed
        self._dtype = np.dtype(array_dtype(dtype))
        self._target = find_target(dtype)
        self._model = Model(network, recipe, self._target)
        self._random = np.random.default_rng(0)
        self._nothing = aligned(network.input_shape, dtype)
        self._scalars = self._model.ends.scalars[1]

    @staticmethod
    def devices() -> list[str]:
        return ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        """There is the CPU alone."""

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        model = self._model
        model.places.load(model.parameters[1], weights)
        model.moments[0][1][:] = model.moments[1][1][:] = 0
        self._steps = 0
        self.set_learning_rate(self._recipe.learning_rate)

    def set_learning_rate(self, value: float) -> None:
        self._rate = self._scalars[ends.RATE] = value

    def dump_weights(self) -> dict[str, np.ndarray]:
        return self._model.places.dump(self._model.parameters[1])

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> HostBatch:
        # Pixels that lie across two lines of the cache take half as long again to be put into lanes.
        kept = aligned(images.shape, self._dtype.name)
        kept[...] = images
        return kept, np.array(labels, np.int32)

    def use_dataset(self, dataset: HostBatch) -> None:
        self._dataset = dataset

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[float]:
        return [self._step(batch) for batch in batches]

    def _step(self, batch: HostBatch | np.ndarray) -> float:
        count = self._take(batch)
        factor = self._recipe.loss_factor(count)
        loss = self._loss_and_gradients(count, factor)
        if self._recipe.optimizer == "adam":
            self._steps += 1
            corrections = math.sqrt(1 - self._recipe.beta2**self._steps) / (1 - self._recipe.beta1**self._steps)
            self._scalars[ends.ADAM_RATE] = self._rate * corrections
        self._model.update.run(0)
        return loss

    def _loss_and_gradients(self, count: int, factor: float) -> float:
        """Of the batch that was taken; the gradients are of the mean loss times the factor."""
        model, blocks = self._model, self._blocks(count)
        self._drop(blocks)
        self._scalars[ends.SHARE] = factor / count
        model.forward.run(blocks)
        model.backward.run(blocks)
        return float(model.ends.loss[1][0])

    def _blocks(self, count: int) -> int:
        return -(-count // self._target.lanes)

    def _drop(self, blocks: int) -> None:
        """Draw anew what dropout drops."""
        for number, keep in self._model.dropped:
            factors = self._model.memory.arrays[number][:blocks].view(self._dtype)
            if keep < 1:
                factors[...] = self._random.random(factors.shape, np.float32) < keep
                factors /= self._dtype.type(keep)
            else:
                factors[...] = 1

    def _take(self, batch: HostBatch | np.ndarray) -> int:
        """Let the kernels find a batch; return how many images it has."""
        if self._feed == "device":
            (images, labels), index = self._dataset, batch
            labels = labels[index]
        else:
            (images, labels), index = batch, None
            images = np.ascontiguousarray(images, self._dtype)
        self._place(self._model, images, index, len(labels))
        kept = self._model.memory.arrays[self._model.ends.labels][: self._blocks(len(labels))]
        kept = kept.view(f"i{self._target.size}").reshape(-1)
        kept[: len(labels)], kept[len(labels) :] = labels, -1
        self._model.ends.count[1][0] = len(labels)
        return len(labels)

    def _place(self, model: Model, images: np.ndarray, index: np.ndarray | None, count: int) -> None:
        """Write where each image is; lanes that are left over have an empty one."""
        blocks = self._blocks(count)
        model.memory.reserve(blocks)
        # Until the next batch is placed, the images must stay.
        self._images = images
        rows = model.memory.arrays[model.ends.rows][:blocks].view(np.int64).reshape(-1)
        rows[:count] = np.arange(count) if index is None else index
        rows[:count] *= images[0].nbytes
        rows[:count] += address_of(images)
        rows[count:] = address_of(self._nothing)

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        count = self._take(batch)
        self._model.pack.run(self._blocks(count))
        labels = self._model.memory.arrays[self._model.ends.labels].view(f"i{self._target.size}").reshape(-1)
        return self._read(self._model, self._model.x, count), labels[:count].astype(np.int32)

    def _read(self, model: Model, grid: Value, count: int) -> np.ndarray:
        """A value as (count, channels, height, width)."""
        found = self._values(model, grid, count)[:, grid.vectors()].swapaxes(1, 2)
        return np.ascontiguousarray(found.reshape(-1, grid.channels, grid.height, grid.width)[:count])

    def _values(self, model: Model, value: Value, count: int) -> np.ndarray:
        """A value as it lies: (blocks, vectors, lanes)."""
        blocks = self._blocks(count)
        return model.memory.arrays[value.number][:blocks].view(self._dtype).reshape(blocks, -1, self._target.lanes)

    def gradients(self, batch: HostBatch) -> dict[str, np.ndarray]:
        self._loss_of(batch)
        return self._model.places.dump(self._model.gradients[1])

    def loss(self, batch: HostBatch) -> float:
        return self._loss_of(batch)

    def _loss_of(self, batch: HostBatch) -> float:
        feed, self._feed = self._feed, "host"
        count = self._take(batch)
        self._feed = feed
        return self._loss_and_gradients(count, 1.0)

    def logits(self, images: np.ndarray) -> np.ndarray:
        model, lanes, count, classes = self._model, self._target.lanes, len(images), self._network.classes
        found = np.empty((count, classes), self._dtype)
        # A few images are sooner done one by one than in a block that is hardly filled.
        alone = count % lanes if count % lanes <= lanes // 2 and model.single else 0
        for first in range(0, count - alone, AT_ONCE * lanes):
            part = images[first : min(first + AT_ONCE * lanes, count - alone)]
            self._infer(model, part)
            values = self._values(model, model.stages[-1].value, len(part))[:, :classes]
            found[first : first + len(part)] = values.swapaxes(1, 2).reshape(-1, classes)[: len(part)]
        if alone:
            model.memory.reserve(1)
            (program, logits), rows = model.single, model.memory.arrays[model.ends.rows][0].view(np.int64)
            start, size = address_of(images), images[0].nbytes
            for one in range(count - alone, count):
                rows[0] = start + one * size
                program.run(1)
                found[one] = logits
        return found

    def _infer(self, model: Model, images: np.ndarray) -> None:
        blocks = self._blocks(len(images))
        self._place(model, images, None, len(images))
        for number, _ in model.dropped:
            model.memory.arrays[number][:blocks].view(self._dtype)[...] = 1
        model.forward.run(blocks)

    def activations(self, images: np.ndarray) -> dict[str, np.ndarray]:
        model = self._layers
        model.parameters[1][:] = self._model.parameters[1]
        self._infer(model, images)
        shapes = {row.layer.name: row.output_shape for row in self._network.summary()}
        found = {stage.name: self._read(model, stage.value, len(images)) for stage in model.stages}
        return {name: value.reshape(len(images), *shapes[name]) for name, value in found.items()}

    @cached_property
    def _layers(self) -> Model:
        return Model(self._network, self._recipe, self._target, fused=False)

    def synchronize(self) -> None:
        """Kernels return when they are done."""

    def to_numpy(self, value: np.ndarray | float | list[float]) -> np.ndarray:
        return np.array(value, self._dtype)

    def memory(self) -> tuple[int | None, str]:
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        target = self._target
        return {
            "version": numba.__version__,
            "threads": "1",
            "layout": f"images innermost, {target.lanes} a vector",
            "fast_math": "none",
            "optimizer": f"{self._recipe.optimizer}, a kernel over all parameters",
            "compiler": f"llvmlite {llvmlite.__version__}, {target.registers} registers of {target.bytes} bytes"
            + ", FMA" * target.fma,
        }
