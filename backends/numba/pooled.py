"""Gradients of a convolution behind which is a max pool of 2x2: three quarters of its outputs have none.

A window's gradient belongs to one of four outputs, another one for each image. Multiplying the zeros of the others is
spared: for the gradient by the weights, the patch that this output saw is picked from those of all four; for that by
the input, the weight that a pixel had in this output is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from backends.numba.convolution import KEPT, Convolution
from backends.numba.vector import Code, Write

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


def table_bytes(conv: Convolution) -> int:
    """Of the weights of one kernel as `look_up` lays them out: four for each pixel that a window saw."""
    return conv.x.target.whole((conv.size + 1) ** 2 * PLACES) * conv.x.target.size


def look_up(conv: Convolution, tables: int) -> Write:
    """Lay out the weights: for each pixel that a window saw, the weight in each of its outputs; 0 where none saw it."""
    k, s = conv.size, conv.x.target.size

    def write(code: Code, _: Any) -> None:
        with code.loops(conv.x.channels, conv.y.channels, k, k) as (channel, output, line, shift):
            at = code.offset(
                code.buffer(conv.parameters), (channel, k * k * conv.row), (line, k * conv.row), (output, s)
            )
            weight = code.word(code.offset(at, (shift, conv.row)), conv.weights)
            size = table_bytes(conv)
            to = code.offset(code.buffer(tables), (channel, conv.y.channels * size), (output, size))
            to = code.offset(to, (line, (k + 1) * PLACES * s), (shift, PLACES * s))
            for place in range(PLACES):
                code.store(weight, to, ((place // 2 * (k + 1) + place % 2) * PLACES + place) * s)

    return write


def input_gradient(conv: Convolution, tables: int) -> Write:
    """Gradient by the input: each window adds to the pixels that it saw, some lines of them at a time."""
    x, y, v, side = conv.x, conv.y, conv.x.target.bytes, conv.size + 1
    most, size = max(1, (conv.x.target.registers - 8) // side), table_bytes(conv)
    parts = -(-side // most)
    bounds = [side * part // parts for part in range(parts + 1)]

    def write(code: Code, blocks: Any) -> None:
        dx = x.gradient.whole
        with code.loops(blocks, x.channels) as (block, channel):
            with code.loops(x.plane) as pixel:
                code.store(code.constant(0), code.offset(dx.place(code, block, channel, 0, 0), (pixel, v)))
            with code.loops(y.height, y.width) as (row, column):
                start = code.offset(dx.place(code, block, channel, 0, 0), (row, 2 * x.pitch * v), (column, 2 * v))
                for first, behind in pairwise(bounds):
                    seen = range(first * side, behind * side)
                    sums = code.sums(len(seen))
                    with code.loops(y.channels) as output:
                        change = code.load(y.gradient.place(code, block, output, row, column))
                        masks = masks_of(code, conv, block, output, row, column)
                        table = code.offset(code.buffer(tables), (channel, y.channels * size), (output, size))
                        code.accumulate(sums, [change] * len(seen), _looked_up(code, table, masks, seen))
                    for pixel, value in zip(seen, code.values(sums)):
                        at = (pixel // side * x.pitch + pixel % side) * v
                        code.store(code.add(code.load(start, at), value), start, at)

    return write


def _looked_up(code: Code, table: Any, masks: tuple[Any, Any], pixels: Sequence[int]) -> list[Any]:
    """The weights that pixels had in the outputs that the masks mean."""
    bottom, right = masks
    if not code.target.permute:
        found = []
        for pixel in pixels:
            values = [code.broadcast(table, (pixel * PLACES + one) * code.target.size) for one in range(PLACES)]
            above, below = (code.select(right, values[one + 1], values[one]) for one in (0, 2))
            found.append(code.select(bottom, below, above))
        return found
    together = code.target.lanes // PLACES
    number = code.select(bottom, code.whole(2), code.whole(0))
    number = code.builder.add(number, code.select(right, code.whole(1), code.whole(0)))
    numbers = [code.builder.add(number, code.whole(PLACES * one)) for one in range(together)]
    rows = {row: code.load(table, row * code.target.bytes) for row in {pixel // together for pixel in pixels}}
    return [code.function(code.target.permute, rows[pixel // together], numbers[pixel % together]) for pixel in pixels]
