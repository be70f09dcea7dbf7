"""The network as kernels, made for its shapes, in the order in which they are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numba import njit

from backends.numba import convolution, dense, ends, plain, pooled, single
from backends.numba.activations import KINDS, activate, derive
from backends.numba.convolution import Convolution
from backends.numba.dense import Dense
from backends.numba.grid import Grid, Memory
from backends.numba.vector import Target, address, call
from backends.numba.weights import Places
from harness.spec import network as spec
from harness.spec.recipe import Recipe


@dataclass(frozen=True)
class Value:
    """What a layer gives: the number of its buffer, behind which is that of its gradient."""

    number: int
    grid: Grid

    @property
    def placed(self) -> plain.Placed:
        """The values."""
        return self.number, self.grid

    @property
    def gradient(self) -> plain.Placed:
        """Their gradient."""
        return self.number + 1, self.grid


@dataclass
class Stage:
    """Layers that are computed together.

    Attributes:
        forward, backward, inward: functions that compile kernels, in the order in which they are called; `backward`
            those of the parameters' gradients, `inward` those of the gradient by what the stage was given.
        given, value: what it reads and writes.
        made: what its layers are, where they have products.
        passes: whether it does nothing in inference.
    """

    name: str
    given: Value
    value: Value
    forward: list[Any] = field(default_factory=list)
    backward: list[Any] = field(default_factory=list)
    inward: list[Any] = field(default_factory=list)
    made: Convolution | Dense | None = None
    passes: bool = False


class Model:
    """Buffers and kernels of a network.

    Attributes:
        stages: as the layers follow each other.
        dropped: numbers of the buffers that dropout multiplies with, and what it keeps.
    """

    def __init__(self, network: spec.Network, recipe: Recipe, target: Target, *, fused: bool = True) -> None:
        """Lay everything out; kernels are compiled when they are first needed.

        Args:
            fused: layer by layer, otherwise.
        """
        self.network, self.recipe, self.target, self.fused = network, recipe, target, fused
        self.memory = Memory(target)
        self.places = Places(network, target)
        for name in ("parameters", "gradients", "first", "second"):
            setattr(self, name, self.memory.fixed((self.places.count,)))
        self.scalars, self.loss = self.memory.fixed((ends.SCALARS,)), self.memory.fixed((1,), "float64")
        self.count = self.memory.number()
        self.rows = self.memory.block(8 * target.lanes)
        self.labels = self.memory.block(target.bytes)
        self.sums = self.memory.block(2 * target.bytes)
        self.dropped: list[tuple[int, float]] = []
        self.stages: list[Stage] = []
        self._lay_out()

    def _lay_out(self) -> None:
        rows = list(self.network.summary())
        given = self.given = self._value(self.network.input_shape, rows, 0)
        at = 0
        while at < len(rows):
            row = rows[at]
            at += 1
            if isinstance(row.layer, spec.Flatten):
                flat = Grid(len(given.grid.places()), 1, 1, 0, self.target.lanes)
                self.stages.append(Stage(row.layer.name, given, Value(given.number, flat), passes=True))
            else:
                behind = [each.layer for each in rows[at:]] if self.fused else []
                activation, pool = _fused(row, behind)
                at += (activation is not None) + pool
                value = self._value(rows[at - 1].output_shape, rows, at)
                stage = Stage(rows[at - 1].layer.name, given, value)
                self._fill(stage, row, activation, pool)
                self.stages.append(stage)
            given = self.stages[-1].value

    def _value(self, shape: spec.Shape, rows: list[spec.LayerSummary], at: int) -> Value:
        """Room for values of a shape, with the border that the layer of row `at` wants."""
        following = rows[at].layer if at < len(rows) else None
        channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
        grid = Grid(channels, height, width, getattr(following, "padding", 0), self.target.lanes)
        number = self.memory.block(grid.block * self.target.bytes)
        self.memory.block(grid.block * self.target.bytes)
        return Value(number, grid)

    def _fill(self, stage: Stage, row: spec.LayerSummary, activation: Any, pool: bool) -> None:
        match row.layer:
            case spec.Conv() if not _sees_all(row):
                self._convolution(stage, row, activation, pool)
            case spec.Conv() | spec.Dense():
                self._dense(stage, row, activation)
            case spec.Subsample():
                self._subsample(stage, row)
            case spec.MaxPool(size=size):
                self._pool(stage, plain.maximum, plain.maximum_back, size, stage.given, stage.value)
            case spec.AveragePool(size=size):
                self._pool(stage, plain.mean, plain.mean_back, size, stage.given, stage.value)
            case spec.Dropout(keep=keep):
                self._dropout(stage, keep)
            case _ if isinstance(row.layer, KINDS):
                write = lambda code, a, _: activate(code, row.layer, a)  # noqa: E731
                given, value = stage.given, stage.value
                stage.forward.append(self._each(write, given.placed, given.placed, value.placed))
                stage.inward.append(self._derived(row.layer, value, given.gradient))
            case _:
                raise ValueError(f"backends/numba has no kernels for {row.layer}. Add them to Model._fill.")

    def _each(self, write: Any, first: plain.Placed, second: plain.Placed, result: plain.Placed) -> Any:
        return partial(plain.each, self.target, write, first, second, result)

    def _derived(self, layer: Any, value: Value, result: plain.Placed) -> Any:
        def write(code: Any, dy: Any, y: Any) -> Any:
            return derive(code, layer, dy, y)

        return self._each(write, value.gradient, value.placed, result)

    def _dense(self, stage: Stage, row: spec.LayerSummary, activation: Any) -> None:
        name, (x, _), (y, _) = row.layer.name, stage.given.placed, stage.value.placed
        weights, bias = self.places.bytes_of(f"{name}.weight"), self.places.bytes_of(f"{name}.bias")
        made = stage.made = Dense(
            self.target, int(np.prod(row.input_shape)), row.output_shape[0], activation, weights, bias
        )
        turned = self.memory.block(self.target.lanes * made.row)
        parameters, gradients = self.parameters[0], self.gradients[0]
        stage.forward.append(partial(dense.forward, made, x=x, parameters=parameters, y=y))
        if activation:
            stage.backward.append(self._derived(activation, stage.value, stage.value.gradient))
        stage.backward += [
            self._sum(lambda code, a, _: a, stage.value.gradient, stage.value.gradient, bias),
            partial(dense.turn, made, dy=y + 1, turned=turned),
            partial(dense.weight_gradient, made, x=x, turned=turned, gradients=gradients),
        ]
        stage.inward.append(partial(dense.input_gradient, made, dy=y + 1, parameters=parameters, dx=x + 1))
        self._masked(stage, row)

    def _sum(self, write: Any, first: plain.Placed, second: plain.Placed, at: int) -> Any:
        return partial(plain.channel_sums, self.target, write, first, second, self.gradients[0], at)

    def _convolution(self, stage: Stage, row: spec.LayerSummary, activation: Any, pool: bool) -> None:
        name, given, value, k = row.layer.name, stage.given, stage.value, row.layer.kernel
        weights, bias = self.places.bytes_of(f"{name}.weight"), self.places.bytes_of(f"{name}.bias")
        made = stage.made = Convolution(self.target, given.grid, value.grid, k, pool, activation, weights, bias)
        parameters, gradients = self.parameters[0], self.gradients[0]
        places = self.memory.block(value.grid.block * pooled.KEPT) if pool else self.count
        x, y = given.number, value.number
        stage.forward.append(partial(convolution.forward, made, x=x, parameters=parameters, y=y, places=places))
        if pool:
            number, _ = self.memory.fixed((given.grid.channels, value.grid.channels, pooled.table_bytes(made)), "uint8")
            if activation:
                stage.backward.append(self._derived(activation, value, value.gradient))
            stage.backward.append(
                partial(pooled.weight_gradient, made, x=x, dy=y + 1, places=places, gradients=gradients)
            )
            stage.inward += [
                partial(pooled.look_up, made, parameters=parameters, weights=number),
                partial(pooled.input_gradient, made, dy=y + 1, places=places, weights=number, dx=x + 1),
            ]
            stage.backward.append(self._sum(lambda code, a, _: a, value.gradient, value.gradient, bias))
        else:
            self._plain_gradients(stage, made)
        self._masked(stage, row)

    def _plain_gradients(self, stage: Stage, made: Convolution) -> None:
        """Gradients by products with every output; for that by the input, its gradient has zeros around."""
        grid, k, given = stage.value.grid, made.kernel, stage.given
        around = Grid(grid.channels, grid.height, grid.width, k - 1 - given.grid.border, self.target.lanes)
        change = self.memory.block(around.block * self.target.bytes)
        flipped = Convolution(self.target, around, given.grid, k, False, None, 0, -1)
        turned, _ = self.memory.fixed((grid.channels, k * k * flipped.row), "uint8")
        wide = Convolution(self.target, given.grid, around, k, False, None, made.weights, made.bias)
        stage.backward += [
            self._derived(made.activation, stage.value, (change, around)),
            self._sum(lambda code, a, _: a, (change, around), (change, around), made.bias),
            partial(convolution.weight_gradient, wide, x=given.number, dy=change, gradients=self.gradients[0]),
        ]
        stage.inward += [
            partial(convolution.flipped, made, flipped, parameters=self.parameters[0], other=turned),
            partial(convolution.forward, flipped, x=change, parameters=turned, y=given.number + 1, places=self.count),
        ]

    def _masked(self, stage: Stage, row: spec.LayerSummary) -> None:
        """Where nothing is connected, weights are 0 and their gradient is made so."""
        if not getattr(row.layer, "connections", ()):
            return
        number, mask = self.memory.fixed((self.places.count,))
        self.places.connect(mask, row)
        grid = Grid(1, 1, self.places.count // self.target.lanes, 0, self.target.lanes)
        write = lambda code, a, b: code.mul(a, b)  # noqa: E731
        gradients = self.gradients[0], grid
        stage.backward.append(partial(plain.each, self.target, write, gradients, (number, grid), gradients, once=True))

    def _pool(self, stage: Stage, write: Any, back: Any, size: int, given: Value, value: Value) -> None:
        stage.forward.append(partial(plain.windows, self.target, write, size, given.placed, value.placed))
        stage.inward.append(partial(plain.windows, self.target, back, size, given.placed, value.placed))

    def _subsample(self, stage: Stage, row: spec.LayerSummary) -> None:
        name, value = row.layer.name, stage.value
        means = Value(self.memory.block(value.grid.block * self.target.bytes), value.grid)
        self.memory.block(value.grid.block * self.target.bytes)
        self._pool(stage, plain.mean, plain.mean_back, row.layer.size, stage.given, means)
        weights, bias = self.places.bytes_of(f"{name}.weight"), self.places.bytes_of(f"{name}.bias")
        scale = partial(plain.by_channel, self.target, numbers=self.parameters[0], at=weights)
        stage.forward.append(
            partial(scale, lambda code, a, w, b: code.add(code.mul(a, w), b), means.placed, value.placed)
        )
        stage.backward += [
            self._sum(lambda code, a, b: code.mul(a, b), value.gradient, means.placed, weights),
            self._sum(lambda code, a, _: a, value.gradient, value.gradient, bias),
        ]
        stage.inward.insert(0, partial(scale, lambda code, a, w, _: code.mul(a, w), value.gradient, means.gradient))

    def _dropout(self, stage: Stage, keep: float) -> None:
        given, value, stage.passes = stage.given, stage.value, True
        factors = self.memory.block(value.grid.block * self.target.bytes)
        self.dropped.append((factors, keep))
        write = lambda code, a, b: code.mul(a, b)  # noqa: E731
        stage.forward.append(self._each(write, given.placed, (factors, value.grid), value.placed))
        stage.inward.append(self._each(write, value.gradient, (factors, value.grid), given.gradient))

    @cached_property
    def forward(self) -> Program:
        """Images to values of every stage, in training."""
        return Program(self, [self._pack, *(make for stage in self.stages for make in stage.forward)])

    @cached_property
    def backward(self) -> Program:
        """Loss and gradients, behind `forward`."""
        value = self.stages[-1].value
        parts = {"labels": self.labels, "sums": self.sums, "scalars": self.scalars[0], "count": self.count}
        loss = partial(
            ends.cross_entropy, self.target, self.network.classes, value.grid.block,
            y=value.number, dy=value.number + 1, loss=self.loss[0], **parts,
        )  # fmt: skip
        makes = [loss]
        for stage in reversed(self.stages):
            weighted = any(each.backward for each in self.stages[: self.stages.index(stage)])
            makes += [*stage.backward, *(stage.inward if weighted else [])]
        return Program(self, makes)

    @cached_property
    def update(self) -> Program:
        """The optimizer's step, behind `backward`."""
        numbers = {"parameters": self.parameters[0], "gradients": self.gradients[0], "scalars": self.scalars[0]}
        moments = (self.first[0], self.second[0])
        size = self.places.count * self.target.size
        return Program(self, [partial(ends.update, self.target, self.recipe, size, moments=moments, **numbers)])

    @cached_property
    def single(self) -> tuple[Program, np.ndarray] | None:
        """The program for one image, whose address is the first of the rows, and its logits; None if there is none."""
        found = single.programme(self)
        return found and (Program(self, found[0]), found[1][: self.network.classes])

    @cached_property
    def pack(self) -> Program:
        """Images into lanes, alone."""
        return Program(self, [self._pack])

    def _pack(self) -> Any:
        places, array = self.memory.fixed((len(self.given.grid.places()),), "int64")
        array[:] = self.given.grid.places()
        return ends.pack(self.target, self.given.grid, rows=self.rows, places=places, x=self.given.number)


