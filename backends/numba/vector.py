"""Code for vector registers: LLVM IR emitted from Python, one lane an image, called from compiled loops.

What LLVM's vectoriser makes of plain loops reaches a seventh of what a processor can do with them, so the innermost
parts of all kernels are written in vectors. Addresses are integers throughout, in bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

INT = ir.IntType(64)


@dataclass(frozen=True)
class Target:
    """A processor's vector registers, for one precision.

    Attributes:
        lanes: numbers in a register.
        registers: how many there are.
        fma: whether one instruction multiplies and adds; without, LLVM would call a function for each lane.
        permute: the LLVM intrinsic that looks up numbers of a register by lane; empty where there is none.
    """

    dtype: str
    lanes: int
    registers: int
    fma: bool
    permute: str

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return np.dtype(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        """Of a register."""
        return self.lanes * self.size


def find_target(dtype: str) -> Target:
    """What numba compiles for: this processor, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""
    features = set(cpu_target.target_context.codegen().magic_tuple()[2].split(","))
    single = dtype == "float32"
    if "+avx512f" in features:
        return Target(dtype, 16 if single else 8, 32, True, f"llvm.x86.avx512.permvar.{'sf' if single else 'df'}.512")
    if "+avx2" in features:
        return Target(dtype, 8 if single else 4, 16, "+fma" in features, "llvm.x86.avx2.permps" if single else "")
    return Target(dtype, 4 if single else 2, 16, False, "")


class Code:
    """Emits into one function; its methods are the operations that kernels are made of."""

    def __init__(self, builder: ir.IRBuilder, target: Target) -> None:
        self.builder, self.target = builder, target
        self.number = ir.FloatType() if target.dtype == "float32" else ir.DoubleType()
        self.vector = ir.VectorType(self.number, target.lanes)
        self.integer = ir.IntType(8 * target.size)
        self.integers = ir.VectorType(self.integer, target.lanes)
        self.add, self.sub, self.mul, self.div = builder.fadd, builder.fsub, builder.fmul, builder.fdiv
        self.select = builder.select

    def _pointer(self, address: Any, offset: int, kind: ir.Type) -> Any:
        # Base and constant apart: the constant becomes part of the instruction.
        base = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        return self.builder.bitcast(self.builder.gep(base, [INT(offset)]), kind.as_pointer())

    def load(self, address: Any, offset: int = 0, *, aligned: bool = True) -> Any:
        """A vector."""
        align = self.target.bytes if aligned else self.target.size
        return self.builder.load(self._pointer(address, offset, self.vector), align=align)

    def store(self, value: Any, address: Any, offset: int = 0) -> None:
        """A vector, or one number."""
        whole = value.type == self.vector
        align = self.target.bytes if whole else self.target.size
        self.builder.store(value, self._pointer(address, offset, value.type), align=align)

    def word(self, address: Any, offset: int = 0) -> Any:
        """One number."""
        return self.builder.load(self._pointer(address, offset, self.number), align=self.target.size)

    def broadcast(self, address: Any, offset: int = 0) -> Any:
        """A vector of one number from memory."""
        return self.spread(self.word(address, offset))

    def long(self, address: Any, offset: int) -> Any:
        """One integer of 64 bits."""
        return self.builder.load(self._pointer(address, offset, INT), align=8)

    def load_integers(self, address: Any) -> Any:
        """A vector of integers as long as the numbers."""
        return self.builder.load(self._pointer(address, 0, self.integers), align=self.target.bytes)

    def root(self, value: Any) -> Any:
        """Square roots."""
        return self._function("sqrt", [value])

    def _function(self, name: str, values: list[Any]) -> Any:
        name = f"llvm.{name}.v{self.target.lanes}f{8 * self.target.size}"
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), values)

    def spread(self, value: Any) -> Any:
        """A vector of one number or integer."""
        kind = ir.VectorType(value.type, self.target.lanes)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.target.lanes), [0] * self.target.lanes)
        return self.builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def constant(self, value: float) -> Any:
        """A vector of one number that is known now."""
        return ir.Constant(self.vector, [float(value)] * self.target.lanes)

    def whole(self, value: int) -> Any:
        """A vector of one integer that is known now."""
        return ir.Constant(self.integers, [value] * self.target.lanes)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c."""
        if not self.target.fma:
            return self.add(self.mul(a, b), c)
        return self._function("fma", [a, b, c])

    def less(self, a: Any, b: Any) -> Any:
        """A mask; false where one of them is no number."""
        return self.builder.fcmp_ordered("<", a, b)

    def shuffle(self, a: Any, b: Any, order: Sequence[int]) -> Any:
        """Lanes of two vectors, by their numbers."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), list(order)))

    def permute(self, table: Any, index: Any) -> Any:
        """From a vector that is a table, the entry of each lane; index is a vector of integers."""
        kind = ir.FunctionType(self.vector, [self.vector, self.integers])
        function = cgutils.get_or_insert_function(self.builder.module, kind, self.target.permute)
        return self.builder.call(function, [table, index])

    def barrier(self) -> None:
        """Have LLVM forget what memory held: it would keep for later what there are no registers for."""
        self.builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)

    def store_mask(self, mask: Any, address: Any, offset: int) -> None:
        """A bit a lane, in two bytes."""
        short = self.builder.bitcast(mask, ir.IntType(self.target.lanes))
        whole = ir.IntType(16)
        short = short if self.target.lanes == 16 else self.builder.zext(short, whole)
        self.builder.store(short, self._pointer(address, offset, whole), align=2)

    def load_mask(self, address: Any, offset: int) -> Any:
        """What `store_mask` stored."""
        whole, short = ir.IntType(16), ir.IntType(self.target.lanes)
        value = self.builder.load(self._pointer(address, offset, whole), align=2)
        value = value if self.target.lanes == 16 else self.builder.trunc(value, short)
        return self.builder.bitcast(value, ir.VectorType(ir.IntType(1), self.target.lanes))

    def offset(self, address: Any, *terms: tuple[Any, int]) -> Any:
        """An address and multiples of values."""
        for value, stride in terms:
            address = self.builder.add(address, self.builder.mul(value, INT(stride)))
        return address

    @contextmanager
    def loop(self, count: Any) -> Iterator[Any]:
        """Repeat what is emitted within; the value is the number of the repetition."""
        with cgutils.for_range(self.builder, count if isinstance(count, ir.Value) else INT(count), intp=INT) as loop:
            yield loop.index

    def variables(self, count: int) -> list[Any]:
        """Places for vectors, zero at first; LLVM makes registers of them."""
        places = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for place in places:
            self.builder.store(self.constant(0), place)
        return places

    def transposed(self, rows: list[Any]) -> list[Any]:
        """Columns of a square: as many vectors as a vector has lanes."""
        rows, lanes = list(rows), range(self.target.lanes)
        width = self.target.lanes
        distance = width // 2
        while distance:
            upper = [lane if not lane & distance else width + lane - distance for lane in lanes]
            lower = [lane + distance if not lane & distance else width + lane for lane in lanes]
            for one in (each for each in lanes if not each & distance):
                a, b = rows[one], rows[one + distance]
                rows[one], rows[one + distance] = self.shuffle(a, b, upper), self.shuffle(a, b, lower)
            distance //= 2
        return rows

    def total(self, value: Any) -> Any:
        """The sum over lanes, one number: halves onto halves."""
        width = self.target.lanes
        while width > 1:
            width //= 2
            order = list(range(width))
            parts = [self.shuffle(value, value, [lane + shift for lane in order]) for shift in (0, width)]
            value = self.add(*parts)
        return self.builder.extract_element(value, ir.IntType(32)(0))


