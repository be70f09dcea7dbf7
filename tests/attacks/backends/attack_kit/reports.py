"""Mistakes in what a backend tells: losses, weights, logits, gradients; and in the images that inference looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.attack_kit.attack import Attack
from backends.attack_kit.wrapper import Weights, Wrapper, contiguous


class LossesAfter(Wrapper):
    """A loss is taken after its update."""

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for one in self.one_by_one(batches):
            self.train_one(one)
            losses.append(self.loss_of(one)[0])
        return np.array(losses)


class LossesLate(Wrapper):
    """Every loss is that of the step before."""

    last = 0.0

    def train_steps(self, batches: Any) -> Any:
        found = self.to_numpy(super().train_steps(batches))
        losses, self.last = np.concatenate([[self.last], found[:-1]]), float(found[-1])
        return losses


def _losses(change: Callable[[np.ndarray, int], np.ndarray]) -> type:
    """What is said of the losses of a block is changed: (losses, images of a batch) -> losses."""

    class Losses(Wrapper):
        def train_steps(self, batches: Any) -> Any:
            images = len(batches[0]) if self.feed == "device" else len(batches[0][1])
            return change(self.to_numpy(super().train_steps(batches)), images)

    return Losses


class LossesOverwritten(Wrapper):
    """Losses of all blocks lie in one buffer."""

    def begin(self) -> None:
        self.buffers: dict[int, np.ndarray] = {}

    def train_steps(self, batches: Any) -> Any:
        losses = self.to_numpy(super().train_steps(batches))
        buffer = self.buffers.setdefault(len(losses), np.empty_like(losses))
        buffer[:] = losses
        return buffer


class LossWithDecay(Wrapper):
    """The loss that is told has the weight decay's penalty in it."""

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for one in self.one_by_one(batches):
            penalty = sum(float((value.astype(float) ** 2).sum()) for value in self.dump_weights().values())
            losses.append(self.train_one(one) + self.recipe.weight_decay / 2 * penalty)
        return np.array(losses)


class DumpedBefore(Wrapper):
    """Weights are those of before the last step."""

    before: Weights | None = None

    def load_weights(self, weights: Weights) -> None:
        self.before = None
        super().load_weights(weights)

    def train_steps(self, batches: Any) -> Any:
        first = super().train_steps(batches[:-1]) if len(batches) > 1 else np.zeros(0)
        first = self.to_numpy(first)
        self.before = self.right.dump_weights()
        return np.append(first, self.train_one(batches[-1:]))

    def dump_weights(self) -> Weights:
        return super().dump_weights() if self.before is None else self.before


class DumpedAverage(Wrapper):
    """Weights are an average over the last steps."""

    average: Weights | None = None

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        self.average = self.right.dump_weights()

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for one in self.one_by_one(batches):
            losses.append(self.train_one(one))
            now = self.right.dump_weights()
            self.average = {name: 0.5 * self.average[name] + 0.5 * now[name] for name in now}  # type: ignore[index]
        return np.array(losses)

    def dump_weights(self) -> Weights:
        return self.average  # type: ignore[return-value]


class StaleLogits(Wrapper):
    """Inference has the weights that were loaded, not those that were trained."""

    loaded: Weights | None = None

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        self.loaded = self.right.dump_weights()

    def logits(self, images: Any) -> Any:
        trained = self.right.dump_weights()
        self.right.set_parameters(self.loaded)
        logits = self.right.to_numpy(self.right.logits(images))
        self.right.set_parameters(trained)
        return logits


class FirstImages(Wrapper):
    """Inference looks at the images that were handed over first."""

    first: np.ndarray | None = None

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        if self.first is None:
            self.first = images.copy()
        elif len(images) <= len(self.first):
            # Training looks at its own; what is put is inferred on.
            images = self.first[: len(images)]
        return super().put(images=images, labels=labels)


