"""What is before the first layer and behind the last: images into lanes, cross-entropy, the optimizer."""

from __future__ import annotations

import math
from typing import Any

from backends.numba.grid import Grid
from backends.numba.vector import Code, Target, address, emit, exponential, keep, kernel, number
from harness.spec.recipe import Recipe

# Scalars: what the gradient of an image's loss is multiplied by, the learning rate, Adam's with its corrections.
SHARE, RATE, ADAM_RATE, SCALARS = 0, 1, 2, 3


def pack(target: Target, grid: Grid, *, rows: int, places: int, x: int) -> Any:
    """The kernel that puts images, whose addresses are in `rows`, into lanes; a pixel's vector is in `places`."""
    lanes, s, v, block_size = target.lanes, target.size, target.bytes, grid.block * target.bytes
    pixels = grid.channels * grid.height * grid.width
    if pixels < lanes:
        raise ValueError(f"The backend numba takes images of at least {lanes} values, got {pixels}.")

    def write(code: Code, images: Any, pixel: Any, place: Any, to: Any, _: Any) -> None:
        starts = [code.builder.add(code.long(images, 8 * lane), pixel) for lane in range(lanes)]
        for one, value in enumerate(code.transposed([code.load(start, aligned=False) for start in starts])):
            code.store(value, code.offset(to, (code.long(place, 8 * one), v)))

    tile, last = emit(target, write), pixels - lanes

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            images, to = address(table, rows) + block * lanes * 8, address(table, x) + block * block_size
            for pixel in range(0, pixels, lanes):
                first = min(pixel, last)
                tile(images, first * s, address(table, places) + first * 8, to, 0)

    return run


def cross_entropy(
    target: Target,
    classes: int,
    block_size: int,
    *,
    y: int,
    dy: int,
    labels: int,
    sums: int,
    scalars: int,
    count: int,
    loss: int,
) -> Any:
    """The kernel of the mean loss and its gradient by the logits, times SHARE; images beyond the count have none."""
    v, lanes = target.bytes, target.lanes

    def write(code: Code, logits: Any, gradient: Any, labels: Any, kept: Any, share: Any) -> None:
        label = code.load_integers(labels)
        most = code.load(logits)
        for one in range(1, classes):
            value = code.load(logits, one * v)
            most = code.select(code.less(most, value), value, most)
        total = chosen = code.constant(0)
        for one in range(classes):
            value = code.sub(code.load(logits, one * v), most)
            p, scale = exponential(code, value)
            share_of = code.fma(scale, p, scale)
            total = code.add(total, share_of)
            chosen = code.select(code.builder.icmp_signed("==", label, code.whole(one)), value, chosen)
            code.store(share_of, gradient, one * v)
        code.store(total, kept)
        code.store(chosen, kept, v)
        counts, factor = code.builder.icmp_signed(">=", label, code.whole(0)), code.broadcast(share, 0)
        for one in range(classes):
            mine = code.builder.icmp_signed("==", label, code.whole(one))
            wanted = code.select(mine, code.constant(1), code.constant(0))
            value = code.sub(code.div(code.load(gradient, one * v), total), wanted)
            code.store(code.select(counts, code.mul(value, factor), code.constant(0)), gradient, one * v)

    tile, entry, size = emit(target, write), number(target), target.size
    block_bytes = block_size * v

    @kernel
    def run(table, blocks):
        for block in range(blocks):
            tile(
                address(table, y) + block * block_bytes, address(table, dy) + block * block_bytes,
                address(table, labels) + block * v, address(table, sums) + block * 2 * v, address(table, scalars),
            )  # fmt: skip
        found, images = 0.0, address(table, count)
        for image in range(images):
            place = address(table, sums) + image // lanes * 2 * v + image % lanes * size
            found += math.log(entry(place)) - entry(place + v)
        keep(found / images, address(table, loss))

    return run


def update(
    target: Target,
    recipe: Recipe,
    size: int,
    *,
    parameters: int,
    gradients: int,
    moments: tuple[int, int],
    scalars: int,
) -> Any:
    """The kernel of the optimizer's step, over all parameters; `size` is in bytes."""
    v, s = target.bytes, target.size

    def write(code: Code, weight_at: Any, gradient_at: Any, first_at: Any, second_at: Any, scalars: Any) -> None:
        weight, change = code.load(weight_at), code.load(gradient_at)
        rate = code.broadcast(scalars, RATE * s)
        if recipe.coupled_decay:
            change = code.add(change, code.mul(code.constant(recipe.coupled_decay), weight))
        if recipe.decoupled_decay:
            weight = code.sub(weight, code.mul(code.mul(rate, code.constant(recipe.decoupled_decay)), weight))
        if recipe.optimizer == "adam":
            first = code.mul(code.constant(recipe.beta1), code.load(first_at))
            first = code.add(first, code.mul(code.constant(1 - recipe.beta1), change))
            second = code.mul(code.constant(recipe.beta2), code.load(second_at))
            second = code.add(second, code.mul(code.mul(code.constant(1 - recipe.beta2), change), change))
            code.store(first, first_at)
            code.store(second, second_at)
            root = code.add(code.root(second), code.constant(recipe.epsilon))
            change, rate = code.div(first, root), code.broadcast(scalars, ADAM_RATE * s)
        elif recipe.momentum:
            velocity = code.add(code.mul(code.constant(recipe.momentum), code.load(first_at)), change)
            code.store(velocity, first_at)
            ahead = code.add(change, code.mul(code.constant(recipe.momentum), velocity))
            change = ahead if recipe.nesterov else velocity
        code.store(code.sub(weight, code.mul(rate, change)), weight_at)

    tile, (one, two) = emit(target, write), moments

    @kernel
    def run(table, blocks):
        for at in range(0, size, v):
            tile(
                address(table, parameters) + at, address(table, gradients) + at,
                address(table, one) + at, address(table, two) + at, address(table, scalars),
            )  # fmt: skip

    return run
