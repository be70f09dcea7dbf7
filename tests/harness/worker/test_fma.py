"""Multiply-adds on registers: that the loop does what is counted, what it is made of, and where there is none."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.worker import fma, peak

HERE = fma.find_registers()
KINDS = [kind for kind in fma.KINDS if HERE is not None and kind.bytes <= HERE.bytes]


def recurrence(count: int, dtype: str) -> float:
    """What each sum is after so many multiply-adds with one rounding."""
    value = np.dtype(dtype).type(fma.TERM)
    for _ in range(count):
        value = value.dtype.type(np.longdouble(value) * np.longdouble(fma.FACTOR) + np.longdouble(fma.TERM))
    return float(value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("count", [1, 2, 3, 5000])
def test_every_lane_of_every_sum_was_added_to_so_often(kind: fma.Registers, dtype: str, count: int) -> None:
    """No multiply-add that is counted is missing, in no lane, whatever the number of repetitions."""
    loop = fma.Loop(kind, dtype)

    sums = loop.run(count)

    assert sums.shape == (kind.sums, kind.bytes // np.dtype(dtype).itemsize)
    assert sums.dtype == dtype
    assert set(sums.ravel().tolist()) == {recurrence(count, dtype)}
    assert recurrence(count, dtype) != recurrence(count - 1, dtype)
    assert loop.operations(count) == 2 * count * sums.size


def test_instructions_are_those_that_an_assembler_makes() -> None:
    """First and last of each kind, and the jump back, as GNU objdump 2.40 reads them."""
    wide, narrow = (fma.assemble(kind, dtype) for kind, dtype in zip(fma.KINDS, ("float64", "float32")))

    # vbroadcastsd zmm24,[rsi]; vfmadd213pd zmm0,zmm24,zmm25 ... zmm23; dec rdi; jne to the first; vmovups [rcx],zmm0
    assert wide.startswith(bytes.fromhex("6262fd481906"))
    assert wide.count(bytes.fromhex("6292bd40a8c1")) == 1
    assert bytes.fromhex("6282bd40a8f9 48ffcf 0f8567ffffff 62f17c481101") in wide
    # vbroadcastss ymm12,[rsi]; vfmadd213ps ymm11,ymm12,ymm13; dec rdi; jne; vmovups [rcx],ymm0
    assert narrow.startswith(bytes.fromhex("c4627d1826"))
    assert bytes.fromhex("c4421da8dd 48ffcf 0f85bbffffff c4e17c1101") in narrow
    assert wide.endswith(bytes.fromhex("c5f877c3"))


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "fpu avx2 fma avx512f", "AVX-512"),
        ("x86_64", "fpu avx2 fma", "AVX2"),
        ("x86_64", "fpu avx2", None),
        ("x86_64", "fpu avx fma4", None),
        ("aarch64", "avx2 fma avx512f", None),
    ],
)
def test_only_what_processor_and_system_have_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: str, flags: str, expected: str | None
) -> None:
    """An instruction that is not there would end the process."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t:\n")
    monkeypatch.setattr(fma, "CPUINFO", cpuinfo)
    monkeypatch.setattr(fma.platform, "machine", lambda: machine)

    found = fma.find_registers()

    assert (found and found.name) == expected


def test_without_proc_there_is_no_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other systems than Linux, and containers that hide it."""
    monkeypatch.setattr(fma, "CPUINFO", tmp_path / "none")

    assert fma.find_registers() is None


class MadeUp:
    """A loop whose pieces take scripted seconds of a scripted clock, and which sees who runs it."""

    def __init__(self, *seconds: float) -> None:
        self.seconds, self.now = list(seconds), 0.0
        self.counts: list[int] = []
        self.threads: set[int] = set()

    def run(self, count: int) -> None:
        self.counts.append(count)
        self.threads.add(threading.get_ident())
        self.now += self.seconds.pop(0)

    def operations(self, count: int) -> int:
        return 10 * count


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a loop and puts its clock under the module."""

    def install(*seconds: float) -> MadeUp:
        made = MadeUp(*seconds)
        monkeypatch.setattr(fma, "time", SimpleNamespace(perf_counter=lambda: made.now))
        return made

    return install


def test_rate_is_that_of_the_fastest_piece_but_the_first(clock: Any) -> None:
    """The first piece fetches the code; a scripted one that took no time at all must not count."""
    made = clock(0.001, 0.25, 0.125, 0.5)

    assert fma.gflops(made, 1, seconds=0.6) == pytest.approx(10 * fma.PIECE / 0.125 / 1e9)
    assert made.seconds == []


