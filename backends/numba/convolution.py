"""Convolutions: forward with the pool behind them, and their gradients where nothing is known to be zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.numba.activations import activate
from backends.numba.grid import Grid, rounded_up
from backends.numba.product import Cut, product, tile_of
from backends.numba.vector import Code, Target, address, emit, kernel
from harness.spec.network import Layer


@dataclass(frozen=True)
class Convolution:
    """A convolution, perhaps with a max pool of 2x2 behind it, then perhaps an activation that is monotone.

    Weights lie as (in, kh, kw, out), output channels innermost and filled up with zeros to whole vectors.

    Attributes:
        source, target_grid: what is read and written; the source's border is the padding.
        weights, bias: the byte where they begin among the parameters; no bias where it is negative.
    """

    target: Target
    source: Grid
    result: Grid
    kernel: int
    pooled: bool
    activation: Layer | None
    weights: int
    bias: int

    @property
    def step(self) -> int:
        """Rows, and columns, from a tile of 2x2 outputs to what it writes next."""
        return 1 if self.pooled else 2

    @property
    def row(self) -> int:
        """Bytes of the weights of one pixel of the kernel."""
        return rounded_up(self.result.channels, self.target.lanes) * self.target.size


def forward(conv: Convolution, *, x: int, parameters: int, y: int, places: int) -> Any:
    """The kernel of the forward pass; numbers of buffers. `places` keeps where each window had its maximum."""
    source, result, v, s = conv.source, conv.result, conv.target.bytes, conv.target.size
    height, width = (2, 2) if conv.pooled else (min(2, result.height), min(2, result.width))
    pixels = [(row * source.pitch + column) * v for row in range(height) for column in range(width)]
    cut = Cut.of(result.channels, tile_of(conv.target, len(pixels)))
    tile, last = (_tile(conv, size, pixels, width) for size in (cut.size, cut.rest or cut.size))
    step, scale, down, across = conv.step, 2 if conv.pooled else 1, result.height - height, result.width - width
    if conv.pooled:
        down, across = result.height - 1, result.width - 1
    size, number, rest, weights, bias = cut.size, cut.number, cut.rest, conv.weights, conv.bias
    x_block, x_pitch, y_block, y_plane = source.block * v, source.pitch, result.block, result.plane
    origin, pitch = result.origin, result.pitch

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            image, w = address(table, x) + block * x_block, address(table, parameters) + weights
            b = address(table, parameters) + bias
            for group in range(number + (rest > 0)):
                first = group * size
                for row in range(0, down + step, step):
                    for column in range(0, across + step, step):
                        at, to = min(row, down), min(column, across)
                        pixel = image + (at * scale * x_pitch + to * scale) * v
                        place = block * y_block + first * y_plane + origin + at * pitch + to
                        if group < number:
                            tile(
                                w + first * s,
                                pixel,
                                address(table, y) + place * v,
                                b + first * s,
                                address(table, places) + place * 4,
                            )
                        else:
                            last(
                                w + first * s,
                                pixel,
                                address(table, y) + place * v,
                                b + first * s,
                                address(table, places) + place * 4,
                            )

    return run


def _tile(conv: Convolution, channels: int, pixels: list[int], width: int) -> Any:
    """Some channels of 2x2 outputs, or of the window that is their maximum."""
    v, s, k, source, result = conv.target.bytes, conv.target.size, conv.kernel, conv.source, conv.result
    steps = [((r * k + c) * conv.row, (r * source.pitch + c) * v) for r in range(k) for c in range(k)]
    repeat = (source.channels, k * k * conv.row, source.plane * v)

    def finish(code: Code, sums: list[list[Any]], y: Any, bias: Any, places: Any) -> None:
        for channel, values in enumerate(sums):
            if conv.pooled:
                value, bottom, right = maximum(code, values)
                code.store_mask(bottom, places, channel * result.plane * 4)
                code.store_mask(right, places, channel * result.plane * 4 + 2)
                values = [value]
            for number, value in enumerate(values):
                if conv.bias >= 0:
                    value = code.add(value, code.broadcast(bias, channel * s))
                place = channel * result.plane + number // width * result.pitch + number % width
                code.store(activate(code, conv.activation, value), y, place * v)

    return product(conv.target, [channel * s for channel in range(channels)], pixels, steps, repeat, finish)


def maximum(code: Code, values: list[Any]) -> tuple[Any, Any, Any]:
    """The maximum of a window in row-major order, and masks: is it below, is it on the right; the first of equals."""
    masks, best = [], []
    for left, right in (values[:2], values[2:]):
        masks.append(code.less(left, right))
        best.append(code.select(masks[-1], right, left))
    bottom = code.less(*best)
    return code.select(bottom, *best[::-1]), bottom, code.select(bottom, *masks[::-1])


def weight_gradient(conv: Convolution, *, x: int, dy: int, gradients: int) -> Any:
    """The kernel of the gradient by the weights; numbers of buffers, dy in the grid of the result."""
    source, result, v, s, k = conv.source, conv.result, conv.target.bytes, conv.target.size, conv.kernel
    cut = Cut.of(result.channels, max(1, (conv.target.registers - k - 3) // (k + 1)))

    def tile(channels: int) -> Any:
        def write(code: Code, image: Any, above: Any, place: Any, blocks: Any, _: Any) -> None:
            sums = [code.variables(k) for _ in range(channels)]
            with code.loop(blocks) as block, code.loop(result.height) as row, code.loop(result.width) as column:
                at = code.offset(image, (block, source.block * v), (row, source.pitch * v), (column, v))
                to = code.offset(above, (block, result.block * v), (row, result.pitch * v), (column, v))
                values = [code.load(at, shift * v) for shift in range(k)]
                for channel, places in enumerate(sums):
                    change = code.load(to, channel * result.plane * v)
                    for value, kept in zip(values, places):
                        code.builder.store(code.fma(change, value, code.builder.load(kept)), kept)
            for channel, places in enumerate(sums):
                for shift, kept in enumerate(places):
                    code.store(code.total(code.builder.load(kept)), place, shift * conv.row + channel * s)

        return emit(conv.target, write)

    full, last = tile(cut.size), tile(cut.rest or cut.size)
    size, number, rest, inputs, weights, row = cut.size, cut.number, cut.rest, source.channels, conv.weights, conv.row
    plane, pitch, origin, y_plane = source.plane, source.pitch, result.origin, result.plane

    @kernel
    def run(table, blocks):
        for channel in range(inputs):
            for line in range(k):
                image = address(table, x) + (channel * plane + line * pitch) * v
                place = address(table, gradients) + weights + (channel * k + line) * k * row
                for group in range(number):
                    above = address(table, dy) + (origin + group * size * y_plane) * v
                    full(image, above, place + group * size * s, blocks, 0)
                if rest > 0:
                    above = address(table, dy) + (origin + number * size * y_plane) * v
                    last(image, above, place + number * size * s, blocks, 0)

    return run


def flipped(conv: Convolution, back: Convolution, *, parameters: int, other: int) -> Any:
    """The kernel that turns weights for the gradient by the input: `back` convolves the gradient with them."""
    k, row, back_row, s = conv.kernel, conv.row, back.row, conv.target.size
    inputs, outputs, weights = conv.source.channels, conv.result.channels, conv.weights

    copy = emit(conv.target, lambda code, a, b, *_: code.store(code.word(a), b))

    @kernel
    def run(table, blocks):
        for i in range(inputs):
            for o in range(outputs):
                for p in range(k * k):
                    a = address(table, parameters) + weights + (i * k * k + p) * row + o * s
                    copy(a, address(table, other) + (o * k * k + k * k - 1 - p) * back_row + i * s, 0, 0, 0)

    return run
