"""Where values lie: images innermost, a vector a pixel, in buffers whose addresses stand in one table."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends.numba.vector import Code, Target

ALIGNMENT = 64


@dataclass(frozen=True)
class Value:
    """Blocks of images, one image a lane: vectors (channels, height, width), with zeros around every channel.

    Attributes:
        number: of its buffer, behind which is that of its gradient.
        border: rows and columns of zeros on each side.
    """

    number: int
    target: Target
    channels: int
    height: int
    width: int
    border: int = 0

    @property
    def pitch(self) -> int:
        """Vectors of a row."""
        return self.width + 2 * self.border

    @property
    def plane(self) -> int:
        """Vectors of a channel."""
        return (self.height + 2 * self.border) * self.pitch

    @property
    def block(self) -> int:
        """Vectors of a block: so many that it may be transposed whole."""
        return self.target.whole(self.channels * self.plane)

    @property
    def gradient(self) -> Value:
        """Its gradient."""
        return replace(self, number=self.number + 1)

    @property
    def whole(self) -> Value:
        """The same with its border as part of it."""
        return replace(self, height=self.height + 2 * self.border, width=self.pitch, border=0)

    def place(self, code: Code, block: Any, channel: Any, row: Any, column: Any, unit: int = 0) -> Any:
        """The address of a vector, or of so many bytes in its place in a buffer of another kind."""
        v = unit or self.target.bytes
        origin = self.border * self.pitch + self.border
        terms = [(block, self.block * v), (channel, self.plane * v), (row, self.pitch * v), (column, v), (origin, v)]
        return code.offset(code.buffer(self.number), *terms)

    def vectors(self) -> np.ndarray:
        """The vector of each value in the order channel, row, column: int64 (values,)."""
        whole = np.arange(self.channels * self.plane).reshape(self.channels, -1, self.pitch)
        rows, columns = (slice(self.border, self.border + side) for side in (self.height, self.width))
        return whole[:, rows, columns].ravel()


class Memory:
    """All buffers of a model, some as long as it lives, others for as many blocks as the largest batch has had.

    Attributes:
        table: int64 addresses, by number of the buffer.
        arrays: the buffers, by number; those of blocks are bytes (blocks, size).
    """

    def __init__(self, target: Target) -> None:
        self.table, self.arrays = np.zeros(256, np.int64), dict[int, np.ndarray]()
        self._target, self._sizes, self._used, self._blocks = target, dict[int, int](), 0, 0

    @property
    def start(self) -> int:
        """Where the table is."""
        return address_of(self.table)

    def fixed(self, *shape: int, dtype: str = "") -> tuple[int, np.ndarray]:
        """A buffer that stays: its number and its array."""
        self._used += 1
        self._keep(self._used, aligned(shape, dtype or self._target.dtype))
        return self._used, self.arrays[self._used]

    def block(self, size: int) -> int:
        """A buffer of so many bytes a block: its number."""
        self._used += 1
        self._sizes[self._used], self._blocks = size, 0
        return self._used

    def value(self, channels: int, height: int, width: int, border: int = 0) -> Value:
        """A value and its gradient."""
        made = Value(self._used + 1, self._target, channels, height, width, border)
        for _ in range(2):
            self.block(made.block * self._target.bytes)
        return made

    def reserve(self, blocks: int) -> None:
        """See to it that there is room for so many blocks."""
        if blocks > self._blocks:
            self._blocks = blocks
            for number, size in self._sizes.items():
                self._keep(number, aligned((blocks, size), "uint8"))

    def _keep(self, number: int, array: np.ndarray) -> None:
        self.arrays[number], self.table[number] = array, address_of(array)


def aligned(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros that begin where a line of the cache does."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address_of(raw) % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def address_of(array: np.ndarray) -> int:
    """Where an array's values begin."""
    return int(array.__array_interface__["data"][0])
