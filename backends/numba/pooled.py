"""Gradients of a convolution behind which is a max pool of 2x2: three quarters of its outputs have none.

A window's gradient belongs to one of four outputs, another one for each image. Multiplying the zeros of the others is
spared: for the gradient by the weights, the patch that this output saw is picked from those of all four; for that by
the input, the weight that a pixel had in this output is looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

from llvmlite import ir

from backends.numba.convolution import KEPT, Convolution
from backends.numba.vector import INT, Code, Write

PLACES = 4


def masks_of(code: Code, conv: Convolution, *place: Any) -> tuple[Any, Any]:
    """Whether a window's maximum is below, and whether it is on the right."""
    kept = conv.masks().place(code, *place, KEPT)
    return code.load_mask(kept, 0), code.load_mask(kept, 2)


def weight_gradient(conv: Convolution, gradients: int) -> Write:
    """Gradient by the weights, for some lines of one kernel at a time."""
    x, y, k, v = conv.x, conv.y, conv.size, conv.x.target.bytes

    def write(code: Code, blocks: Any) -> None:
        def group(channel: Any, output: Any, first: Any, lines: int) -> None:
            sums = code.sums(lines * k)
            with code.loops(blocks, y.height, y.width) as place:
                block, row, column = place
                start = code.offset(
                    x.whole.place(code, block, channel, first, 0), (row, 2 * x.pitch * v), (column, 2 * v)
                )
                change = code.load(y.gradient.place(code, block, output, row, column))
                bottom, right = masks_of(code, conv, block, output, row, column)
                before: Sequence[Any] = ()
                for number in range(lines + 1):
                    pixels = [code.load(start, (number * x.pitch + shift) * v) for shift in range(k + 1)]
                    line = [code.select(right, after, pixel) for pixel, after in pairwise(pixels)]
                    picked = [code.select(bottom, below, above) for above, below in zip(before, line)]
                    code.accumulate(sums[(number - 1) * k : number * k], [change] * len(picked), picked)
                    before = line
            to = code.offset(code.buffer(gradients), (channel, k * k * conv.row), (first, k * conv.row))
            to = code.offset(to, (output, conv.x.target.size), (conv.weights, 1))
            for number, value in enumerate(code.values(sums)):
                code.store(code.total(value), to, number * conv.row)

        with code.loops(x.channels, y.channels) as (channel, output):
            code.groups(k, (conv.x.target.registers - 7) // k, lambda first, size: group(channel, output, first, size))

    return write


def tiles_of(conv: Convolution) -> int:
    """How many tiles of 2x2 pixels a window of four outputs sees along each side."""
    return conv.size // 2 + 1


def table_shape(conv: Convolution) -> tuple[int, ...]:
    """Of what `look_up` lays out: tiles that a window sees (down, along), outputs, channels, bytes of a tile."""
    side = tiles_of(conv)
    return side, side, conv.y.channels, conv.x.channels, PLACES * PLACES * conv.x.target.size


def look_up(conv: Convolution, tables: int) -> Write:
    """Lay out the weights: for each pixel that a window saw, the weight in each of its outputs; 0 where none saw it."""
    k, s = conv.size, conv.x.target.size
    side, _, outputs, channels, size = table_shape(conv)

    def write(code: Code, _: Any) -> None:
        with code.loops(channels, outputs) as (channel, output):
            at = code.offset(code.buffer(conv.parameters), (channel, k * k * conv.row), (output, s))
            to = code.offset(code.buffer(tables), (output, channels * size), (channel, size))
            for line, shift, place in product(range(k), range(k), range(PLACES)):
                row, column = line + place // 2, shift + place % 2
                tile, pixel = row // 2 * side + column // 2, row % 2 * 2 + column % 2
                weight = code.word(at, conv.weights + (line * k + shift) * conv.row)
                code.store(weight, to, tile * outputs * channels * size + (pixel * PLACES + place) * s)

    return write


def input_gradient(conv: Convolution, tables: int, numbers: int) -> Write:
    """Gradient by the input, a tile of 2x2 pixels at a time: the sum over all windows that saw it.

    Args:
        numbers: the buffer for the numbers of the places where windows of one block had their maximum.
    """
    x, y, v, side = conv.x, conv.y, conv.x.target.bytes, tiles_of(conv)
    found = replace(y, number=numbers)
    dx, rows, columns = x.gradient.whole, y.height + side - 1, y.width + side - 1
    strides = [math.prod(table_shape(conv)[axis:]) for axis in range(1, 5)]

    def write(code: Code, blocks: Any) -> None:
        def group(block: Any, row: Any, column: Any, first: Any, size: int) -> None:
            sums = code.sums(size * PLACES)
            up, down = windows(code, row, side, y.height)
            left, right = windows(code, column, side, y.width)
            with code.loops(down, right, y.channels) as (i, j, output):
                window = code.builder.add(up, i), code.builder.add(left, j)
                tile = code.builder.sub(row, window[0]), code.builder.sub(column, window[1])
                table = code.offset(code.buffer(tables), *zip((*tile, output, first), strides))
                change = code.load(y.gradient.place(code, block, output, *window))
                place = code.load(found.place(code, 0, output, *window), kind=code.integers)
                code.accumulate(sums, [change] * len(sums), _looked_up(code, table, place, len(sums)))
            to = code.offset(dx.place(code, block, first, 0, 0), (row, 2 * dx.pitch * v), (column, 2 * v))
            for number, value in enumerate(code.values(sums)):
                channel, pixel = divmod(number, PLACES)
                code.store(value, to, (channel * dx.plane + pixel // 2 * dx.pitch + pixel % 2) * v)

        if (2 * rows, 2 * columns) != (dx.height, dx.width):
            with code.loops(blocks, x.channels, dx.plane) as (block, channel, pixel):
                code.store(code.constant(0), code.offset(dx.place(code, block, channel, 0, 0), (pixel, v)))
        with code.loops(blocks) as block:
            with code.loops(y.channels, y.height, y.width) as place:
                bottom, right = (code.builder.zext(mask, code.integers) for mask in masks_of(code, conv, block, *place))
                code.store(code.builder.add(code.builder.add(bottom, bottom), right), found.place(code, 0, *place))
            with code.loops(rows, columns) as tile:
                most = (x.target.registers - 8) // PLACES
                code.groups(x.channels, most, lambda first, size: group(block, *tile, first, size))

    return write


def windows(code: Code, tile: Any, side: int, count: int) -> tuple[Any, Any]:
    """Of so many windows along an axis, the first that saw a tile, and how many did; each sees `side` tiles."""
    first = code.builder.sub(tile, code.least(tile, side - 1))
    last = code.least(tile, count - 1)
    return first, code.builder.add(code.builder.sub(last, first), INT(1))


def _looked_up(code: Code, table: Any, place: Any, count: int) -> Iterator[Any]:
    """The weights that so many pixels had in the outputs in these places, each emitted when it is asked for."""
    if not code.target.permute:
        bottom = code.builder.icmp_signed("<", code.whole(1), place)
        right = code.builder.trunc(place, ir.VectorType(ir.IntType(1), code.target.lanes))
        for pixel in range(count):
            values = [code.broadcast(table, (pixel * PLACES + one) * code.target.size) for one in range(PLACES)]
            above, below = (code.select(right, values[one + 1], values[one]) for one in (0, 2))
            yield code.select(bottom, below, above)
        return
    together = code.target.lanes // PLACES
    lanes = [code.builder.add(place, code.whole(PLACES * one)) for one in range(together)]
    for row in range(count // together):
        weights = code.load(table, row * code.target.bytes)
        yield from (code.function(code.target.permute, weights, lane) for lane in lanes)
        code.barrier()
