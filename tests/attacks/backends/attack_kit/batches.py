"""Mistakes in the batches: which images, which labels, which indices, how many, in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.attack_kit.attack import PASSES, Attack
from backends.attack_kit.wrapper import Wrapper, contiguous

Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _batches(change: Change) -> type:
    """Trains on batches that are changed."""

    class Batches(Wrapper):
        def train_steps(self, batches: Any) -> Any:
            if self.feed == "device":
                return super().train_steps(batches)
            return super().train_steps([contiguous(*change(*batch)) for batch in batches])

    return Batches


def _pixels(change: Callable[[np.ndarray], np.ndarray]) -> type:
    """Trains and infers on images that are changed."""

    class Pixels(_batches(lambda images, labels: (change(images), labels))):  # type: ignore[misc]
        def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
            (images,) = contiguous(change(images))
            return super().put(images=images, labels=labels)

    return Pixels


def _indices(change: Callable[[np.ndarray], np.ndarray]) -> type:
    """Trains on other images of the resident data set than was said; what it reads back is right."""

    class Indices(Wrapper):
        def train_steps(self, batches: Any) -> Any:
            if self.feed == "device":
                (batches,) = contiguous(change(batches))
            return super().train_steps(batches)

    return Indices


class Reversed(Wrapper):
    """The batches of a block from the last to the first, their losses put back in order."""

    def train_steps(self, batches: Any) -> Any:
        return self.to_numpy(super().train_steps(batches[::-1]))[::-1].copy()


class FirstAlone(Wrapper):
    """Every step of a block on its first batch."""

    def train_steps(self, batches: Any) -> Any:
        return super().train_steps(
            [batches[0]] * len(batches) if self.feed == "host" else batches[:1].repeat(len(batches), 0)
        )


class Skipping(Wrapper):
    """Some batches are not trained on; their losses are computed all the same."""

    def begin(self) -> None:
        self.count = 0

    def skips(self, number: int, steps: int, images: int) -> bool:
        """Whether to skip a step, by its number in the block."""
        raise NotImplementedError

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for number, one in enumerate(self.one_by_one(batches)):
            images = len(one[0]) if self.feed == "device" else len(one[0][1])
            self.count += 1
            skips = self.skips(number, len(batches), images)
            losses.append(self.loss_of(one)[0] if skips else self.train_one(one))
        return np.array(losses)


class EveryTenth(Skipping):
    def skips(self, number: int, steps: int, images: int) -> bool:
        return self.count % 10 == 0


class LastOfBlock(Skipping):
    def skips(self, number: int, steps: int, images: int) -> bool:
        return steps > 1 and number == steps - 1


class Smaller(Skipping):
    largest = 0

    def skips(self, number: int, steps: int, images: int) -> bool:
        self.largest = max(self.largest, 64, images)
        return images < self.largest


class BeyondTen(Skipping):
    def skips(self, number: int, steps: int, images: int) -> bool:
        return number >= 10


class Padded(Wrapper):
    """Smaller batches are filled up to the usual size, because a program is compiled for that."""

    size = 64

    def fill(self, values: np.ndarray) -> np.ndarray:
        """Fill up by repetition."""
        return values[np.arange(self.size) % len(values)]

    def train_steps(self, batches: Any) -> Any:
        if self.feed == "host":
            batches = [contiguous(*map(self.fill, batch)) if len(batch[1]) < self.size else batch for batch in batches]
        return super().train_steps(batches)


class PaddedWithZeros(Padded):
    def fill(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.zeros((self.size - len(values), *values.shape[1:]), values.dtype)])


class PreviousIndices(Wrapper):
    """Images of the indices that were given a step before."""

    before: np.ndarray | None = None

    def train_steps(self, batches: Any) -> Any:
        if self.feed == "device":
            first = batches[:1] if self.before is None or self.before.shape != batches[:1].shape else self.before
            self.before = batches[-1:].copy()
            batches = np.concatenate([first, batches[:-1]])
        return super().train_steps(batches)


class HalfForTwoThreads(Wrapper):
    """Each thread is meant to have its share of a batch, and the first one's is all that is trained on."""

    def train_steps(self, batches: Any) -> Any:
        if self.threads > 1 and self.feed == "host":
            batches = [contiguous(images[::2], labels[::2]) for images, labels in batches]
        return super().train_steps(batches)