class Slot:
    """A place on the device: whoever looks at it sees what was put there last."""

    def __init__(self, owner: Any, part: int) -> None:
        self.owner, self.part = owner, part


class OneBuffer(Wrapper):
    """All images that are handed over lie in one buffer."""

    last: Any = None

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        self.last = super().put(images=images, labels=labels)
        return Slot(self, 0), Slot(self, 1)

    def _look(self, slot: Any) -> Any:
        return self.last[slot.part] if isinstance(slot, Slot) else slot

    def use_dataset(self, dataset: Any) -> None:
        super().use_dataset(tuple(map(self._look, dataset)))

    def logits(self, images: Any) -> Any:
        return super().logits(self._look(images))

    def activations(self, images: Any) -> Weights:
        return super().activations(self._look(images))

    def loss(self, batch: Any) -> Any:
        return super().loss(tuple(map(self._look, batch)))

    def gradients(self, batch: Any) -> Weights:
        return super().gradients(tuple(map(self._look, batch)))

    def to_numpy(self, value: Any) -> np.ndarray:
        return super().to_numpy(self._look(value))


def _logits(change: Callable[[np.ndarray], np.ndarray]) -> type:
    """What inference gives back is changed."""

    class Logits(Wrapper):
        def logits(self, images: Any) -> Any:
            return contiguous(change(self.right.to_numpy(super().logits(images))))[0]

    return Logits


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


class GradientsOfSum(Wrapper):
    def gradients(self, batch: Any) -> Weights:
        images = len(self.right.to_numpy(batch[1]))
        return {name: value * value.dtype.type(images) for name, value in super().gradients(batch).items()}


_DECAY = {"options": ("--optimizer", "decay")}
MISTAKES = {
    "losses-after-update": Attack("tells the loss after the update", LossesAfter),
    "losses-late": Attack("tells the loss of the step before", LossesLate),
    "losses-all-last": Attack(
        "tells the last loss of a block for all", _losses(lambda losses, images: np.full_like(losses, losses[-1]))
    ),
    "losses-running-mean": Attack(
        "tells the mean of the losses of a block so far",
        _losses(lambda losses, images: np.cumsum(losses) / np.arange(1, len(losses) + 1)),
    ),
    "losses-summed": Attack("tells the sum over a batch", _losses(lambda losses, images: losses * images)),
    "losses-too-few": Attack("tells one loss a block", _losses(lambda losses, images: losses[-1:])),
    "losses-float16": Attack("tells losses in float16", _losses(lambda losses, images: losses.astype(np.float16))),
    "losses-overwritten": Attack(
        "keeps the losses of all blocks in one buffer",
        LossesOverwritten,
        caught_by="losses that are read after the next block",
    ),
    "losses-with-decay": Attack("tells losses with the decay's penalty in them", LossWithDecay, **_DECAY),
    "dumped-before-update": Attack("dumps the weights of before the last step", DumpedBefore),
    "dumped-average": Attack("dumps an average over steps", DumpedAverage),
    "logits-stale": Attack("infers with the weights that were loaded", StaleLogits),
    "logits-of-first-images": Attack("infers on the images that were handed over first", FirstImages),
    "images-in-one-buffer": Attack(
        "keeps all images that it is handed in one buffer",
        OneBuffer,
        caught_by="images that are handed over before others are inferred on",
    ),
    "logits-softmax": Attack("gives back probabilities", _logits(_softmax)),
    "logits-log-softmax": Attack(
        "gives back logarithms of probabilities", _logits(lambda logits: np.log(_softmax(logits)))
    ),
    "logits-float16": Attack("gives back logits in float16", _logits(lambda logits: logits.astype(np.float16))),
    "logits-reversed": Attack(
        "gives back the logits of a batch from the last to the first", _logits(lambda logits: logits[::-1])
    ),
    "gradients-of-sum": Attack("tells the gradients of the summed loss", GradientsOfSum),
}
