"""Inference of one image at a time, output channels in lanes: for fewer images than would fill a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from backends.numba.activations import activate
from backends.numba.convolution import Convolution, maximum
from backends.numba.dense import Dense
from backends.numba.product import Cut, product
from backends.numba.vector import Code, address, kernel

# Strides in bytes of what a layer is given: channel, row, column.
Strides = tuple[int, int, int]


def programme(model: Any) -> tuple[list[Any], np.ndarray] | None:
    """What compiles the kernels for an image whose address is in the buffer of rows, and where its logits will be.

    None where a layer has no kernel of this kind.
    """
    makes: list[Any] = []
    grid, size, parameters = model.given.grid, model.target.size, model.parameters[0]
    x, given = -1, (grid.height * grid.width * size, grid.width * size, size)
    for stage in model.stages:
        made, values = stage.made, None
        if isinstance(made, Convolution) and (makes or not grid.border):
            y, values = model.memory.fixed((stage.value.grid.plane * made.row,), "uint8")
            makes.append(partial(convolve, made, given, rows=model.rows, x=x, parameters=parameters, y=y))
            given = made.target.size, made.result.pitch * made.row, made.row
        elif isinstance(made, Dense) and makes:
            y, values = model.memory.fixed((made.row,), "uint8")
            shape = (grid.channels, grid.height * grid.width)
            makes.append(partial(multiply, made, shape, (given[0], given[2]), x=x, parameters=parameters, y=y))
            given = (size, size, size)
        elif made is not None or not stage.passes:
            return None
        if values is not None:
            x, grid = y, stage.value.grid
    return makes, values.view(model.target.dtype)


def convolve(conv: Convolution, given: Strides, *, rows: int, x: int, parameters: int, y: int) -> Any:
    """The kernel of a convolution; numbers of buffers. Where x is negative, it is given the image itself."""
    result, v, scale = conv.result, conv.target.bytes, 2 if conv.pooled else 1
    # As many windows of 2x2 at once as hide how long an addition takes.
    many = min(2 if conv.target.registers == 32 or conv.row == v else 1, result.width)
    pixels = [
        (j // 2, 2 * one + j % 2) if conv.pooled else (0, one) for one in range(many) for j in range(scale * scale)
    ]
    cut = Cut.of(conv.row // v, max(1, (conv.target.registers - 4) // (len(pixels) + 1)))
    tile, last = (_tile(conv, given, pixels, size) for size in (cut.size, cut.rest or cut.size))
    size, number, groups = cut.size, cut.number, cut.number + (cut.rest > 0)
    height, width, across = result.height, result.width, result.width - many
    _, down, right = given
    weights, bias, row_bytes = conv.weights, conv.bias, conv.row
    pitch, origin = result.pitch, result.origin

    @kernel
    def run(table, blocks):
        start = address(address(table, rows), 0) if x < 0 else address(table, x)
        w, b = address(table, parameters) + weights, address(table, parameters) + bias
        for row in range(height):
            for column in range(0, width, many):
                at = min(column, across)
                pixel, place = start + scale * (row * down + at * right), (origin + row * pitch + at) * row_bytes
                for group in range(groups):
                    shift = group * size * v
                    if group < number:
                        tile(pixel, w + shift, address(table, y) + place + shift, b + shift, 0)
                    else:
                        last(pixel, w + shift, address(table, y) + place + shift, b + shift, 0)

    return run


def _tile(conv: Convolution, given: Strides, pixels: Sequence[tuple[int, int]], vectors: int) -> Callable[..., None]:
    v, k, (channel, down, right) = conv.target.bytes, conv.kernel, given
    steps = [(r * down + c * right, (r * k + c) * conv.row) for r in range(k) for c in range(k)]
    together = 4 if conv.pooled else 1

    def finish(code: Code, sums: list[list[Any]], y: Any, bias: Any, _: Any) -> None:
        for vector in range(vectors):
            added = code.load(bias, vector * v)
            for one in range(len(pixels) // together):
                values = [row[vector] for row in sums[one * together : (one + 1) * together]]
                value = maximum(code, values)[0] if conv.pooled else values[0]
                code.store(activate(code, conv.activation, code.add(value, added)), y, one * conv.row + vector * v)

    places = [row * down + column * right for row, column in pixels]
    repeat = (conv.source.channels, channel, k * k * conv.row)
    return product(conv.target, places, [vector * v for vector in range(vectors)], steps, repeat, finish)


def multiply(dense: Dense, shape: tuple[int, int], strides: tuple[int, int], *, x: int, parameters: int, y: int) -> Any:
    """The kernel of a dense layer; numbers of buffers.

    Args:
        shape, strides: of what it is given, as (channels, pixels); strides in bytes.
    """
    v, row, (channels, pixels) = dense.target.bytes, dense.row, shape
    cut = Cut.of(row // v, 8 if dense.target.registers == 16 else 16)
    steps = [(pixel * strides[1], pixel * row) for pixel in range(pixels)]
    repeat = (channels, strides[0], pixels * row)

    def tile(vectors: int) -> Any:
        def finish(code: Code, sums: list[list[Any]], y: Any, bias: Any, _: Any) -> None:
            for vector, value in enumerate(sums[0]):
                value = code.add(value, code.load(bias, vector * v))
                code.store(activate(code, dense.activation, value), y, vector * v)

        return product(dense.target, [0], [vector * v for vector in range(vectors)], steps, repeat, finish)

    full, last = tile(cut.size), tile(cut.rest or cut.size)
    size, number, rest, weights, bias = cut.size, cut.number, cut.rest, dense.weights, dense.bias

    @kernel
    def run(table, blocks):
        w, b = address(table, parameters) + weights, address(table, parameters) + bias
        for group in range(number):
            shift = group * size * v
            full(address(table, x), w + shift, address(table, y) + shift, b + shift, 0)
        if rest > 0:
            shift = number * size * v
            last(address(table, x), w + shift, address(table, y) + shift, b + shift, 0)

    return run
