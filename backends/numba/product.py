"""Sums of products: what convolutions, dense layers and their gradients are made of, held in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.numba.vector import Code, Target, emit

# (repetitions, stride of a, stride of b), repetitions a number or a value.
Repeat = tuple[Any, int, int]
Finish = Callable[[Code, list[list[Any]], Any, Any, Any], None]


def tile_of(target: Target, columns: int) -> int:
    """How many rows a tile of so many columns has, so that sums, a vector of each column and one number find room."""
    return max(1, (target.registers - columns - 2) // columns)


@dataclass(frozen=True)
class Cut:
    """0 .. count cut into `number` groups of `size`, and one of `rest`, where there is a rest; sizes `most` at most."""

    size: int
    number: int
    rest: int

    @classmethod
    def of(cls, count: int, most: int) -> Cut:
        """Without a rest, unless the groups would have fewer than half of the most."""
        most = min(count, most)
        size = next((size for size in range(most, 0, -1) if count % size == 0 and 2 * size >= most), most)
        return cls(size, count // size, count % size)


def products(
    code: Code,
    a: Any,
    b: Any,
    rows: Sequence[int],
    columns: Sequence[int],
    steps: Sequence[tuple[int, int]],
    repeat: Repeat,
) -> list[list[Any]]:
    """The sums over steps and repetitions of (number at a + row + step) * (vector at b + column + step).

    Args:
        rows, columns, steps: offsets in bytes; a step's are those of a and of b.

    Returns:
        a vector for each row and column.
    """
    sums = [code.variables(len(columns)) for _ in rows]
    count, a_stride, b_stride = repeat
    with code.loop(count) as index:
        a, b = code.offset(a, (index, a_stride)), code.offset(b, (index, b_stride))
        found = [[code.builder.load(place) for place in row] for row in sums]
        known: dict[int, Any] = {}
        for a_step, b_step in steps:
            # Neighbouring pixels share vectors from one step to the next; to keep them longer there are no registers.
            places = [column + b_step for column in columns]
            known = {place: known[place] if place in known else code.load(b, place, aligned=False) for place in places}
            for number, row in enumerate(rows):
                factor = code.broadcast(a, row + a_step)
                found[number] = [code.fma(factor, known[at], old) for at, old in zip(places, found[number])]
            code.barrier()
        for row, row_sums in zip(sums, found):
            for place, value in zip(row, row_sums):
                code.builder.store(value, place)
    return [[code.builder.load(place) for place in row] for row in sums]


def product(
    target: Target,
    rows: Sequence[int],
    columns: Sequence[int],
    steps: Sequence[tuple[int, int]],
    repeat: Repeat,
    finish: Finish,
) -> Callable[..., None]:
    """A tile of `products` for compiled loops, of addresses a, b, c, d, e; the last three are `finish`'s.

    Args:
        repeat: None repetitions are as many as e says.
    """

    def write(code: Code, a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
        count = e if repeat[0] is None else repeat[0]
        finish(code, products(code, a, b, rows, columns, steps, (count, *repeat[1:])), c, d, e)

    return emit(target, write)