def emit(target: Target, function: Callable[..., None]) -> Callable[..., None]:
    """A function of five addresses, for compiled loops, that is what `function(code, *addresses)` emits."""

    @intrinsic
    def emitted(typingctx: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            function(Code(builder, target), *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), generate

    return emitted


@intrinsic
def call(typingctx: Any, function: Any, table: Any, count: Any) -> Any:
    """Call a kernel by its address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [INT, INT])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def address(typingctx: Any, table: Any, number: Any) -> Any:
    """The entry of a table of addresses."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table, number = arguments
        place = builder.inttoptr(builder.add(table, builder.mul(number, INT(8))), INT.as_pointer())
        return builder.load(place, align=8)

    return types.int64(types.int64, types.int64), generate


def number(target: Target) -> Any:
    """A function of an address, for compiled loops: the number there, float64."""

    @intrinsic
    def loaded(typingctx: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = Code(builder, target).word(arguments[0])
            return value if target.dtype == "float64" else builder.fpext(value, ir.DoubleType())

        return types.float64(types.int64), generate

    return loaded


@intrinsic
def keep(typingctx: Any, value: Any, place: Any) -> Any:
    """Write a float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[0], builder.inttoptr(arguments[1], ir.DoubleType().as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.float64, types.int64), generate


def kernel(function: Callable[[int, int], None]) -> Any:
    """Compile a function of the table of addresses and of a count, to be called by its address."""
    return cfunc(types.void(types.int64, types.int64))(function)


def exponential(code: Code, x: Any) -> tuple[Any, Any]:
    """Of x <= 0: (p, s) with exp(x) = s * (1 + p), where p is exact near 0 and s a power of two, and so is s - 1."""
    single = code.target.dtype == "float32"
    # Below that, numbers are denormal; nothing so small matters beside 1.
    least = code.constant(-87.0 if single else -708.0)
    x = code.select(code.less(x, least), least, x)
    # Adding what leaves no digits behind the point rounds; plain x86-64 has no instruction for it.
    rounder = code.constant(1.5 * 2.0 ** (23 if single else 52))
    count = code.sub(code.add(code.mul(x, code.constant(1 / math.log(2))), rounder), rounder)
    high = 0.693359375 if single else float.fromhex("0x1.62e42fee00000p-1")
    low = -2.12194440e-4 if single else float.fromhex("0x1.a39ef35793c76p-33")
    rest = code.fma(count, code.constant(-high), x)
    rest = code.fma(count, code.constant(-low), rest)
    # Taylor's, |rest| <= log(2) / 2: what is left out is below half a rounding.
    degree = 7 if single else 13
    p = code.constant(1 / math.factorial(degree))
    for power in range(degree - 1, 0, -1):
        p = code.fma(p, rest, code.constant(1 / math.factorial(power)))
    bits, bias = (23, 127) if single else (52, 1023)
    exponent = code.builder.add(code.builder.fptosi(count, code.integers), code.whole(bias))
    scale = code.builder.bitcast(code.builder.shl(exponent, code.whole(bits)), code.vector)
    return code.mul(p, rest), scale