def test_threads_run_it_side_by_side() -> None:
    """As many as were asked for, each its own piece; the time is of all of them together."""

    class Waits(MadeUp):
        def run(self, count: int) -> None:
            MadeUp.run(self, count)
            meet.wait(timeout=20)

    meet = threading.Barrier(3)
    made = Waits(*[0.0] * 100)

    assert fma.gflops(made, 3, seconds=0.0) > 0  # type: ignore[arg-type]
    assert made.counts == [fma.PIECE_OF_MANY] * 9
    assert fma._span([(1.0, 3.0), (0.5, 2.0), (2.5, 2.75)]) == 2.5


def test_rate_of_threads_is_of_all_their_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three threads that take a piece each do three pieces in that time."""
    monkeypatch.setattr(fma, "_side_by_side", lambda loop, count, threads: 0.125)

    found = fma.gflops(MadeUp(), 3, seconds=0.0)  # type: ignore[arg-type]

    assert found == pytest.approx(3 * 10 * fma.PIECE_OF_MANY / 0.125 / 1e9)


def test_time_is_that_of_the_slowest_thread() -> None:
    """Whichever thread it is, and however early the others have ended."""

    class OneIsSlow(MadeUp):
        def run(self, count: int) -> None:
            MadeUp.run(self, count)
            if len(self.counts) == 1:
                done.wait(timeout=0.1)

    done = threading.Event()

    assert fma._side_by_side(OneIsSlow(0.0, 0.0, 0.0), 1, 3) >= 0.1  # type: ignore[arg-type]


@pytest.mark.skipif(HERE is None, reason="this processor has no registers that the loop is written for")
def test_real_rate_is_a_processors() -> None:
    """Between a slow loop and what no core does."""
    assert HERE is not None
    rates = [fma.gflops(fma.Loop(HERE, dtype), 1, seconds=0.01) for dtype in ("float32", "float64")]

    assert all(0.05 < rate < 2000 for rate in rates), rates


@pytest.mark.parametrize(
    ("adds", "product", "expected"),
    [
        (118.0, 107.0, (118.0, "adds, 2; 107.0 GFLOP/s by blas 1")),
        (100.0, 107.0, (107.0, "blas 1; 100.0 GFLOP/s by adds, 2")),
        (0.0, 107.0, (107.0, "blas 1; adds, 2")),
    ],
)
def test_the_larger_is_the_peak_and_both_are_told(
    monkeypatch: pytest.MonkeyPatch, adds: float, product: float, expected: tuple[float, str]
) -> None:
    """Whichever it is; where there is one alone, the text says why."""
    order = []

    def multiply_adds(dtype: str, threads: int) -> tuple[float, str]:
        order.append("adds")
        return adds, f"adds, {threads}"

    def multiply(dtype: str) -> float:
        order.append("product")
        return product

    monkeypatch.setattr(peak, "_multiply_adds", multiply_adds)
    monkeypatch.setattr(peak, "matmul_gflops", multiply)
    monkeypatch.setattr(peak, "describe", lambda: "blas 1")

    assert peak.measure("float32", 2) == expected
    # Threads that BLAS leaves spinning would take from the loop.
    assert order == ["adds", "product"]


def test_reason_is_told_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without, and a system that lets nothing run that was written."""
    monkeypatch.setattr(peak, "matmul_gflops", lambda dtype: 50.0)
    monkeypatch.setattr(fma, "find_registers", lambda: None)
    assert peak.measure("float64", 1)[1].endswith("needs Linux on x86-64 with AVX2 and FMA")

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fma, "find_registers", lambda: fma.KINDS[0])
    monkeypatch.setattr(fma.mmap, "mmap", refuse)
    rate, source = peak.measure("float64", 1)
    assert rate == 50.0
    assert "no memory that may be run ([Errno 13] Permission denied)" in source


def test_threads_of_a_native_launch_are_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 means the framework's default, which is as many as there are CPUs."""
    monkeypatch.setattr(peak, "matmul_gflops", lambda dtype: 1.0)
    monkeypatch.setattr(peak.os, "sched_getaffinity", lambda process: {0, 3, 7})
    monkeypatch.setattr(peak, "_multiply_adds", lambda dtype, threads: (2.0, f"{threads} thread(s)"))

    assert peak.measure("float32", 0)[1].startswith("3 thread(s)")
