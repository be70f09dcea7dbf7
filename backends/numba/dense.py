"""Dense layers, and convolutions that see all of their input at once: products of several blocks of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.numba.activations import activate
from backends.numba.grid import rounded_up
from backends.numba.product import Cut, product, tile_of
from backends.numba.vector import Code, Target, address, emit, kernel
from harness.spec.network import Layer

# The most numbers of one block that are multiplied into sums at once, and the most steps without a jump.
MOST_ROWS, UNROLLED = 12, 8


@dataclass(frozen=True)
class Dense:
    """A dense layer, perhaps with an activation. Weights lie as (in, out), filled up with zeros to whole vectors.

    Attributes:
        weights, bias: the byte where they begin among the parameters.
    """

    target: Target
    inputs: int
    units: int
    activation: Layer | None
    weights: int
    bias: int

    @property
    def row(self) -> int:
        """Bytes of the weights of one input."""
        return rounded_up(self.units, self.target.lanes) * self.target.size

    def block(self, count: int) -> int:
        """Bytes of a block of so many values."""
        return rounded_up(count, self.target.lanes) * self.target.bytes


def forward(dense: Dense, *, x: int, parameters: int, y: int) -> Any:
    """The kernel of the forward pass; numbers of buffers."""
    s, v = dense.target.size, dense.target.bytes

    def finish(code: Code, sums: list[list[Any]], y: Any, bias: Any, _: Any) -> None:
        for unit, values in enumerate(sums):
            for block, value in enumerate(values):
                value = activate(code, dense.activation, code.add(value, code.broadcast(bias, unit * s)))
                code.store(value, y, block * dense.block(dense.units) + unit * v)

    return _over_blocks(
        dense, (dense.inputs, dense.units), (dense.row, s), finish, read=x, parameters=parameters, write=y
    )


def input_gradient(dense: Dense, *, dy: int, parameters: int, dx: int) -> Any:
    """The kernel of the gradient by the inputs; numbers of buffers."""
    v = dense.target.bytes

    def finish(code: Code, sums: list[list[Any]], dx: Any, *_: Any) -> None:
        for number, values in enumerate(sums):
            for block, value in enumerate(values):
                code.store(value, dx, block * dense.block(dense.inputs) + number * v)

    return _over_blocks(
        dense, (dense.units, dense.inputs), (dense.target.size, dense.row), finish,
        read=dy, parameters=parameters, write=dx,
    )  # fmt: skip


def _over_blocks(
    dense: Dense,
    counts: tuple[int, int],
    strides: tuple[int, int],
    finish: Any,
    *,
    read: int,
    parameters: int,
    write: int,
) -> Any:
    """A kernel: each of counts[1] values of an image is a sum over counts[0] others, times weights.

    Args:
        strides: of the weights, along the sum and along the values.
    """
    v, many = dense.target.bytes, 4 if dense.target.registers == 32 else 2
    unrolled = Cut.of(counts[0], UNROLLED)
    unrolled = unrolled if not unrolled.rest else Cut(1, counts[0], 0)
    steps = [(step * strides[0], step * v) for step in range(unrolled.size)]
    repeat = (unrolled.number, unrolled.size * strides[0], unrolled.size * v)
    read_block, write_block = dense.block(counts[0]), dense.block(counts[1])

    def tiles(blocks: int) -> tuple[Cut, Any, Any]:
        cut = Cut.of(counts[1], min(MOST_ROWS, tile_of(dense.target, blocks)))
        columns = [block * read_block for block in range(blocks)]
        made = [
            product(dense.target, [n * strides[1] for n in range(size)], columns, steps, repeat, finish)
            for size in (cut.size, cut.rest or cut.size)
        ]
        return cut, made[0], made[1]

    (cut, full, full_rest), (single, one, one_rest) = tiles(many), tiles(1)
    size, number, rest, stride, s = cut.size, cut.number, cut.rest, strides[1], dense.target.size
    size1, number1, rest1, weights, bias = single.size, single.number, single.rest, dense.weights, dense.bias

    @kernel
    def run(table, blocks):
        w, b = address(table, parameters) + weights, address(table, parameters) + bias
        a, c = address(table, read), address(table, write)
        for block in range(0, blocks - many + 1, many):
            for group in range(number):
                at = group * size
                full(w + at * stride, a + block * read_block, c + block * write_block + at * v, b + at * s, 0)
            if rest > 0:
                at = number * size
                full_rest(w + at * stride, a + block * read_block, c + block * write_block + at * v, b + at * s, 0)
        for block in range(blocks - blocks % many, blocks):
            for group in range(number1):
                at = group * size1
                one(w + at * stride, a + block * read_block, c + block * write_block + at * v, b + at * s, 0)
            if rest1 > 0:
                at = number1 * size1
                one_rest(w + at * stride, a + block * read_block, c + block * write_block + at * v, b + at * s, 0)

    return run


def weight_gradient(dense: Dense, *, x: int, turned: int, gradients: int) -> Any:
    """The kernel of the gradient by the weights, units in lanes; `turned` is dy as (blocks, images, units)."""
    s, v, lanes, row = dense.target.size, dense.target.bytes, dense.target.lanes, dense.row
    vectors = row // v
    across = Cut.of(vectors, 4 if dense.target.registers == 32 else 2)
    down = Cut.of(dense.inputs, tile_of(dense.target, across.size))
    repeat = (None, dense.block(dense.inputs), lanes * row)

    def tile(rows: int, columns: int) -> Any:
        def finish(code: Code, sums: list[list[Any]], place: Any, *_: Any) -> None:
            for number, values in enumerate(sums):
                for vector, value in enumerate(values):
                    code.store(value, place, number * row + vector * v)

        steps = [(lane * s, lane * row) for lane in range(lanes)]
        places = [vector * v for vector in range(columns)], [number * v for number in range(rows)]
        return product(dense.target, places[1], places[0], steps, repeat, finish)

    wide, wide_rest = tile(down.size, across.size), tile(down.rest or down.size, across.size)
    narrow = tile(down.size, across.rest) if across.rest else wide
    narrow_rest = tile(down.rest or down.size, across.rest) if across.rest else wide_rest
    size, number, rest, weights = down.size, down.number, down.rest, dense.weights
    columns, vector_groups, more = across.size, across.number, across.rest

    @kernel
    def run(table, blocks):
        a, b, c = address(table, x), address(table, turned), address(table, gradients) + weights
        for vectors in range(vector_groups):
            at = vectors * columns * v
            for group in range(number):
                wide(a + group * size * v, b + at, c + group * size * row + at, 0, blocks)
            if rest > 0:
                wide_rest(a + number * size * v, b + at, c + number * size * row + at, 0, blocks)
        if more > 0:
            at = vector_groups * columns * v
            for group in range(number):
                narrow(a + group * size * v, b + at, c + group * size * row + at, 0, blocks)
            if rest > 0:
                narrow_rest(a + number * size * v, b + at, c + number * size * row + at, 0, blocks)

    return run


def turn(dense: Dense, *, dy: int, turned: int) -> Any:
    """The kernel that makes (blocks, images, units) of (blocks, units, images)."""
    lanes, v, row = dense.target.lanes, dense.target.bytes, dense.row

    def write(code: Code, a: Any, b: Any, *_: Any) -> None:
        for lane, value in enumerate(code.transposed([code.load(a, unit * v) for unit in range(lanes)])):
            code.store(value, b, lane * row)

    tile, vectors, block_bytes = emit(dense.target, write), row // v, dense.block(dense.units)

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            for number in range(vectors):
                a = address(table, dy) + block * block_bytes + number * lanes * v
                tile(a, address(table, turned) + block * lanes * row + number * v, 0, 0, 0)

    return run
