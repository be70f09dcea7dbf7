"""Sums of products: what convolutions, dense layers and their gradients are made of, held in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backends.numba.grid import Value
from backends.numba.vector import Code, Target
from harness.spec.network import Layer

# (repetitions, stride of a, stride of b)
Repeat = tuple[Any, int, int]


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """A layer with weights. They lie with outputs innermost, filled up with zeros to whole vectors.

    Attributes:
        x, y: what is read and written.
        parameters, weights, bias: their buffer, and the bytes where they begin there; no bias where that is negative.
    """

    x: Value
    y: Value
    activation: Layer | None
    parameters: int
    weights: int
    bias: int

    @property
    def row(self) -> int:
        """Bytes of the weights that one number of the input has."""
        return self.x.target.whole(self.y.channels) * self.x.target.size


def tile_of(target: Target, columns: int) -> int:
    """How many rows a tile of so many columns has, so that sums, a vector of each column and one number find room."""
    return max(1, (target.registers - columns - 2) // columns)


def products(
    code: Code, a: Any, b: Any, rows: Sequence[int], columns: Sequence[int], steps: Sequence[tuple[int, int]],
    repeat: Repeat,
) -> list[list[Any]]:  # fmt: skip
    """The sums over steps and repetitions of (number at a + row + step) * (vector at b + column + step).

    Args:
        rows, columns, steps: offsets in bytes; a step's are those of a and of b.

    Returns:
        a vector for each row and column.
    """
    sums = [code.sums(len(columns)) for _ in rows]
    count, a_stride, b_stride = repeat
    with code.loops(count) as index:
        a, b = code.offset(a, (index, a_stride)), code.offset(b, (index, b_stride))
        known: dict[int, Any] = {}
        for a_step, b_step in steps:
            # Neighbouring pixels share vectors from one step to the next; to keep them longer there are no registers.
            places = [column + b_step for column in columns]
            known = {place: known[place] if place in known else code.load(b, place, aligned=False) for place in places}
            for row, row_sums in zip(rows, sums):
                factor = code.broadcast(a, row + a_step)
                code.accumulate(row_sums, [factor] * len(places), [known[place] for place in places])
            code.barrier()
    return [code.values(row) for row in sums]
