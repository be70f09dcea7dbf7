"""Kernels without products: value by value, pools, sums over images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.numba.grid import Grid, rounded_up
from backends.numba.vector import Code, Target, address, emit, kernel

# (number of a buffer, its grid)
Placed = tuple[int, Grid]


def each(
    target: Target, write: Callable[..., Any], first: Placed, second: Placed, result: Placed, *, once: bool = False
) -> Any:
    """A kernel that sets every value of the result to `write(code, a, b)` of those in the same place of two others.

    Args:
        once: of buffers that have no blocks.
    """
    if not any(grid.border for _, grid in (first, second, result)):
        first, second, result = ((number, grid.flat()) for number, grid in (first, second, result))
    v, (x, a), (y, b), (z, c) = target.bytes, first, second, result

    def row(code: Code, one: Any, other: Any, to: Any, *_: Any) -> None:
        with code.loop(c.width) as column:
            values = [code.load(code.offset(at, (column, v))) for at in (one, other)]
            code.store(write(code, *values), code.offset(to, (column, v)))

    tile, channels, height = emit(target, row), c.channels, c.height
    a_block, a_plane, a_pitch, a_origin = a.block, a.plane, a.pitch, a.origin
    b_block, b_plane, b_pitch, b_origin = b.block, b.plane, b.pitch, b.origin
    c_block, c_plane, c_pitch, c_origin = c.block, c.plane, c.pitch, c.origin

    @kernel
    def run(table, blocks):
        for block in range(1 if once else blocks):
            for channel in range(channels):
                for line in range(height):
                    from_a = block * a_block + channel * a_plane + line * a_pitch + a_origin
                    from_b = block * b_block + channel * b_plane + line * b_pitch + b_origin
                    to = block * c_block + channel * c_plane + line * c_pitch + c_origin
                    tile(
                        address(table, x) + from_a * v, address(table, y) + from_b * v, address(table, z) + to * v, 0, 0
                    )

    return run


def windows(target: Target, write: Callable[..., None], size: int, large: Placed, small: Placed) -> Any:
    """A kernel that calls `write(code, shifts, (x, dx), (y, dy))` with the addresses of every window's first value and
    of the value that belongs to it; gradients are in the buffers behind. `shifts` lead to the others, row by row."""
    v, (x, a), (y, b) = target.bytes, large, small
    shifts = [(i * a.pitch + j) * v for i in range(size) for j in range(size)]

    def row(code: Code, *places: Any) -> None:
        with code.loop(b.width) as column:
            x, y, dx, dy = (code.offset(at, (column, v * by)) for at, by in zip(places, (size, 1, size, 1)))
            write(code, shifts, (x, dx), (y, dy))

    tile, channels, height = emit(target, row), b.channels, b.height
    a_block, a_plane, a_pitch, a_origin = a.block, a.plane, a.pitch, a.origin
    b_block, b_plane, b_pitch, b_origin = b.block, b.plane, b.pitch, b.origin

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            for channel in range(channels):
                for line in range(height):
                    one = (block * a_block + channel * a_plane + line * size * a_pitch + a_origin) * v
                    other = (block * b_block + channel * b_plane + line * b_pitch + b_origin) * v
                    first, second = address(table, x) + one, address(table, y) + other
                    tile(first, second, address(table, x + 1) + one, address(table, y + 1) + other, 0)

    return run


def mean(code: Code, shifts: list[int], x: Any, y: Any) -> None:
    """For `windows`: the mean."""
    total = code.load(x[0], shifts[0])
    for shift in shifts[1:]:
        total = code.add(total, code.load(x[0], shift))
    code.store(code.mul(total, code.constant(1 / len(shifts))), y[0])


def mean_back(code: Code, shifts: list[int], x: Any, y: Any) -> None:
    """For `windows`: the gradient of `mean`."""
    share = code.mul(code.load(y[1]), code.constant(1 / len(shifts)))
    for shift in shifts:
        code.store(share, x[1], shift)


def maximum(code: Code, shifts: list[int], x: Any, y: Any) -> None:
    """For `windows`: the maximum."""
    best = code.load(x[0], shifts[0])
    for shift in shifts[1:]:
        value = code.load(x[0], shift)
        best = code.select(code.less(best, value), value, best)
    code.store(best, y[0])


def maximum_back(code: Code, shifts: list[int], x: Any, y: Any) -> None:
    """For `windows`: the gradient of `maximum`, which goes to the first."""
    best, left = code.load(y[0]), code.load(y[1])
    for shift in shifts:
        here = code.builder.fcmp_ordered("==", code.load(x[0], shift), best)
        code.store(code.select(here, left, code.constant(0)), x[1], shift)
        left = code.select(here, code.constant(0), left)


def channel_sums(target: Target, write: Callable[..., Any], first: Placed, second: Placed, sums: int, at: int) -> Any:
    """A kernel of the sum over images and pixels of `write(code, a, b)`, a number a channel, at a byte of a buffer."""
    v, (x, a), (y, b) = target.bytes, first, second

    def channel(code: Code, one: Any, other: Any, place: Any, blocks: Any, _: Any) -> None:
        (total,) = code.variables(1)
        with code.loop(blocks) as block, code.loop(a.height) as row, code.loop(a.width) as column:
            from_a = code.offset(one, (block, a.block * v), (row, a.pitch * v), (column, v))
            from_b = code.offset(other, (block, b.block * v), (row, b.pitch * v), (column, v))
            value = write(code, code.load(from_a), code.load(from_b))
            code.builder.store(code.add(code.builder.load(total), value), total)
        code.store(code.total(code.builder.load(total)), place)

    tile, channels, size = emit(target, channel), a.channels, target.size
    a_plane, a_origin, b_plane, b_origin = a.plane, a.origin, b.plane, b.origin

    @kernel
    def run(table, blocks):
        for number in range(channels):
            one = address(table, x) + (number * a_plane + a_origin) * v
            other = address(table, y) + (number * b_plane + b_origin) * v
            tile(one, other, address(table, sums) + at + number * size, blocks, 0)

    return run


def by_channel(target: Target, write: Callable[..., Any], first: Placed, result: Placed, numbers: int, at: int) -> Any:
    """A kernel that sets every value to `write(code, a, weight, bias)` of another and of its channel's parameters.

    Args:
        first, result: in the same grid.
        numbers, at: the buffer of the parameters, and the byte where the weights begin; biases follow them.
    """
    v, size, (x, grid), (z, _) = target.bytes, target.size, first, result
    channels, plane, block_size, apart = grid.channels, grid.plane, grid.block, rounded_up(grid.channels, target.lanes)

    def channel(code: Code, one: Any, to: Any, number: Any, *_: Any) -> None:
        factors = [code.broadcast(number, shift * size) for shift in (0, apart)]
        with code.loop(grid.height) as row, code.loop(grid.width) as column:
            place = [(row, grid.pitch * v), (column, v)]
            value = write(code, code.load(code.offset(one, *place), grid.origin * v), *factors)
            code.store(value, code.offset(to, *place), grid.origin * v)

    tile = emit(target, channel)

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            for number in range(channels):
                place, weights = (block * block_size + number * plane) * v, address(table, numbers) + at
                tile(address(table, x) + place, address(table, z) + place, weights + number * size, 0, 0)

    return run
