"""Code for vector registers: LLVM IR emitted from Python through numba, one lane an image.

What LLVM's vectoriser makes of plain loops reaches a seventh of what a processor can do with them, so kernels are
written in vectors. Addresses are integers, in bytes; a place in them may be known now, or only when the kernel runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

INT, SHORT, INDEX = ir.IntType(64), ir.IntType(16), ir.IntType(32)
Write = Callable[["Code", Any], None]


@dataclass(frozen=True)
class Target:
    """A processor's vector registers, for one precision.

    Attributes:
        lanes: numbers in a register, of which there are `registers`.
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

    def whole(self, count: int) -> int:
        """So many numbers, filled up to whole registers."""
        return -(-count // self.lanes) * self.lanes


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
    """Emits into one kernel; its methods are the operations that kernels are made of."""

    def __init__(self, builder: ir.IRBuilder, target: Target, table: Any) -> None:
        self.builder, self.target, self.table = builder, target, table
        self.number = ir.FloatType() if target.dtype == "float32" else ir.DoubleType()
        self.vector = ir.VectorType(self.number, target.lanes)
        self.integers = ir.VectorType(ir.IntType(8 * target.size), target.lanes)
        self.add, self.sub, self.mul, self.div = builder.fadd, builder.fsub, builder.fmul, builder.fdiv
        self.select, self.zero = builder.select, INT(0)

    def at(self, address: Any, offset: int, kind: ir.Type) -> Any:
        """A pointer. Base and constant stay apart: the constant becomes part of the instruction."""
        base = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        return self.builder.bitcast(self.builder.gep(base, [INT(offset)]), kind.as_pointer())

    def word(self, address: Any, offset: int = 0, kind: ir.Type | None = None) -> Any:
        """One number, or what else is asked for."""
        return self.builder.load(self.at(address, offset, kind or self.number), align=1)

    def load(self, address: Any, offset: int = 0, *, aligned: bool = True, kind: ir.Type | None = None) -> Any:
        """A vector."""
        align = self.target.bytes if aligned else self.target.size
        return self.builder.load(self.at(address, offset, kind or self.vector), align=align)

    def store(self, value: Any, address: Any, offset: int = 0) -> None:
        """A vector, or one number."""
        align = self.target.bytes if isinstance(value.type, ir.VectorType) else 1
        self.builder.store(value, self.at(address, offset, value.type), align=align)

    def buffer(self, number: int) -> Any:
        """The address of a buffer."""
        return self.word(self.table, 8 * number, INT)

    def broadcast(self, address: Any, offset: int = 0) -> Any:
        """A vector of one number from memory."""
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(empty, self.word(address, offset), INDEX(0))
        return self.shuffle(first, empty, [0] * self.target.lanes)

    def constant(self, value: float) -> Any:
        """A vector of one number."""
        return ir.Constant(self.vector, [float(value)] * self.target.lanes)

    def whole(self, value: int) -> Any:
        """A vector of one integer."""
        return ir.Constant(self.integers, [value] * self.target.lanes)

    def function(self, name: str, *values: Any) -> Any:
        """An LLVM intrinsic of vectors."""
        kind = ir.FunctionType(self.vector, [value.type for value in values])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), values)

    def plain(self, name: str, *values: Any) -> Any:
        """One that there is on every processor."""
        return self.function(f"llvm.{name}.v{self.target.lanes}f{8 * self.target.size}", *values)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c."""
        return self.plain("fma", a, b, c) if self.target.fma else self.add(self.mul(a, b), c)

    def less(self, a: Any, b: Any) -> Any:
        """A mask; false where one of them is no number."""
        return self.builder.fcmp_ordered("<", a, b)

    def shuffle(self, a: Any, b: Any, order: Sequence[int]) -> Any:
        """Lanes of two vectors, by their numbers."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(order)), list(order)))

    def barrier(self) -> None:
        """Have LLVM forget what memory held: it would keep for later what there are no registers for."""
        self.builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)

    def store_mask(self, mask: Any, address: Any, offset: int) -> None:
        """A bit a lane, in two bytes."""
        bits = self.builder.bitcast(mask, ir.IntType(self.target.lanes))
        self.store(bits if self.target.lanes == 16 else self.builder.zext(bits, SHORT), address, offset)

    def load_mask(self, address: Any, offset: int) -> Any:
        """What `store_mask` stored."""
        bits, lanes = self.word(address, offset, SHORT), self.target.lanes
        bits = bits if lanes == 16 else self.builder.trunc(bits, ir.IntType(lanes))
        return self.builder.bitcast(bits, ir.VectorType(ir.IntType(1), lanes))

    def offset(self, address: Any, *terms: tuple[Any, int]) -> Any:
        """An address, or number, and multiples of values."""
        known = sum(value * stride for value, stride in terms if isinstance(value, int))
        for value, stride in terms:
            if not isinstance(value, int):
                address = self.builder.add(address, self.builder.mul(value, INT(stride)))
        return self.builder.add(address, INT(known)) if known else address

    def least(self, value: Any, limit: int) -> Any:
        """The lesser of two integers."""
        return self.select(self.builder.icmp_signed("<", value, INT(limit)), value, INT(limit))

    @contextmanager
    def loops(self, *counts: Any) -> Iterator[Any]:
        """Repeat what is emitted within, the last count fastest; the value is the number of each repetition."""
        with ExitStack() as stack:
            found = []
            for count in counts:
                limit = count if isinstance(count, ir.Value) else INT(count)
                found.append(stack.enter_context(cgutils.for_range(self.builder, limit, intp=INT)).index)
            yield found if len(found) > 1 else found[0]

    def groups(self, count: int, most: int, write: Callable[[Any, int], None]) -> None:
        """Call `write(first, size)` so that groups of at most so many make up the count; the last may be smaller."""
        most = max(1, min(count, most))
        size = next((size for size in range(most, 0, -1) if count % size == 0 and 2 * size >= most), most)
        with self.loops(count // size) as number:
            write(self.builder.mul(number, INT(size)), size)
        if count % size:
            write(INT(count - count % size), count % size)

    def sums(self, count: int) -> list[Any]:
        """Places for vectors, zero at first; LLVM makes registers of them."""
        places = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for place in places:
            self.builder.store(self.constant(0), place)
        return places

    def values(self, places: Sequence[Any]) -> list[Any]:
        """What is in the places."""
        return [self.builder.load(place) for place in places]

    def accumulate(self, places: Sequence[Any], a: Iterable[Any], b: Iterable[Any]) -> None:
        """Add products to the places."""
        for place, one, other in zip(places, a, b):
            self.builder.store(self.fma(one, other, self.builder.load(place)), place)

    def total(self, value: Any) -> Any:
        """The sum over lanes, one number: halves onto halves."""
        width = self.target.lanes
        while width > 1:
            width //= 2
            value = self.add(*(self.shuffle(value, value, range(first, first + width)) for first in (0, width)))
        return self.builder.extract_element(value, INDEX(0))

    def transposed(self, rows: Sequence[Any]) -> list[Any]:
        """Columns of a square: as many vectors as a vector has lanes."""
        rows, width = list(rows), self.target.lanes
        distance = width // 2
        while distance:
            upper = [width + lane - distance if lane & distance else lane for lane in range(width)]
            lower = [width + lane if lane & distance else lane + distance for lane in range(width)]
            for one in (lane for lane in range(width) if not lane & distance):
                pair = rows[one], rows[one + distance]
                rows[one], rows[one + distance] = self.shuffle(*pair, upper), self.shuffle(*pair, lower)
            distance //= 2
        return rows


def kernel(target: Target, write: Write) -> Any:
    """Compile what `write(code, count)` emits: a C function of the address of a table of buffers, and of a count."""

    @intrinsic
    def body(typingctx: Any, table: Any, count: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # LLVM leaves the stack as it comes: in some launches, what it puts aside would lie across two lines
            # of the cache. llvmlite writes no alignment where there is no other attribute.
            builder.function.attributes.alignstack = target.bytes
            builder.function.attributes.add("nounwind")
            write(Code(builder, target, arguments[0]), arguments[1])
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    @cfunc(types.void(types.int64, types.int64))
    def run(table, count):
        body(table, count)

    return run


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
    rest = code.fma(count, code.constant(-low), code.fma(count, code.constant(-high), x))
    # Taylor's, |rest| <= log(2) / 2: what is left out is below half a rounding.
    degree = 7 if single else 13
    p = code.constant(1 / math.factorial(degree))
    for power in range(degree - 1, 0, -1):
        p = code.fma(p, rest, code.constant(1 / math.factorial(power)))
    bits, bias = (23, 127) if single else (52, 1023)
    exponent = code.builder.add(code.builder.fptosi(count, code.integers), code.whole(bias))
    return code.mul(p, rest), code.builder.bitcast(code.builder.shl(exponent, code.whole(bits)), code.vector)
