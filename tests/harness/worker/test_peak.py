"""The peak of matrix multiplication: its arithmetic with a made-up clock, and once for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from harness.errors import InputError
from harness.worker import peak

ROOT = Path(__file__).parents[3]


class Machine:
    """A clock that only multiplications move, by scripted seconds; keeps what each was given."""

    def __init__(self, *seconds: float) -> None:
        self.now = 100.0
        self.seconds = list(seconds)
        self.calls: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def perf_counter(self) -> float:
        return self.now

    def matmul(self, left: np.ndarray, right: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        self.calls.append((left, right, out))
        self.now += self.seconds.pop(0)
        return out


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts a scripted machine under the module."""

    def install(*seconds: float) -> Machine:
        made = Machine(*seconds)
        monkeypatch.setattr(peak, "time", SimpleNamespace(perf_counter=made.perf_counter))
        monkeypatch.setattr(peak.np, "matmul", made.matmul)
        return made

    return install


def test_rate_is_that_of_the_fastest_repeat(machine: Any) -> None:
    """2 n^3 operations over the shortest time, in 10^9 a second."""
    warmup = [1.0] * peak.WARMUP
    machine(*warmup, 0.25, 0.125, 0.5, 0.25)

    assert peak.matmul_gflops("float32", sizes=(100,), seconds=1.0) == pytest.approx(2 * 100**3 / 0.125 / 1e9)


def test_warm_up_does_not_count(machine: Any) -> None:
    """Neither its rate, however good, nor its time."""
    made = machine(*[1e-9] * (peak.WARMUP - 1), 50.0, 0.5, 0.5)

    assert peak.matmul_gflops("float64", sizes=(10,), seconds=1.0) == pytest.approx(2 * 10**3 / 0.5 / 1e9)
    assert made.seconds == []


def test_best_of_all_sizes_in_equal_shares_of_the_time(machine: Any) -> None:
    """The largest rate counts, whichever size reached it; each size gets its part of the seconds."""
    warmup = [1.0] * peak.WARMUP
    made = machine(*warmup, 0.25, 0.25, *warmup, 0.375, 0.375)

    assert peak.matmul_gflops("float32", sizes=(100, 200), seconds=1.0) == pytest.approx(2 * 200**3 / 0.375 / 1e9)
    assert [len(left) for left, _, _ in made.calls] == [100] * (peak.WARMUP + 2) + [200] * (peak.WARMUP + 2)


def test_slow_machine_multiplies_once(machine: Any) -> None:
    """A multiplication that takes longer than all the time there is still gives a rate."""
    machine(*[1.0] * peak.WARMUP, 7.0)

    assert peak.matmul_gflops("float32", sizes=(100,), seconds=0.1) == pytest.approx(2 * 100**3 / 7.0 / 1e9)


@pytest.mark.parametrize("dtype", peak.DTYPES)
def test_what_is_multiplied(machine: Any, dtype: str) -> None:
    """Two different matrices of the precision, values that cannot become denormal, one result for all calls."""
    made = machine(*[1.0] * peak.WARMUP, 0.5, 0.5)

    peak.matmul_gflops(dtype, sizes=(64,), seconds=1.0)

    left, right, out = made.calls[0]
    assert {array.dtype for array in (left, right, out)} == {np.dtype(dtype)}
    assert {array.shape for array in (left, right, out)} == {(64, 64)}
    assert all(array.flags.c_contiguous for array in (left, right, out))
    # BLAS has a cheaper call for a matrix with itself.
    assert not np.array_equal(left, right)
    assert not np.array_equal(left, right.T)
    for factor in (left, right):
        assert factor.min() >= 0
        assert factor.max() < 1
        assert factor[factor > 0].min() > 1e-20
    assert len({id(out) for _, _, out in made.calls}) == 1


def test_real_peak_is_of_a_real_machine() -> None:
    """Between a slow loop and a large server; two precisions, from a short time."""
    rates = [peak.matmul_gflops(dtype, sizes=(128,), seconds=0.02) for dtype in peak.DTYPES]

    assert all(0.05 < rate < 1e5 for rate in rates), rates


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_precision_without_blas_is_refused(dtype: str) -> None:
    """NumPy multiplies those in slow loops, which would be no peak."""
    with pytest.raises(InputError, match=f"'{dtype}'.*float32, float64"):
        peak.matmul_gflops(dtype)
    with pytest.raises(InputError, match=f"'{dtype}'.*float32, float64"):
        peak.measure(dtype, 1)


def test_description_names_this_numpys_blas() -> None:
    """Kind, version and threads, as they are now."""
    with threadpool_limits(1):
        found = peak.describe()

    assert found.endswith(", 1 thread(s)") or "does not know" in found
    assert " or " not in found


def library(name: str, filepath: object, **values: Any) -> dict[str, Any]:
    known = {"user_api": "blas", "internal_api": name, "version": "1.2", "num_threads": 3, "filepath": str(filepath)}
    return known | values


PACKAGE = Path(np.__file__).parent


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        (
            [
                library("mkl", "/framework/libmkl_rt.so"),
                library("openblas", PACKAGE.with_name("numpy.libs") / "libopenblas.so", architecture="Zen"),
                library("openmp", "/framework/libgomp.so", user_api="openmp"),
            ],
            "openblas 1.2 Zen, 3 thread(s)",
        ),
        (
            [library("mkl", "/framework/libmkl.dylib"), library("openblas", PACKAGE / ".dylibs" / "libopenblas.dylib")],
            "openblas 1.2, 3 thread(s)",
        ),
        ([library("blis", "/usr/lib/libblis.so", version=None)], "blis, 3 thread(s)"),
        (
            [library("blis", "/usr/lib/libblis.so"), library("mkl", "/opt/libmkl_rt.so")],
            "blis 1.2, 3 thread(s) or mkl 1.2, 3 thread(s)",
        ),
        ([library("openmp", "/usr/lib/libgomp.so", user_api="openmp")], "a BLAS that threadpoolctl does not know"),
    ],
)
def test_description_picks_numpys_own(
    monkeypatch: pytest.MonkeyPatch, libraries: list[dict[str, Any]], expected: str
) -> None:
    """A framework's BLAS in the same process is not taken for NumPy's; where none is NumPy's, all are named."""
    monkeypatch.setattr(peak, "threadpool_info", lambda: libraries)

    assert peak.describe() == expected


def test_worker_side_loads_numpy_and_threadpoolctl_only() -> None:
    """Of all that is installed beside them here, neither module loads anything else."""
    code = (
        "import harness.worker.peak, harness.spec.operations, sys; "
        "print(*{name.split('.')[0] for name in sys.modules} & {'pandas', 'rich', 'scipy', 'typer', 'psutil', 'numpy'})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    assert (found.returncode, found.stdout.split()) == (0, ["numpy"]), found.stderr
