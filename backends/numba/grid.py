"""Where values lie: images innermost, a vector a pixel, in buffers whose addresses stand in one table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backends.numba.vector import Target

ALIGNMENT = 64


def rounded_up(count: int, multiple: int) -> int:
    """The next multiple."""
    return -(-count // multiple) * multiple


@dataclass(frozen=True)
class Grid:
    """A block of images, one in each lane: vectors (channels, height, width), with zeros around every channel.

    Attributes:
        border: rows and columns of zeros on each side.
        lanes: of a vector; a block is a multiple of so many vectors, that it may be transposed whole.
    """

    channels: int
    height: int
    width: int
    border: int
    lanes: int

    @property
    def pitch(self) -> int:
        """Vectors of a row."""
        return self.width + 2 * self.border

    @property
    def plane(self) -> int:
        """Vectors of a channel."""
        return (self.height + 2 * self.border) * self.pitch

    @property
    def origin(self) -> int:
        """Of the first pixel."""
        return self.border * self.pitch + self.border

    @property
    def block(self) -> int:
        """Vectors from one block to the next."""
        return rounded_up(self.channels * self.plane, self.lanes)

    def places(self) -> np.ndarray:
        """The vector of each value in the order channel, row, column: int64 (values,)."""
        whole = np.arange(self.channels * self.plane).reshape(self.channels, -1, self.pitch)
        rows, columns = (slice(self.border, self.border + side) for side in (self.height, self.width))
        return whole[:, rows, columns].ravel()

    def flat(self) -> Grid:
        """The same without a border, as one row."""
        return Grid(1, 1, self.channels * self.height * self.width, 0, self.lanes)


class Memory:
    """All buffers of a model, some as long as it lives, others for as many blocks as the largest batch has had.

    Attributes:
        table: int64 addresses, by number of the buffer.
    """

    def __init__(self, target: Target) -> None:
        self.table = np.zeros(128, np.int64)
        self._target = target
        self._kept: dict[int, np.ndarray] = {}
        self._sizes: dict[int, int] = {}
        self._used = 0
        self.blocks = 0

    @property
    def start(self) -> int:
        """Where the table is."""
        return address_of(self.table)

    def number(self) -> int:
        """An entry of the table, for whatever else."""
        self._used += 1
        return self._used - 1

    def fixed(self, shape: tuple[int, ...], dtype: str = "") -> tuple[int, np.ndarray]:
        """A buffer that stays: its number and its array."""
        number, array = self.number(), aligned(shape, dtype or self._target.dtype)
        self._keep(number, array)
        return number, array

    def block(self, size: int) -> int:
        """A buffer of so many bytes a block: its number."""
        number = self.number()
        self._sizes[number] = size
        self.blocks = 0
        return number

    def array(self, number: int) -> np.ndarray:
        """A buffer's array, of bytes where it is one of blocks: (blocks, bytes)."""
        return self._kept[number]

    def reserve(self, blocks: int) -> None:
        """See to it that there is room for so many blocks."""
        if blocks <= self.blocks:
            return
        self.blocks = blocks
        for number, size in self._sizes.items():
            self._keep(number, aligned((blocks, size), "uint8"))

    def _keep(self, number: int, array: np.ndarray) -> None:
        self._kept[number] = array
        self.table[number] = address_of(array)


def aligned(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros that begin where a line of the cache does."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address_of(raw) % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def address_of(array: np.ndarray) -> int:
    """Where an array's values begin."""
    return int(array.__array_interface__["data"][0])
