"""The machine's peak: of multiply-adds on registers, or of a matrix product. Worker side: NumPy, threadpoolctl only.

Two rates are measured under the threads, CPUs and variables that this process has: that of multiply-adds on registers
alone (`fma.py`, where the processor has what that needs), and the best at which the BLAS that this NumPy was built with
multiplied two square matrices. The larger is the peak. The loop on registers can be passed by nobody in operations that
are executed; a product can. Neither is computed from clock and widths: what this virtual machine is given is measured.

Measure it in a process of its own, with one and the same NumPy for all backends. Of its own, because BLAS keeps its
buffers and may leave threads spinning, which the framework would pay for. The same, because OpenBLAS picks its kernels
by a table of processors: on an AMD Zen 5, one thread, float32, OpenBLAS 0.3.31 (NumPy 2.4.6) found AVX-512 and reached
250 GFLOP/s, while 0.3.20 (NumPy 1.23.5, which MXNet needs) took the processor for a Barcelona of 2007 and reached 54
(20 November 2026; eight days later 105 was all that the virtual machine gave, docs/operations.md).
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

from harness.errors import unknown
from harness.worker import fma

# Half precision and bfloat16 are no BLAS calls in NumPy, only slow loops.
DTYPES = ("float32", "float64")

# GFLOP/s, best of 0.3 s, mean of processes, 20 November 2026; OpenBLAS 0.3.31, one thread of a virtual Zen 5 (48 KiB
# L1, 1 MiB L2):
#     size                                            256  384  512  768  1024
#     float32,  6 processes, nothing else running     244  251  251  253  238
#     float32, 12 processes, both CPUs in use         240  251  248  223  129
#     float64,  6 processes, nothing else running     101  104  105  101  102
#     float64, 12 processes, both CPUs in use         100  102   99   61   58
# 384 is as fast as any and the shortest of these (0.5 ms and 1.1 ms), so that one multiplication fits between two
# interruptions. Each of many threads needs more than its part of that to be worth waking up, hence the second size,
# tried with no more than two threads (float32: 483 and 477).
SIZES = (384, 1024)
WARMUP = 2


def measure(dtype: str, threads: int) -> tuple[float, str]:
    """The peak, and which of the two reached it; the text has the other's rate, or why there is none.

    Args:
        dtype: `float32` or `float64`.
        threads: that multiply-adds run in; 0 for as many as there are CPUs. A product takes those that BLAS has.

    Returns:
        10^9 floating-point operations a second, and `multiply-adds on AVX-512 registers, 1 thread(s); 107.1 GFLOP/s by
        openblas 0.3.31 SkylakeX, 1 thread(s)`.

    Raises:
        InputError: a precision that NumPy's BLAS does not have.
    """
    if dtype not in DTYPES:
        raise unknown("precision of a peak", dtype, DTYPES)
    # Before BLAS: its threads may go on spinning.
    adds, adds_source = _multiply_adds(dtype, threads or len(os.sched_getaffinity(0)))
    product, product_source = matmul_gflops(dtype), describe()
    if not adds:
        return product, f"{product_source}; {adds_source}"
    if product > adds:
        return product, f"{product_source}; {adds:.1f} GFLOP/s by {adds_source}"
    return adds, f"{adds_source}; {product:.1f} GFLOP/s by {product_source}"


def _multiply_adds(dtype: str, threads: int) -> tuple[float, str]:
    """10^9 operations a second of multiply-adds on registers; 0 and the reason where they cannot be measured."""
    registers = fma.find_registers()
    if registers is None:
        return 0.0, "no multiply-adds on registers: that needs Linux on x86-64 with AVX2 and FMA"
    try:
        loop = fma.Loop(registers, dtype)
    except OSError as error:
        return 0.0, f"no multiply-adds on registers: the system gives no memory that may be run ({error})"
    return fma.gflops(loop, threads), f"multiply-adds on {registers.name} registers, {threads} thread(s)"


def matmul_gflops(dtype: str, *, sizes: tuple[int, ...] = SIZES, seconds: float = 0.3) -> float:
    """Measure the best rate of C = A @ B under whatever threads this process has.

    The best and not the median, because a peak is asked for: whatever else runs on the machine only takes from it.
    With as many threads as CPUs, other work takes nearly all, because threads then wait for each other: 9 instead of
    480 GFLOP/s was seen. The largest of several measurements is the better value, never their mean.

    Args:
        dtype: `float32` or `float64`.
        sizes: rows and columns n of the square matrices; one multiplication is 2 * n^3 operations.
        seconds: to repeat for, all sizes together; every size is multiplied once at least, after the warm-up.

    Returns:
        10^9 floating-point operations a second, a multiply and an add counted as two.

    Raises:
        InputError: a precision that NumPy's BLAS does not have.
    """
    if dtype not in DTYPES:
        raise unknown("precision of a matrix-multiplication peak", dtype, DTYPES)
    share = seconds / len(sizes)
    return max(2 * size**3 / _best_seconds(dtype, size, share) / 1e9 for size in sizes)


def _best_seconds(dtype: str, size: int, seconds: float) -> float:
    """Shortest time of one multiplication, s."""
    random = np.random.default_rng(0)
    # In [0, 1), multiples of 2^-24 or 2^-53: neither the factors nor the sums are denormal, which would be slow.
    left, right = (random.random((size, size), dtype=np.dtype(dtype).type) for _ in range(2))
    # Given to every call, so that no interval has an allocation and its page faults in it.
    product = np.empty_like(left)
    for _ in range(WARMUP):
        np.matmul(left, right, out=product)
    best = math.inf
    end = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        np.matmul(left, right, out=product)
        stop = time.perf_counter()
        best = min(best, stop - start)
        if stop >= end:
            return best


def describe() -> str:
    """Which BLAS NumPy multiplies with, the kernels it picked and its threads: `openblas 0.3.31 SkylakeX, 1 thread(s)`.

    Where several are loaded and none lies in NumPy's own folders (a distribution's packages), all, joined by ` or `.
    """
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    own = [library for library in libraries if _is_numpys(Path(library["filepath"]))]
    names = dict.fromkeys(_name(library) for library in own or libraries)
    return " or ".join(names) or "a BLAS that threadpoolctl does not know"


def _is_numpys(library: Path) -> bool:
    """Whether a wheel of NumPy brought it: beside the package on Linux and Windows, inside it on macOS."""
    # Either may be named through a link.
    package, library = Path(np.__file__).resolve().parent, library.resolve()
    return library.is_relative_to(package) or library.is_relative_to(package.with_name("numpy.libs"))


def _name(library: dict[str, Any]) -> str:
    parts = (library["internal_api"], library.get("version"), library.get("architecture"))
    return f"{' '.join(part for part in parts if part)}, {library['num_threads']} thread(s)"
