"""The network as kernels, made for its shapes, in the order in which they are called."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from llvmlite import ir

from backends.numba import convolution, dense, plain, pooled, single
from backends.numba.activations import KINDS, activate, derive
from backends.numba.convolution import KEPT, Convolution
from backends.numba.dense import Dense
from backends.numba.ends import Ends
from backends.numba.grid import Memory, Value
from backends.numba.vector import INT, Code, Target, Write, kernel
from backends.numba.weights import Places
from harness.spec import network as spec
from harness.spec.recipe import Recipe


@dataclass
class Stage:
    """Layers that are computed together.

    Attributes:
        name: of the last of them.
        forward, backward, inward: kernels in the order in which they are called; `backward` those of the gradients of
            parameters, `inward` those of the gradient of what the stage is given.
        made: what its layers are, where they have products.
        passes: whether it does nothing in inference.
    """

    name: str
    value: Value
    forward: list[Write] = field(default_factory=list)
    backward: list[Write] = field(default_factory=list)
    inward: list[Write] = field(default_factory=list)
    made: Convolution | Dense | None = None
    passes: bool = False


class Model:
    """Buffers and kernels of a network.

    Attributes:
        parameters, gradients, moments: number and array of each, one or two.
        stages: as the layers follow each other.
        dropped: numbers of the buffers that dropout multiplies with, and what it keeps.
    """

    def __init__(self, network: spec.Network, recipe: Recipe, target: Target, *, fused: bool = True) -> None:
        """Lay everything out; kernels are compiled when they are first needed.

        Args:
            fused: layer by layer, otherwise.
        """
        self.network, self.recipe, self.target = network, recipe, target
        self.memory, self.places = Memory(target), Places(network, target)
        self.parameters, self.gradients, *self.moments = (self.memory.fixed(self.places.count) for _ in range(4))
        self.dropped: list[tuple[int, float]] = []
        self.stages: list[Stage] = []
        rows = list(network.summary())
        given = self.x = self._value(network.input_shape, rows)
        self.ends = Ends(self.memory, target, given)
        while rows:
            behind = [row.layer for row in rows[1:]] if fused else []
            row, (activation, pool) = rows[0], _fused(rows[0], behind)
            more = (activation is not None) + pool
            last, rows = rows[more], rows[more + 1 :]
            if isinstance(row.layer, spec.Flatten):
                flat = Value(given.number, target, len(given.vectors()), 1, 1)
                self.stages.append(Stage(row.layer.name, flat, passes=True))
            else:
                self.stages.append(Stage(last.layer.name, self._value(last.output_shape, rows)))
                self._fill(self.stages[-1], given, row, activation, pool)
            given = self.stages[-1].value

    def _value(self, shape: spec.Shape, following: list[spec.LayerSummary]) -> Value:
        """Room for values of a shape, with the border that the layer behind wants."""
        border = getattr(following[0].layer, "padding", 0) if following else 0
        return self.memory.value(*(shape if len(shape) == 3 else (*shape, 1, 1)), border)

    def _fill(self, stage: Stage, given: Value, row: spec.LayerSummary, activation: Any, pool: bool) -> None:
        y = stage.value
        match row.layer:
            case spec.Conv() | spec.Dense():
                self._weighted(stage, given, row, activation, pool)
            case spec.Subsample(size=size):
                self._subsample(stage, given, row.layer.name, size)
            case spec.MaxPool(size=size):
                stage.forward.append(plain.windows(plain.maximum, size, given, y))
                stage.inward.append(plain.windows(plain.maximum_back, size, given, given.gradient, y.gradient, y))
            case spec.AveragePool(size=size):
                stage.forward.append(plain.windows(plain.mean, size, given, y))
                stage.inward.append(plain.windows(plain.mean_back, size, given, given.gradient, y.gradient))
            case spec.Dropout(keep=keep):
                factors = replace(y, number=self.memory.block(y.block * self.target.bytes))
                self.dropped.append((factors.number, keep))
                stage.passes = True
                stage.forward.append(plain.each(_times, given, factors, y))
                stage.inward.append(plain.each(_times, y.gradient, factors, given.gradient))
            case _ if isinstance(row.layer, KINDS):
                stage.forward.append(plain.each(lambda code, a, _: activate(code, row.layer, a), given, given, y))
                stage.inward.append(plain.each(_derivative(row.layer), y.gradient, y, given.gradient))
            case _:
                raise ValueError(f"backends/numba has no kernels for {row.layer}. Add them to Model._fill.")

    def _weighted(self, stage: Stage, given: Value, row: spec.LayerSummary, activation: Any, pool: bool) -> None:
        y, (parameters, _), (gradients, _) = stage.value, self.parameters, self.gradients
        weights, bias = (self.places.byte_of(f"{row.layer.name}.{part}") for part in ("weight", "bias"))
        place = {"y": y, "activation": activation, "parameters": parameters, "weights": weights, "bias": bias}
        dy = y.gradient
        if isinstance(row.layer, spec.Dense) or _sees_all(row):
            flat = Value(given.number, self.target, math.prod(row.input_shape), 1, 1)
            made = stage.made = Dense(x=flat, **place)
            turned = self.memory.block(self.target.lanes * made.row)
            stage.backward += [dense.turn(made, turned), dense.weight_gradient(made, gradients, turned)]
            stage.forward, stage.inward = [dense.forward(made)], [dense.input_gradient(made)]
        else:
            places = self.memory.block(y.block * KEPT) if pool else 0
            conv = stage.made = Convolution(x=given, size=row.layer.kernel, places=places, **place)
            stage.forward.append(convolution.forward(conv))
            dy = self._pooled(stage, conv) if pool else self._unpooled(stage, conv)
        stage.backward.insert(0, plain.channel_sums(_derivative(activation), y.gradient, y, gradients, bias, dy))
        if getattr(row.layer, "connections", ()):
            # Where nothing is connected, weights are 0, and their gradient is made so.
            mask, array = self.memory.fixed(self.places.count)
            self.places.connect(array, row)
            whole, other = (
                Value(n, self.target, self.places.count // self.target.lanes, 1, 1) for n in (gradients, mask)
            )
            once = plain.each(_times, whole, other, whole)
            stage.backward.append(lambda code, _: once(code, INT(1)))

    def _pooled(self, stage: Stage, conv: Convolution) -> Value:
        tables, _ = self.memory.fixed(*pooled.table_shape(conv), dtype="uint8")
        numbers, _ = self.memory.fixed(conv.y.block, self.target.lanes)
        stage.backward.append(pooled.weight_gradient(conv, self.gradients[0]))
        stage.inward += [pooled.look_up(conv, tables), pooled.input_gradient(conv, tables, numbers)]
        return conv.y.gradient

    def _unpooled(self, stage: Stage, conv: Convolution) -> Value:
        """Gradients by products with every output. For that by the input, the outputs' gradient has zeros around."""
        x, y, border = conv.x, conv.y, conv.size - 1 - conv.x.border
        dy = self.memory.value(y.channels, y.height, y.width, border)
        back = replace(conv, x=dy, y=x.gradient, activation=None, weights=0, bias=-1)
        tables, _ = self.memory.fixed(y.channels * conv.size**2 * back.row, dtype="uint8")
        back = replace(back, parameters=tables)
        stage.backward.append(convolution.weight_gradient(conv, dy, self.gradients[0]))
        stage.inward += [convolution.turned(conv, back), convolution.forward(back)]
        return dy

    def _subsample(self, stage: Stage, given: Value, name: str, size: int) -> None:
        y, (parameters, _), (gradients, _) = stage.value, self.parameters, self.gradients
        weights, bias = (self.places.byte_of(f"{name}.{part}") for part in ("weight", "bias"))
        means = self.memory.value(y.channels, y.height, y.width)
        stage.forward += [
            plain.windows(plain.mean, size, given, means),
            plain.scale(lambda code, a, w, b: code.add(code.mul(a, w), b), means, y, parameters, weights),
        ]
        stage.backward += [
            plain.channel_sums(_times, y.gradient, means, gradients, weights),
            plain.channel_sums(_first, y.gradient, y.gradient, gradients, bias),
        ]
        stage.inward += [
            plain.scale(lambda code, a, w, _: code.mul(a, w), y.gradient, means.gradient, parameters, weights),
            plain.windows(plain.mean_back, size, given, given.gradient, means.gradient),
        ]

    @cached_property
    def pack(self) -> Program:
        """Images into lanes."""
        return Program(self, [self.ends.pack])

    @cached_property
    def forward(self) -> Program:
        """Images to the values of every stage."""
        return Program(self, [self.ends.pack, *(write for stage in self.stages for write in stage.forward)])

    @cached_property
    def backward(self) -> Program:
        """Loss and gradients, behind `forward`."""
        found = [self.ends.cross_entropy(self.network.classes, self.stages[-1].value)]
        for number, stage in reversed(list(enumerate(self.stages))):
            wanted = any(each.backward for each in self.stages[:number])
            found += [*stage.backward, *(stage.inward if wanted else [])]
        return Program(self, found)

    @cached_property
    def update(self) -> Program:
        """The optimizer's step, behind `backward`."""
        numbers = [number for number, _ in (self.parameters, self.gradients, *self.moments)]
        return Program(self, [self.ends.update(self.recipe, self.places.count, *numbers[:2], tuple(numbers[2:]))])

    @cached_property
    def single(self) -> tuple[Program, np.ndarray] | None:
        """The program for one image, and where its logits are then; None if there is none."""
        found = single.programme(self)
        return found and (Program(self, found[0]), found[1][: self.network.classes])


