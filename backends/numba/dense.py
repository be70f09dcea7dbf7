"""Dense layers, and convolutions that see all of their input at once: products of several blocks of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.numba.activations import activate
from backends.numba.grid import Value
from backends.numba.product import Weighted, products, tile_of
from backends.numba.vector import INT, Code, Write

# The most numbers of one block that are multiplied into sums at once, and the most steps without a jump.
MOST_ROWS, UNROLLED = 12, 8


class Dense(Weighted):
    """A dense layer, perhaps with an activation. Weights lie as (in, out); a channel is a value."""


def forward(dense: Dense) -> Write:
    """Forward pass."""

    def finish(code: Code, value: Any, bias: Any) -> Any:
        return activate(code, dense.activation, code.add(value, code.broadcast(bias, dense.bias)))

    return _over_blocks(dense, dense.x, dense.y, (dense.row, dense.x.target.size), finish)


def input_gradient(dense: Dense) -> Write:
    """Gradient by the inputs."""
    strides = (dense.x.target.size, dense.row)
    return _over_blocks(dense, dense.y.gradient, dense.x.gradient, strides, lambda code, value, _: value)


def _over_blocks(dense: Dense, x: Value, y: Value, strides: tuple[int, int], finish: Callable[..., Any]) -> Write:
    """Each value of y is a sum over those of x, times weights; `strides` are the weights', along x and along y."""
    target, v, s = x.target, x.target.bytes, x.target.size
    unrolled = next(size for size in range(UNROLLED, 0, -1) if x.channels % size == 0)
    steps = [(step * strides[0], step * v) for step in range(unrolled)]
    repeat = (x.channels // unrolled, unrolled * strides[0], unrolled * v)

    def write(code: Code, blocks: Any) -> None:
        def group(block: Any, together: int, first: Any, size: int) -> None:
            weights = code.offset(code.buffer(dense.parameters), (first, strides[1]), (dense.weights, 1))
            rows, columns = [n * strides[1] for n in range(size)], [n * x.block * v for n in range(together)]
            sums = products(code, weights, x.place(code, block, 0, 0, 0), rows, columns, steps, repeat)
            bias, to = code.offset(code.buffer(dense.parameters), (first, s)), y.place(code, block, first, 0, 0)
            for row, values in enumerate(sums):
                for column, value in enumerate(values):
                    value = finish(code, value, code.offset(bias, (row, s)))
                    code.store(value, to, (column * y.block + row) * v)

        def several(block: Any, together: int) -> None:
            most = min(MOST_ROWS, tile_of(target, together))
            code.groups(y.channels, most, lambda first, size: group(block, together, first, size))

        many = INT(4 if target.registers == 32 else 2)
        number = code.builder.udiv(blocks, many)
        with code.loops(number) as block:
            several(code.builder.mul(block, many), many.constant)
        with code.loops(code.builder.urem(blocks, many)) as block:
            several(code.builder.add(code.builder.mul(number, many), block), 1)

    return write


def weight_gradient(dense: Dense, gradients: int, turned: int) -> Write:
    """Gradient by the weights, units in lanes; in the buffer `turned` is dy as (blocks, images, units)."""
    x, target, v, s, row = dense.x, dense.x.target, dense.x.target.bytes, dense.x.target.size, dense.row
    across = 4 if target.registers == 32 else 2
    steps = [(lane * s, lane * row) for lane in range(target.lanes)]

    def write(code: Code, blocks: Any) -> None:
        def group(vector: Any, vectors: int, first: Any, size: int) -> None:
            rows, columns = [n * v for n in range(size)], [n * v for n in range(vectors)]
            repeat = (blocks, x.block * v, target.lanes * row)
            changes = code.offset(code.buffer(turned), (vector, v))
            sums = products(code, x.place(code, 0, first, 0, 0), changes, rows, columns, steps, repeat)
            to = code.offset(code.buffer(gradients), (first, row), (vector, v))
            for number, values in enumerate(sums):
                for place, value in enumerate(values):
                    code.store(value, to, dense.weights + number * row + place * v)

        def column(vector: Any, vectors: int) -> None:
            most = tile_of(target, across)
            code.groups(x.channels, most, lambda first, size: group(vector, vectors, first, size))

        code.groups(row // v, across, column)

    return write


def turn(dense: Dense, turned: int) -> Write:
    """Make (blocks, images, units) of (blocks, units, images)."""
    lanes, v, row, dy = dense.x.target.lanes, dense.x.target.bytes, dense.row, dense.y.gradient

    def write(code: Code, blocks: Any) -> None:
        with code.loops(blocks, row // v) as (block, vector):
            start = code.offset(dy.place(code, block, 0, 0, 0), (vector, lanes * v))
            to = code.offset(code.buffer(turned), (block, lanes * row), (vector, v))
            for lane, value in enumerate(code.transposed([code.load(start, unit * v) for unit in range(lanes)])):
                code.store(value, to, lane * row)

    return write
