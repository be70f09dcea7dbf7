"""Inference of one image at a time, output channels in lanes: for fewer images than would fill a vector."""

from __future__ import annotations

from typing import Any

from backends.numba.activations import activate
from backends.numba.convolution import Convolution, maximum
from backends.numba.dense import Dense
from backends.numba.product import products
from backends.numba.vector import INT, Code, Write

# Strides in bytes of what a layer is given: channel, row, column.
Strides = tuple[int, int, int]


def programme(model: Any) -> tuple[list[Write], Any] | None:
    """The kernels for an image whose address is the first of the rows, and where its logits will be.

    None where a layer has no kernel of this kind.
    """
    found: list[Write] = []
    value, size, array = model.x, model.target.size, None
    number, given = 0, (value.height * value.width * size, value.width * size, size)
    for stage in model.stages:
        made = stage.made
        if made is None and stage.passes:
            continue
        if isinstance(made, Convolution) and (found or not value.border):
            to, array = model.memory.fixed(made.y.plane * made.row, dtype="uint8")
            found.append(_convolve(made, given, number or model.ends.rows, to, first=not number))
            given = size, made.y.pitch * made.row, made.row
        elif isinstance(made, Dense) and found:
            to, array = model.memory.fixed(made.row, dtype="uint8")
            found.append(_multiply(made, value.height * value.width, given, number, to))
            given = size, size, size
        else:
            return None
        number, value = to, made.y
    return found, array.view(model.target.dtype)


def _convolve(conv: Convolution, given: Strides, read: int, to: int, *, first: bool) -> Write:
    """A convolution; `read` is the buffer that it reads, or that of the address of what the first one reads."""
    y, v, k, (channel, down, right), pooled = conv.y, conv.x.target.bytes, conv.size, given, conv.places > 0
    # As many windows at once as hide how long an addition takes.
    many, side = min(2, y.width), 2 if pooled else 1
    pixels = [i * down + (side * one + j) * right for one in range(many) for i in range(side) for j in range(side)]
    steps = [(r * down + c * right, (r * k + c) * conv.row) for r in range(k) for c in range(k)]

    def write(code: Code, _: Any) -> None:
        def tile(row: Any, column: Any, vector: Any, vectors: int) -> None:
            start = code.word(code.buffer(read), 0, INT) if first else code.buffer(read)
            start = code.offset(start, (row, side * down), (column, side * right))
            weights = code.offset(code.buffer(conv.parameters), (vector, v))
            columns, repeat = [n * v for n in range(vectors)], (conv.x.channels, channel, k * k * conv.row)
            sums = products(code, start, code.offset(weights, (conv.weights, 1)), pixels, columns, steps, repeat)
            place = code.offset(code.buffer(to), (row, y.pitch * conv.row), (column, conv.row), (vector, v))
            origin = y.border * (y.pitch + 1) * conv.row
            for n in range(vectors):
                bias = code.load(weights, conv.bias + n * v)
                for one in range(many):
                    values = [found[n] for found in sums[one * side * side : (one + 1) * side * side]]
                    value = code.add(maximum(code, values)[0] if pooled else values[0], bias)
                    code.store(activate(code, conv.activation, value), place, origin + one * conv.row + n * v)

        with code.loops(y.height, -(-y.width // many)) as (row, number):
            column = code.least(code.offset(code.zero, (number, many)), y.width - many)
            most = (conv.x.target.registers - 4) // (len(pixels) + 1)
            code.groups(conv.row // v, most, lambda vector, vectors: tile(row, column, vector, vectors))

    return write


def _multiply(dense: Dense, pixels: int, given: Strides, read: int, to: int) -> Write:
    """A dense layer, of channels of so many pixels."""
    v, row = dense.x.target.bytes, dense.row
    steps = [(pixel * given[2], pixel * row) for pixel in range(pixels)]

    def write(code: Code, _: Any) -> None:
        def group(vector: Any, vectors: int) -> None:
            weights, place = (code.offset(code.buffer(number), (vector, v)) for number in (dense.parameters, to))
            start, columns = code.offset(weights, (dense.weights, 1)), [n * v for n in range(vectors)]
            repeat = (dense.x.channels // pixels, given[0], pixels * row)
            for n, value in enumerate(products(code, code.buffer(read), start, [0], columns, steps, repeat)[0]):
                value = code.add(value, code.load(weights, dense.bias + n * v))
                code.store(activate(code, dense.activation, value), place, n * v)

        code.groups(row // v, dense.x.target.registers // 2, group)

    return write