class Program:
    """Kernels, each compiled by itself, and one that calls them one after the other."""

    def __init__(self, model: Model, writes: list[Write]) -> None:
        self.kernels, self._memory = [kernel(model.target, write) for write in writes], model.memory

        def write(code: Code, blocks: Any) -> None:
            kind = ir.FunctionType(ir.VoidType(), [INT, INT]).as_pointer()
            for each in self.kernels:
                code.builder.call(code.builder.inttoptr(INT(each.address), kind), [code.table, blocks])

        self._all = kernel(model.target, write)
        self._call = self._all.ctypes

    def run(self, blocks: int) -> None:
        """Call them for so many blocks."""
        self._call(self._memory.start, blocks)


def _first(code: Code, a: Any, b: Any) -> Any:
    return a


def _times(code: Code, a: Any, b: Any) -> Any:
    return code.mul(a, b)


def _derivative(layer: Any) -> Callable[..., Any]:
    """The gradient of what an activation was given, by that of its value and by its value."""
    return lambda code, dy, y: derive(code, layer, dy, y)


def _sees_all(row: spec.LayerSummary) -> bool:
    """Whether a convolution is a dense layer: one output a channel, which sees every input."""
    return row.output_shape[1:] == (1, 1) and row.layer.padding == 0


def _fused(row: spec.LayerSummary, behind: list[Any]) -> tuple[Any, bool]:
    """The activation that is computed with a weighted layer, and whether a max pool is.

    An activation that does not fall gives the same maximum before and behind a pool. With an even kernel, windows would
    see half tiles (pooled.py).
    """
    if not isinstance(row.layer, spec.Conv | spec.Dense):
        return None, False
    activation = behind[0] if behind and isinstance(behind[0], KINDS) else None
    following = behind[activation is not None :]
    pool = bool(following) and isinstance(following[0], spec.MaxPool) and following[0].size == 2
    pool = pool and isinstance(row.layer, spec.Conv) and row.layer.kernel % 2 == 1
    return activation, pool and not _sees_all(row) and min(row.output_shape[1:]) >= 2
