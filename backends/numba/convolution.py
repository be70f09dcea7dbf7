"""Convolutions: forward with the pool behind them, and their gradients where nothing is known to be zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from backends.numba.activations import activate
from backends.numba.grid import Value
from backends.numba.product import Weighted, products, tile_of
from backends.numba.vector import Code, Write

# Bytes in which a window's place of the maximum is kept: two masks.
KEPT = 4


@dataclass(frozen=True, kw_only=True)
class Convolution(Weighted):
    """A convolution, perhaps with a max pool of 2x2 behind it, then perhaps an activation that does not fall.

    Weights lie as (in, kh, kw, out); the border of x is the padding.

    Attributes:
        size: kh and kw.
        places: the buffer that keeps where windows had their maximum; 0 where there is no pool.
    """

    size: int
    places: int

    def masks(self) -> Value:
        """Where windows had their maximum, of the shape of y."""
        return replace(self.y, number=self.places)


def forward(conv: Convolution) -> Write:
    """Forward pass, tile by tile of 2x2 outputs."""
    x, y, k, target = conv.x, conv.y, conv.size, conv.x.target
    v, s, pooled = target.bytes, target.size, conv.places > 0
    side = (2, 2) if pooled else (min(2, y.height), min(2, y.width))
    pixels = [(row, column) for row in range(side[0]) for column in range(side[1])]
    columns = [(row * x.pitch + column) * v for row, column in pixels]
    steps = [((r * k + c) * conv.row, (r * x.pitch + c) * v) for r in range(k) for c in range(k)]
    step = (1, 1) if pooled else side

    def write(code: Code, blocks: Any) -> None:
        def tile(block: Any, first: Any, size: int, *at: Any) -> None:
            # What is left over of a row or column is computed once more.
            row, column = (code.least(code.offset(code.zero, (n, by)), most - by) for n, by, most in
                           zip(at, step, (y.height, y.width)))  # fmt: skip
            scale = 2 if pooled else 1
            start = code.offset(x.whole.place(code, block, 0, 0, 0), (row, scale * x.pitch * v), (column, scale * v))
            weights = code.offset(code.buffer(conv.parameters), (first, s), (conv.weights, 1))
            repeat = (x.channels, k * k * conv.row, x.plane * v)
            sums = products(code, weights, start, [n * s for n in range(size)], columns, steps, repeat)
            bias = code.offset(code.buffer(conv.parameters), (first, s))
            to = y.place(code, block, first, row, column)
            for channel, values in enumerate(sums):
                if pooled:
                    value, *masks = maximum(code, values)
                    kept = conv.masks().place(code, block, first, row, column, KEPT)
                    for number, mask in enumerate(masks):
                        code.store_mask(mask, kept, channel * y.plane * KEPT + 2 * number)
                    values = [value]
                for value, (r, c) in zip(values, pixels):
                    if conv.bias >= 0:
                        value = code.add(value, code.broadcast(bias, conv.bias + channel * s))
                    code.store(activate(code, conv.activation, value), to, (channel * y.plane + r * y.pitch + c) * v)

        def group(block: Any, first: Any, size: int) -> None:
            with code.loops(-(-y.height // step[0]), -(-y.width // step[1])) as (row, column):
                tile(block, first, size, row, column)

        with code.loops(blocks) as block:
            code.groups(y.channels, tile_of(target, len(pixels)), lambda first, size: group(block, first, size))

    return write


def maximum(code: Code, values: list[Any]) -> tuple[Any, Any, Any]:
    """The maximum of a window in row-major order, and masks: is it below, is it on the right; the first of equals."""
    masks, best = [], []
    for left, right in (values[:2], values[2:]):
        masks.append(code.less(left, right))
        best.append(code.select(masks[-1], right, left))
    bottom = code.less(*best)
    return code.select(bottom, *best[::-1]), bottom, code.select(bottom, *masks[::-1])


def weight_gradient(conv: Convolution, dy: Value, gradients: int) -> Write:
    """Gradient by the weights, for a line of some kernels at a time."""
    x, k, target = conv.x, conv.size, conv.x.target
    most = (target.registers - k - 3) // (k + 1)

    def write(code: Code, blocks: Any) -> None:
        def group(channel: Any, line: Any, first: Any, size: int) -> None:
            sums = [code.sums(k) for _ in range(size)]
            with code.loops(blocks, dy.height, dy.width) as (block, row, column):
                start = x.whole.place(code, block, channel, code.builder.add(row, line), column)
                pixels = [code.load(start, shift * target.bytes) for shift in range(k)]
                change = dy.place(code, block, first, row, column)
                for number, places in enumerate(sums):
                    code.accumulate(places, [code.load(change, number * dy.plane * target.bytes)] * k, pixels)
            to = code.offset(
                code.buffer(gradients), (channel, k * k * conv.row), (line, k * conv.row), (first, target.size)
            )
            for number, places in enumerate(sums):
                for shift, value in enumerate(code.values(places)):
                    code.store(code.total(value), to, conv.weights + shift * conv.row + number * target.size)

        with code.loops(x.channels, k) as (channel, line):
            code.groups(dy.channels, most, lambda first, size: group(channel, line, first, size))

    return write


def turned(conv: Convolution, back: Convolution) -> Write:
    """Turn weights for the gradient by the input: `back` convolves the gradient with them, where `conv` was forward."""
    k, s = conv.size, conv.x.target.size

    def write(code: Code, _: Any) -> None:
        with code.loops(conv.x.channels, conv.y.channels, k * k) as (i, o, p):
            a = code.offset(
                code.buffer(conv.parameters), (i, k * k * conv.row), (p, conv.row), (o, s), (conv.weights, 1)
            )
            last = (k * k - 1) * back.row
            b = code.offset(code.buffer(back.parameters), (o, k * k * back.row), (p, -back.row), (i, s), (last, 1))
            code.store(code.word(a), b)

    return write
