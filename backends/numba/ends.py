"""What is before the first layer and behind the last: images into lanes, cross-entropy, the optimizer."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from backends.numba.grid import Memory, Value
from backends.numba.vector import INT, Code, Target, Write, exponential
from harness.spec.recipe import Recipe

# Scalars: what the gradient of an image's loss is multiplied by, the learning rate, Adam's with its corrections.
SHARE, RATE, ADAM_RATE, SCALARS = 0, 1, 2, 3


class Ends:
    """Buffers of what a batch is, and of what it comes to.

    Attributes:
        rows, labels: addresses of images, and their classes, which are negative where there is none; of every lane.
        count: how many images there are, int64 (1,).
        scalars: as above.
        loss: float64 (1,).
    """

    def __init__(self, memory: Memory, target: Target, x: Value) -> None:
        self.rows, self.labels = memory.block(8 * target.lanes), memory.block(target.bytes)
        self.sums = memory.block(2 * target.bytes)
        self.count, self.scalars = memory.fixed(1, dtype="int64"), memory.fixed(SCALARS)
        self.loss, self.vectors = memory.fixed(1, dtype="float64"), memory.fixed(len(x.vectors()), dtype="int64")
        self.vectors[1][:] = x.vectors()
        self.x, self.target = x, target

    def pack(self, code: Code, blocks: Any) -> None:
        """Put images into lanes, a square of images and pixels at a time."""
        lanes, s, v = self.target.lanes, self.target.size, self.target.bytes
        pixels = len(self.vectors[1])
        if pixels < lanes:
            raise ValueError(f"The backend numba takes images of at least {lanes} values, got {pixels}.")
        with code.loops(blocks, -(-pixels // lanes)) as (block, number):
            first = code.least(code.offset(code.zero, (number, lanes)), pixels - lanes)
            images = code.offset(code.buffer(self.rows), (block, lanes * 8))
            starts = [code.offset(code.word(images, 8 * lane, INT), (first, s)) for lane in range(lanes)]
            to = code.offset(code.buffer(self.x.number), (block, self.x.block * v))
            places = code.offset(code.buffer(self.vectors[0]), (first, 8))
            for one, value in enumerate(code.transposed([code.load(start, aligned=False) for start in starts])):
                code.store(value, code.offset(to, (code.word(places, 8 * one, INT), v)))

    def cross_entropy(self, classes: int, y: Value) -> Write:
        """The mean loss, and its gradient by the logits, times SHARE; where there is no image it is 0."""
        v, s, lanes = self.target.bytes, self.target.size, self.target.lanes

        def block_of(code: Code, block: Any) -> None:
            label = code.load(code.offset(code.buffer(self.labels), (block, v)), kind=code.integers)
            logits = [code.load(y.place(code, block, one, 0, 0)) for one in range(classes)]
            most = logits[0]
            for value in logits[1:]:
                most = code.select(code.less(most, value), value, most)
            total, chosen, shares = code.constant(0), code.constant(0), []
            mine = [code.builder.icmp_signed("==", label, code.whole(one)) for one in range(classes)]
            for value, mask in zip(logits, mine):
                value = code.sub(value, most)
                p, scale = exponential(code, value)
                shares.append(code.fma(scale, p, scale))
                total, chosen = code.add(total, shares[-1]), code.select(mask, value, chosen)
            kept = code.offset(code.buffer(self.sums), (block, 2 * v))
            code.store(total, kept)
            code.store(chosen, kept, v)
            there, factor = (
                code.builder.icmp_signed(">=", label, code.whole(0)),
                code.broadcast(code.buffer(self.scalars[0])),
            )
            for one, (share, mask) in enumerate(zip(shares, mine)):
                wanted = code.select(mask, code.constant(1), code.constant(0))
                value = code.mul(code.sub(code.div(share, total), wanted), factor)
                code.store(code.select(there, value, code.constant(0)), y.gradient.place(code, block, one, 0, 0))

        def write(code: Code, blocks: Any) -> None:
            with code.loops(blocks) as block:
                block_of(code, block)
            double, count = ir.DoubleType(), code.word(code.buffer(self.count[0]), 0, INT)
            log = cgutils.get_or_insert_function(code.builder.module, ir.FunctionType(double, [double]), "llvm.log.f64")
            loss = cgutils.alloca_once_value(code.builder, double(0))
            with code.loops(count) as image:
                block, lane = (getattr(code.builder, kind)(image, INT(lanes)) for kind in ("udiv", "urem"))
                at = code.offset(code.buffer(self.sums), (block, 2 * v), (lane, s))
                total, chosen = code.word(at), code.word(at, v)
                if code.number != double:
                    total, chosen = code.builder.fpext(total, double), code.builder.fpext(chosen, double)
                found = code.sub(code.builder.call(log, [total]), chosen)
                code.builder.store(code.add(code.builder.load(loss), found), loss)
            mean = code.div(code.builder.load(loss), code.builder.sitofp(count, double))
            code.store(mean, code.buffer(self.loss[0]))

        return write

    def update(self, recipe: Recipe, count: int, parameters: int, gradients: int, moments: tuple[int, int]) -> Write:
        """The optimizer's step, over all of so many parameters."""
        s = self.target.size

        def write(code: Code, _: Any) -> None:
            scalars = code.buffer(self.scalars[0])
            rate, adam_rate = (code.broadcast(scalars, number * s) for number in (RATE, ADAM_RATE))
            with code.loops(count // self.target.lanes) as vector:
                places = [code.offset(code.buffer(number), (vector, self.target.bytes))
                          for number in (parameters, gradients, *moments)]  # fmt: skip
                weight, change = code.load(places[0]), code.load(places[1])
                if recipe.coupled_decay:
                    change = code.add(change, code.mul(code.constant(recipe.coupled_decay), weight))
                if recipe.decoupled_decay:
                    decay = code.mul(rate, code.constant(recipe.decoupled_decay))
                    weight = code.sub(weight, code.mul(decay, weight))
                if recipe.optimizer == "adam":
                    step = code.mul(adam_rate, _adam(code, recipe, change, *places[2:]))
                else:
                    step = code.mul(rate, _momentum(code, recipe, change, places[2]))
                code.store(code.sub(weight, step), places[0])

        return write


def _adam(code: Code, recipe: Recipe, change: Any, first_at: Any, second_at: Any) -> Any:
    """The mean gradient over the root of the mean square."""
    moments = []
    for place, beta, value in ((first_at, recipe.beta1, change), (second_at, recipe.beta2, code.mul(change, change))):
        kept = code.mul(code.constant(beta), code.load(place))
        moments.append(code.add(kept, code.mul(code.constant(1 - beta), value)))
        code.store(moments[-1], place)
    return code.div(moments[0], code.add(code.plain("sqrt", moments[1]), code.constant(recipe.epsilon)))


def _momentum(code: Code, recipe: Recipe, change: Any, place: Any) -> Any:
    """The velocity, or the gradient where there is none."""
    if not recipe.momentum:
        return change
    velocity = code.add(code.mul(code.constant(recipe.momentum), code.load(place)), change)
    code.store(velocity, place)
    return code.add(change, code.mul(code.constant(recipe.momentum), velocity)) if recipe.nesterov else velocity
