"""What each turn of steady training is given: weights to start from, and batches that were never seen before.

A turn is an experiment of its own. It starts from weights that the harness knows, with an optimizer that remembers
nothing, and trains on images in an order that follows from a number which the harness drew for this round. So the
harness can do any turn over, with the reference, and hold the losses and the weights that came out against it
(harness/proof/audit.py). All launches of a round are given the same. None is told before its turn begins, or it could
train beforehand.

Worker side, and the harness's: NumPy only.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

import numpy as np

from harness.spec.start import Weights, batch_indices, draw, epoch_order
from harness.worker.batches import Data
from harness.worker.job import SEED_BYTES, Job

# The turn whose batches warm-up, first step, and what else is not audited go through.
WARM_UP = 0
# Orders of one turn: a turn that needs more images than there are goes on with the next order.
MOST_ORDERS = 1 << 20
_draw = SystemRandom()


def told(seed: int, turn: int) -> int:
    """The number that launches are told when a turn begins, from the round's; it says nothing of other turns'."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{turn}".encode()).digest()[: SEED_BYTES - 1], "big")


def start_of(seed: int, turn: int, count: int) -> int:
    """Which of so many starts a turn has; `seed` as `told` gives it."""
    return int(draw(seed, f"start/{turn}", 1)[0] % np.uint64(count))


def batches_of(seed: int, turn: int, *, images: int, batch_size: int) -> Iterator[np.ndarray]:
    """The indices of a turn's batches, int64 (batch_size,) each; endless, and no image twice within an order.

    Args:
        seed: as `told` gives it.
    """
    for number in itertools.count():
        order = epoch_order(images, seed=seed, epoch=turn * MOST_ORDERS + number)
        yield from (index for index in batch_indices(order, batch_size) if len(index) == batch_size)


@dataclass(frozen=True)
class Step:
    """A training step that nobody knew of before.

    Attributes:
        number: of the start that it is taken from.
        start: that start, canonical weights.
        index: of its images, int64 (batch_size,).
        batches: as `train_steps` takes them.
    """

    number: int
    start: Weights
    index: np.ndarray
    batches: Any


class Source:
    """The batches of all turns, each gathered once, when it is asked for: between timed intervals.

    Attributes:
        starts: canonical weights that turns may start from.
        seed: of the turn that has begun.
    """

    def __init__(self, job: Job, data: Data, starts: list[Weights]) -> None:
        self.starts = starts
        self.seed = job.turn_seed
        self._job, self._data = job, data
        self._streams: dict[int, Iterator[np.ndarray]] = {}

    def start(self, turn: int) -> Weights:
        """The weights that a turn starts from."""
        return self.starts[start_of(self.seed, turn, len(self.starts))]

    def take(self, turn: int, steps: int) -> Any:
        """The next so many batches of a turn, as `train_steps` takes them."""
        if turn not in self._streams:
            seed = self._job.turn_seed if turn == WARM_UP else self.seed
            size, images = self._job.entrant.batch_size, len(self._data.train_labels)
            # One order is kept at a time: a turn that has begun never goes back to another.
            self._streams = {key: value for key, value in self._streams.items() if key == WARM_UP}
            self._streams[turn] = batches_of(seed, turn, images=images, batch_size=size)
        return self._gather(list(itertools.islice(self._streams[turn], steps)))

    def unforeseen(self) -> Step:
        """A step from one of the starts, on images that are drawn now."""
        number, images = _draw.randrange(len(self.starts)), len(self._data.train_labels)
        index = np.array(_draw.sample(range(images), min(images, self._job.entrant.batch_size)))
        return Step(number, self.starts[number], index, self._gather([index]))

    def _gather(self, chosen: list[np.ndarray]) -> Any:
        return np.stack(chosen) if self._job.entrant.feed == "device" else [self._data.train_batch(i) for i in chosen]
