"""How many multiply-adds this processor can do: a loop of them on registers alone. Worker side: NumPy only.

A library's matrix product is no bound: kernels made for a machine can do more than it. So the loop is written in the
processor's own instructions, a few bytes each, which need neither a compiler nor a package, and which nothing can
optimise away. It is called by ctypes, which lets threads run side by side. What it computes says how often it went
round; tests hold it against that.

Needs Linux on x86-64 with AVX2 and FMA, or AVX-512; other processors were not tried.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import platform
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Repetitions of a piece, some 0.4 ms; with several threads, whose pieces do not begin at once, longer.
PIECE, PIECE_OF_MANY = 2**16, 2**20
# A sum that becomes itself times the one plus the other: it stays between 1 and 2^20, where no number is denormal.
FACTOR, TERM = 1 - 2.0**-20, 1.0
CPUINFO = Path("/proc/cpuinfo")
# Operands in memory, by the registers that hold their addresses (System V: the function's 2nd to 4th arguments).
RSI, RDX, RCX = 6, 2, 1
COUNT_DOWN, CLEAN_AND_RETURN = bytes.fromhex("48ffcf"), bytes.fromhex("c5f877c3")


@dataclass(frozen=True)
class Registers:
    """Vector registers of a processor.

    Attributes:
        sums: how many hold sums; multiply-adds of one sum wait for each other, those of others do not.
    """

    name: str
    flags: frozenset[str]
    bytes: int
    sums: int


KINDS = (
    Registers("AVX-512", frozenset({"avx512f"}), 64, 24),
    Registers("AVX2", frozenset({"avx2", "fma"}), 32, 12),
)


def find_registers() -> Registers | None:
    """The widest that this processor and this system have; None where the loop cannot run."""
    if platform.machine() not in ("x86_64", "AMD64") or sys.maxsize < 2**32 or not CPUINFO.exists():
        return None
    # Linux leaves out what the system does not save, and so what would be an illegal instruction.
    lines = CPUINFO.read_text(errors="replace").splitlines()
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    return next((kind for kind in KINDS if kind.flags <= flags), None)


def assemble(registers: Registers, dtype: str) -> bytes:
    """The loop: `f(count, &factor, &term, sums)` sets each sum to the term, `count` times to itself * factor + term."""
    double, wide = dtype == "float64", registers.bytes == 64
    count = registers.sums
    factor, term = count, count + 1

    def vector(opcode: int, register: int, source: int, *, memory: int | None = None, plain: bool = False) -> bytes:
        """An instruction of one opcode, in the prefix of its kind (EVEX or VEX); `plain` for vmovups."""
        places, prefix = (1, 0) if plain else (2, 1)
        operand = source if memory is None else memory
        high = (register >> 3 & 1, operand >> 4 & 1, operand >> 3 & 1)
        bits = sum((1 - bit) << place for bit, place in zip(high, (7, 6, 5)))
        second = 0 if memory is not None else factor
        # Only AVX-512 tells a broadcast of doubles by W as well.
        w = double and not plain and (wide or memory is None)
        code = w << 7 | (~second & 15) << 3 | prefix
        mod_rm = (0 if memory is not None else 3) << 6 | (register & 7) << 3 | operand & 7
        if wide:
            bits |= (1 - (register >> 4 & 1)) << 4
            head = bytes([0x62, bits | places, code | 4, 0x40 | (1 - (second >> 4 & 1)) << 3])
        else:
            head = bytes([0xC4, bits | places, code | 4])
        return head + bytes([opcode, mod_rm])

    broadcast = 0x19 if double else 0x18
    before = vector(broadcast, factor, 0, memory=RSI) + vector(broadcast, term, 0, memory=RDX)
    before += b"".join(vector(broadcast, each, 0, memory=RDX) for each in range(count))
    body = b"".join(vector(0xA8, each, term) for each in range(count)) + COUNT_DOWN
    jump = b"\x0f\x85" + (-(len(body) + 6)).to_bytes(4, "little", signed=True)
    forward = bytes([0x48, 0x83, 0xC1, registers.bytes])
    after = b"".join(vector(0x11, each, 0, memory=RCX, plain=True) + forward for each in range(count))
    return before + body + jump + after + CLEAN_AND_RETURN


class Loop:
    """The loop of one precision, ready to be called."""

    def __init__(self, registers: Registers, dtype: str) -> None:
        """Write it into memory that may be run.

        Raises:
            OSError: the system gives none.
        """
        self.registers, self._dtype = registers, np.dtype(dtype)
        code = assemble(registers, dtype)
        self._memory = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._memory.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * 3)(address)
        self._numbers = np.array([FACTOR, TERM], self._dtype)

    def run(self, count: int) -> np.ndarray:
        """Go round so many times, at least once; the sums, (sums, lanes). Other threads run meanwhile."""
        registers = self.registers
        sums = np.empty((registers.sums, registers.bytes // self._dtype.itemsize), self._dtype)
        factor = self._numbers.ctypes.data
        self._call(count, factor, factor + self._dtype.itemsize, sums.ctypes.data)
        return sums

    def operations(self, count: int) -> int:
        """A multiply and an add are two."""
        return 2 * count * self.registers.sums * self.registers.bytes // self._dtype.itemsize


def gflops(loop: Loop, threads: int, *, seconds: float = 0.3) -> float:
    """The best rate of so many threads that run the loop side by side.

    The best, because whatever else runs only takes from it. Of several threads it is a little too low: the time is from
    the start of the first to the end of the last.

    Args:
        seconds: to repeat for; three pieces at least, of which the first does not count.

    Returns:
        10^9 floating-point operations a second, a multiply and an add counted as two.
    """
    count = PIECE if threads == 1 else PIECE_OF_MANY
    best, end, pieces = math.inf, time.perf_counter() + seconds, 0
    while pieces < 3 or time.perf_counter() < end:
        taken = _side_by_side(loop, count, threads)
        best = min(best, taken) if pieces else best
        pieces += 1
    return threads * loop.operations(count) / best / 1e9


def _side_by_side(loop: Loop, count: int, threads: int) -> float:
    """Seconds from the start of the first thread to the end of the last."""
    together, spans = threading.Barrier(threads), []

    def piece() -> None:
        together.wait()
        start = time.perf_counter()
        loop.run(count)
        spans.append((start, time.perf_counter()))

    others = [threading.Thread(target=piece) for _ in range(threads - 1)]
    for each in others:
        each.start()
    piece()
    for each in others:
        each.join()
    return _span(spans)


def _span(spans: Sequence[tuple[float, float]]) -> float:
    return max(end for _, end in spans) - min(start for start, _ in spans)