def _half(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = max(1, len(labels) // 2)
    return images[:count], labels[:count]


def _half_twice(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.concatenate([half, half]) for half in _half(images, labels))  # type: ignore[return-value]


def _exchanged(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == 3, 5, np.where(labels == 5, 3, labels)).astype(labels.dtype)


def _shifted(images: np.ndarray) -> np.ndarray:
    return np.roll(images, 1, axis=3)


def _ranges(indices: np.ndarray) -> np.ndarray:
    """Contiguous images from the first index on."""
    start = np.minimum(indices[:, :1], indices.max() + 1 - indices.shape[1]).clip(0)
    return start + np.arange(indices.shape[1])


_DEVICE: dict[str, Any] = {"options": ("--feed", "device"), "caught_by": "verification with the entrant's own feed"}
MISTAKES = {
    "images-shifted-by-one": Attack(
        "pairs every image with its neighbour's label", _batches(lambda x, y: (np.roll(x, 1, axis=0), y))
    ),
    "labels-shifted-by-one": Attack(
        "pairs every label with its neighbour's image", _batches(lambda x, y: (x, np.roll(y, 1)))
    ),
    "images-flipped": Attack("trains on mirrored images", _pixels(lambda x: x[:, :, :, ::-1])),
    "images-upside-down": Attack("trains on images that stand on their heads", _pixels(lambda x: x[:, :, ::-1])),
    "images-transposed": Attack("exchanges height and width", _pixels(lambda x: x.swapaxes(2, 3))),
    "images-shifted-a-pixel": Attack("pads on one side: images are shifted by a pixel", _pixels(_shifted)),
    "images-augmented": Attack(
        "still has its augmentation: training images are shifted by a pixel", _batches(lambda x, y: (_shifted(x), y))
    ),
    "pixels-to-255": Attack("forgets to scale pixels", _pixels(lambda x: x * x.dtype.type(255))),
    "pixels-scaled-twice": Attack("divides pixels by 255 twice", _pixels(lambda x: x / x.dtype.type(255))),
    "pixels-by-256": Attack("divides pixels by 256", _pixels(lambda x: x * x.dtype.type(255 / 256))),
    "pixels-standardised": Attack(
        "takes off the mean and divides by the spread, as tutorials do",
        _pixels(lambda x: (x - x.dtype.type(0.1307)) / x.dtype.type(0.3081)),
    ),
    "pixels-standardised-in-training": Attack(
        "does so in training alone", _batches(lambda x, y: ((x - x.dtype.type(0.1307)) / x.dtype.type(0.3081), y))
    ),
    "pixels-inverted": Attack("has black and white exchanged", _pixels(lambda x: 1 - x)),
    "pixels-float16": Attack("hands images over in float16", _pixels(lambda x: x.astype(np.float16).astype(x.dtype))),
    "pixels-seven-bits": Attack(
        "hands images over in seven bits", _batches(lambda x, y: (np.round(x * 127) / x.dtype.type(127), y))
    ),
    "half-batch": Attack("trains on the first half of every batch", _batches(_half)),
    "half-batch-twice": Attack("trains on the first half of every batch twice", _batches(_half_twice)),
    "last-image-left-out": Attack("leaves out the last image of every batch", _batches(lambda x, y: (x[:-1], y[:-1]))),
    "labels-one-higher": Attack("counts classes from one", _batches(lambda x, y: (x, ((y + 1) % 10).astype(y.dtype)))),
    "labels-exchanged": Attack("exchanges labels 3 and 5", _batches(lambda x, y: (x, _exchanged(y)))),
    "last-label-zero": Attack(
        "has label 0 for the last image of every batch",
        _batches(lambda x, y: (x, np.append(y[:-1], 0).astype(y.dtype))),
    ),
    "batch-reversed": Attack(
        "takes the images of a batch from the last to the first",
        _batches(lambda x, y: (x[::-1], y[::-1])),
        expected=PASSES,
        reason="equivalent: a mean has no order",
    ),
    "batches-reversed": Attack("takes the batches of a block from the last to the first", Reversed),
    "first-batch-alone": Attack("takes the first batch of a block for all of its steps", FirstAlone),
    "every-tenth-skipped": Attack("does not train on every tenth batch", EveryTenth),
    "last-of-block-skipped": Attack("does not train on the last batch of a block", LastOfBlock),
    "smaller-batch-dropped": Attack("does not train on batches that are smaller than the others", Smaller),
    "smaller-batch-padded": Attack(
        "fills up smaller batches by repetition", Padded, caught_by="a smaller batch that divides no other"
    ),
    "smaller-batch-padded-with-zeros": Attack("fills up smaller batches with black images of class 0", PaddedWithZeros),
    "block-ends-after-ten": Attack(
        "trains on ten batches of a block at most", BeyondTen, caught_by="a block of the timed length"
    ),
    "large-batch-cut": Attack(
        "trains on 64 images of a batch at most",
        _batches(lambda x, y: (x[:64], y[:64])),
        options=("--batch-size", "128"),
        caught_by="verification with the entrant's own batch size",
    ),
    "half-for-two-threads": Attack(
        "with two threads trains on half of a batch",
        HalfForTwoThreads,
        options=("--threads", "2"),
        caught_by="verification with the entrant's own threads",
    ),
    "indices-of-step-before": Attack("takes the indices of the step before", PreviousIndices, **_DEVICE),
    "indices-one-higher": Attack("counts images from one", _indices(lambda i: (i + 1) % (i.max() + 1)), **_DEVICE),
    "indices-as-ranges": Attack("takes indices for contiguous", _indices(_ranges), **_DEVICE),
    "indices-int16": Attack(
        "keeps indices in 16 bits, and images from 32,768 on are others",
        _indices(lambda i: i % 32768),
        door="run",
        options=("--feed", "device"),
        caught_by="the audit",
    ),
    "indices-sorted-in-block": Attack(
        "sorts the indices of a block, for quicker gathers",
        _indices(lambda i: np.sort(i, axis=None).reshape(i.shape)),
        **_DEVICE,
    ),
    "indices-sorted-in-batch": Attack(
        "sorts the indices of a batch, for quicker gathers",
        _indices(lambda i: np.sort(i, axis=1)),
        **(_DEVICE | {"expected": PASSES, "reason": "equivalent: a mean has no order", "caught_by": ""}),
    ),
}
