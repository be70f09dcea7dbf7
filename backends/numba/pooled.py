"""Gradients of a convolution behind which is a max pool of 2x2: three quarters of its outputs have none.

A window's gradient belongs to one of four outputs, another one for each image. Multiplying the zeros of the others is
spared: for the gradient by the weights, the patch that this output saw is picked from those of all four; for that by
the input, the weight that a pixel had in this output is looked up.
"""

from __future__ import annotations

from typing import Any

from backends.numba.convolution import Convolution
from backends.numba.product import Cut
from backends.numba.vector import Code, address, emit, kernel

# Outputs of a window, and bytes in which a window's place of the maximum is kept: two masks.
PLACES, KEPT = 4, 4


def weight_gradient(conv: Convolution, *, x: int, dy: int, places: int, gradients: int) -> Any:
    """The kernel of the gradient by the weights; numbers of buffers."""
    source, result, v, s, k = conv.source, conv.result, conv.target.bytes, conv.target.size, conv.kernel
    cut = Cut.of(k, max(1, (conv.target.registers - 7) // k))
    full, last = (_patches(conv, lines) for lines in (cut.size, cut.rest or cut.size))
    size, number, rest, row, weights = cut.size, cut.number, cut.rest, conv.row, conv.weights
    inputs, outputs, plane, pitch, y_plane = source.channels, result.channels, source.plane, source.pitch, result.plane

    @kernel
    def run(table, blocks):
        for channel in range(inputs):
            for output in range(outputs):
                place = address(table, gradients) + weights + channel * k * k * row + output * s
                above, kept = (
                    address(table, dy) + output * y_plane * v,
                    address(table, places) + output * y_plane * KEPT,
                )
                image = address(table, x) + channel * plane * v
                for group in range(number):
                    line = group * size
                    full(image + line * pitch * v, above, kept, place + line * k * row, blocks)
                if rest > 0:
                    line = number * size
                    last(image + line * pitch * v, above, kept, place + line * k * row, blocks)

    return run


def _patches(conv: Convolution, lines: int) -> Any:
    """The gradient by some lines of one kernel: of the patches that had the maximum."""
    source, result, v, k = conv.source, conv.result, conv.target.bytes, conv.kernel

    def write(code: Code, image: Any, above: Any, kept: Any, place: Any, blocks: Any) -> None:
        sums = code.variables(lines * k)
        with code.loop(blocks) as block, code.loop(result.height) as row, code.loop(result.width) as column:
            window = [(block, result.block), (row, result.pitch), (column, 1)]
            at = code.offset(above, *((value, by * v) for value, by in window))
            masks = code.offset(kept, *((value, by * KEPT) for value, by in window))
            pixel = code.offset(image, (block, source.block * v), (row, 2 * source.pitch * v), (column, 2 * v))
            change = code.load(at, result.origin * v)
            bottom, right = (code.load_mask(masks, result.origin * KEPT + shift) for shift in (0, 2))

            def line_of(number: int) -> list[Any]:
                values = [code.load(pixel, (number * source.pitch + shift) * v) for shift in range(k + 1)]
                return [code.select(right, values[shift + 1], values[shift]) for shift in range(k)]

            line = line_of(0)
            for number in range(lines):
                line, before = line_of(number + 1), line
                for shift in range(k):
                    total = sums[number * k + shift]
                    picked = code.select(bottom, line[shift], before[shift])
                    code.builder.store(code.fma(change, picked, code.builder.load(total)), total)
        for number, total in enumerate(sums):
            code.store(code.total(code.builder.load(total)), place, number * conv.row)

    return emit(conv.target, write)


def table_bytes(conv: Convolution) -> int:
    """Of the weights of one kernel as `look_up` wants them: four for each pixel that a window saw."""
    pixels = (conv.kernel + 1) ** 2
    return -(-pixels * PLACES // conv.target.lanes) * conv.target.bytes


def look_up(conv: Convolution, *, parameters: int, weights: int) -> Any:
    """The kernel that lays out the weights: for each pixel that a window saw, the weight in each of its outputs.

    What no output saw stays 0.
    """
    k, s, row, size, first = conv.kernel, conv.target.size, conv.row, table_bytes(conv), conv.weights
    inputs, outputs, side = conv.source.channels, conv.result.channels, conv.kernel + 1
    copy = emit(conv.target, lambda code, a, b, *_: code.store(code.word(a), b))

    @kernel
    def run(table, blocks):
        for channel in range(inputs):
            for output in range(outputs):
                to = address(table, weights) + (channel * outputs + output) * size
                for line in range(k):
                    for shift in range(k):
                        at = address(table, parameters) + first + ((channel * k + line) * k + shift) * row + output * s
                        for bottom in range(2):
                            for right in range(2):
                                pixel = (line + bottom) * side + shift + right
                                copy(at, to + (pixel * PLACES + 2 * bottom + right) * s, 0, 0, 0)

    return run


def input_gradient(conv: Convolution, *, dy: int, places: int, weights: int, dx: int) -> Any:
    """The kernel of the gradient by the input; `weights` is what `look_up` made."""
    source, result, v, side = conv.source, conv.result, conv.target.bytes, conv.kernel + 1
    cut = Cut.of(side, max(1, (conv.target.registers - 8) // side))
    tiles = [_pixels(conv, number * cut.size, cut.size) for number in range(cut.number)]
    tiles += [_pixels(conv, cut.number * cut.size, cut.rest)] * (cut.rest > 0)
    clear = emit(conv.target, lambda code, place, *_: code.store(code.constant(0), place))

    def write(code: Code, weights: Any, above: Any, kept: Any, place: Any, _: Any) -> None:
        for tile in tiles:
            tile(code, weights, above, kept, place)

    window, size = emit(conv.target, write), table_bytes(conv)
    inputs, outputs, height, width = source.channels, result.channels, result.height, result.width
    x_block, plane, pitch, y_block, origin, y_pitch = (
        source.block, source.plane, source.pitch, result.block, result.origin, result.pitch,
    )  # fmt: skip

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            for channel in range(inputs):
                image = address(table, dx) + (block * x_block + channel * plane) * v
                for pixel in range(plane):
                    clear(image + pixel * v, 0, 0, 0, 0)
                for row in range(height):
                    for column in range(width):
                        at = block * y_block + origin + row * y_pitch + column
                        window(
                            address(table, weights) + channel * outputs * size, address(table, dy) + at * v,
                            address(table, places) + at * KEPT, image + (2 * row * pitch + 2 * column) * v, 0,
                        )  # fmt: skip

    return run


def _pixels(conv: Convolution, first: int, lines: int) -> Any:
    """Adds what the outputs of one window give to some lines of the pixels that it saw, in one channel."""
    source, result, v, s, side = conv.source, conv.result, conv.target.bytes, conv.target.size, conv.kernel + 1
    tables, pixels = conv.target.lanes // PLACES, range(first * side, (first + lines) * side)

    def write(code: Code, weights: Any, above: Any, kept: Any, place: Any) -> None:
        sums = code.variables(len(pixels))
        with code.loop(result.channels) as output:
            change = code.load(code.offset(above, (output, result.plane * v)))
            masks, table = (
                code.offset(kept, (output, result.plane * KEPT)),
                code.offset(weights, (output, table_bytes(conv))),
            )
            bottom, right = code.load_mask(masks, 0), code.load_mask(masks, 2)
            if conv.target.permute:
                number = code.builder.add(*(
                    code.select(mask, code.whole(value), code.whole(0)) for mask, value in ((bottom, 2), (right, 1))
                ))  # fmt: skip
                numbers = [code.builder.add(number, code.whole(PLACES * one)) for one in range(tables)]
            for total, pixel in zip(sums, pixels):
                if conv.target.permute:
                    found = code.permute(code.load(table, pixel // tables * v), numbers[pixel % tables])
                else:
                    values = [code.broadcast(table, (pixel * PLACES + one) * s) for one in range(PLACES)]
                    pairs = [code.select(right, values[one + 1], values[one]) for one in (0, 2)]
                    found = code.select(bottom, pairs[1], pairs[0])
                code.builder.store(code.fma(change, found, code.builder.load(total)), total)
        for total, pixel in zip(sums, pixels):
            at = (pixel // side * source.pitch + pixel % side) * v
            code.store(code.add(code.load(place, at), code.builder.load(total)), place, at)

    return write
