"""Which copy of the model this is, in data-parallel training; standard library only.

A backend that trains with replicas has `backends/<name>/parallel.py` with a class `Backend`: that of the protocol
(harness/spec/protocol.py) with one more argument, `replica`. Two kinds, told apart by the fact REPLICA_PROCESSES:

- Devices of one process. There is one `Backend`, of rank 0. It takes whole batches and shares them out.
- Processes. Each has a `Backend` of its own rank, and all of them are called with the same, in the same order. Three
  calls get a part of each batch, `part` of it, and how many images the whole one has:
      train_steps(batches, sizes)   the losses that it returns are those of the whole batches, on rank 0 at the least
      gradients(batch, size)        of the mean loss of the whole batch
      loss(batch, size)             that mean loss
  Parts of a batch that does not divide are unequal, and a part may be empty; the sums must be right all the same. All
  else is called on rank 0 alone, but for `load_weights`, `set_learning_rate`, `use_dataset` and `synchronize`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replica:
    """One of several.

    Attributes:
        rank: from 0.
        count: how many there are.
        meeting: a path where there is nothing yet, the same for all: by a file there they may find each other.
    """

    rank: int
    count: int
    meeting: str

    def part(self, size: int) -> slice:
        """Its part of a batch of so many images."""
        return slice(size * self.rank // self.count, size * (self.rank + 1) // self.count)

    def weight(self, size: int) -> float:
        """What the mean over its part counts in the mean over all replicas: 1 where parts are equal.

        Args:
            size: images of the whole batch.
        """
        part = self.part(size)
        return (part.stop - part.start) * self.count / size
