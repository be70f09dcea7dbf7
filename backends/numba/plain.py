"""Kernels without products: value by value, pools, sums over images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.numba.grid import Value
from backends.numba.vector import Code, Write


def each(value_of: Callable[..., Any], first: Value, second: Value, result: Value) -> Write:
    """Set every value of the result to `value_of(code, a, b)` of those in the same place of two others."""

    def write(code: Code, blocks: Any) -> None:
        with code.loops(blocks, result.channels, result.height, result.width) as place:
            found = value_of(code, *(code.load(value.place(code, *place)) for value in (first, second)))
            code.store(found, result.place(code, *place))

    return write


def scale(value_of: Callable[..., Any], first: Value, result: Value, buffer: int, weights: int) -> Write:
    """Set every value to `value_of(code, a, weight, bias)` of another and of its channel's parameters.

    Args:
        buffer, weights: of the parameters, and the byte where the weights begin; biases follow them.
    """
    size, apart = result.target.size, result.target.whole(result.channels) * result.target.size

    def write(code: Code, blocks: Any) -> None:
        with code.loops(blocks, result.channels, result.height, result.width) as place:
            start = code.offset(code.buffer(buffer), (place[1], size))
            factors = [code.broadcast(start, weights + shift) for shift in (0, apart)]
            code.store(value_of(code, code.load(first.place(code, *place)), *factors), result.place(code, *place))

    return write


def channel_sums(
    value_of: Callable[..., Any], first: Value, second: Value, buffer: int, at: int, result: Value | None = None
) -> Write:
    """The sum over images and pixels of `value_of(code, a, b)`, a number a channel, to a byte of a buffer.

    Args:
        result: where the values themselves go, if anywhere.
    """

    def write(code: Code, blocks: Any) -> None:
        with code.loops(first.channels) as channel:
            places = code.sums(1)
            with code.loops(blocks, first.height, first.width) as (block, *pixel):
                pair = [code.load(value.place(code, block, channel, *pixel)) for value in (first, second)]
                found = value_of(code, *pair)
                code.builder.store(code.add(*code.values(places), found), places[0])
                if result:
                    code.store(found, result.place(code, block, channel, *pixel))
            to = code.offset(code.buffer(buffer), (channel, first.target.size), (at, 1))
            code.store(code.total(*code.values(places)), to)

    return write


def windows(value_of: Callable[..., list[Any]], size: int, x: Value, result: Value, *others: Value) -> Write:
    """For every window, set some values to `value_of(code, pixels, others)`.

    Args:
        x: what has the windows; `others` have a value for each.
        result: has a value for each window, or for each of its pixels.
    """

    def write(code: Code, blocks: Any) -> None:
        with code.loops(blocks, x.channels, x.height // size, x.width // size) as place:
            v, (block, channel, row, column) = x.target.bytes, place
            shifts = [(i * x.pitch + j) * v for i in range(size) for j in range(size)]
            starts = [
                code.offset(value.place(code, block, channel, 0, 0), (row, size * value.pitch * v), (column, size * v))
                for value in (x, result)
            ]
            pixels = [code.load(starts[0], shift) for shift in shifts]
            found = value_of(code, pixels, *(code.load(value.place(code, *place)) for value in others))
            if len(found) == 1:
                code.store(found[0], result.place(code, *place))
            else:
                for value, shift in zip(found, shifts):
                    code.store(value, starts[1], shift)

    return write


def mean(code: Code, pixels: list[Any]) -> list[Any]:
    """For `windows`: the mean."""
    total = pixels[0]
    for pixel in pixels[1:]:
        total = code.add(total, pixel)
    return [code.mul(total, code.constant(1 / len(pixels)))]


def mean_back(code: Code, pixels: list[Any], dy: Any) -> list[Any]:
    """For `windows`: the gradient of `mean`."""
    return [code.mul(dy, code.constant(1 / len(pixels)))] * len(pixels)


def maximum(code: Code, pixels: list[Any]) -> list[Any]:
    """For `windows`: the maximum."""
    best = pixels[0]
    for pixel in pixels[1:]:
        best = code.select(code.less(best, pixel), pixel, best)
    return [best]


def maximum_back(code: Code, pixels: list[Any], dy: Any, y: Any) -> list[Any]:
    """For `windows`: the gradient of `maximum`, which goes to the first."""
    found = []
    for pixel in pixels:
        here = code.builder.fcmp_ordered("==", pixel, y)
        found.append(code.select(here, dy, code.constant(0)))
        dy = code.select(here, code.constant(0), dy)
    return found
