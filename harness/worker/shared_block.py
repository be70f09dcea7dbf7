"""The arrays of a block of batches, in memory that two processes have in common: one copy, and no pipe in between.

Worker side: NumPy only.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence

import numpy as np

# Where an array begins: a cache line.
ALIGNMENT = 64
# Of an array: offset in bytes, dtype, shape.
Place = tuple[int, str, tuple[int, ...]]


class SharedBlock:
    """Memory without a name, which lives as long as somebody holds it (memfd_create(2)).

    Attributes:
        descriptor: of it; a process that inherits it sees the same memory.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = os.memfd_create("lenet-bench") if descriptor is None else descriptor
        self._bytes = np.empty(0, np.uint8)

    def write(self, arrays: Sequence[np.ndarray]) -> list[Place]:
        """Put arrays over what was there; where each of them is."""
        places, end = [], 0
        for array in arrays:
            places.append((end, array.dtype.str, array.shape))
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        self._see(end, grow=True)
        for array, place in zip(arrays, places, strict=True):
            self._at(place)[...] = array
        return places

    def read(self, places: Sequence[Place]) -> list[np.ndarray]:
        """The arrays at these places: views, right until the next `write`."""
        self._see(os.fstat(self.descriptor).st_size, grow=False)
        return [self._at(place) for place in places]

    def _see(self, size: int, *, grow: bool) -> None:
        """Map so many bytes; views of what was mapped before stay right."""
        if len(self._bytes) < size:
            if grow:
                os.ftruncate(self.descriptor, size)
            self._bytes = np.frombuffer(mmap.mmap(self.descriptor, size), np.uint8)

    def _at(self, place: Place) -> np.ndarray:
        offset, dtype, shape = place
        count = int(np.prod(shape))
        return np.frombuffer(self._bytes.data, dtype, count, offset).reshape(shape)