class Program:
    """Kernels, compiled, and called one after the other."""

    def __init__(self, model: Model, makes: list[Any]) -> None:
        self._kernels = [make() for make in makes]
        self._addresses = np.array([each.address for each in self._kernels], np.int64)
        self._start = self._addresses.ctypes.data
        self._memory = model.memory

    def run(self, blocks: int) -> None:
        """Call them for so many blocks."""
        _run(self._start, len(self._addresses), self._memory.start, blocks)


@njit("void(int64, int64, int64, int64)")
def _run(kernels, count, table, blocks):
    for number in range(count):
        call(address(kernels, number), table, blocks)


def _sees_all(row: spec.LayerSummary) -> bool:
    """Whether a convolution is a dense layer: one output a channel, which sees every input."""
    return row.output_shape[1:] == (1, 1) and row.layer.padding == 0


def _fused(row: spec.LayerSummary, behind: list[Any]) -> tuple[Any, bool]:
    """The activation that is computed with a weighted layer, and whether a max pool is.

    An activation that does not fall gives the same maximum before and behind a pool.
    """
    if not isinstance(row.layer, spec.Conv | spec.Dense):
        return None, False
    activation = behind[0] if behind and isinstance(behind[0], KINDS) else None
    following = behind[activation is not None :]
    pool = bool(following) and isinstance(following[0], spec.MaxPool) and following[0].size == 2
    pool = pool and isinstance(row.layer, spec.Conv) and not _sees_all(row) and min(row.output_shape[1:]) >= 2
    return activation, pool
