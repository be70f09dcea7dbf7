"""What lets all of the harness's tests take less time, and changes nothing that they prove."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from harness.runs import quiet
from harness.worker import controls


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices: threads of OpenBLAS that wait by spinning would make these tests slow on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session", autouse=True)
def brief_look() -> Iterator[None]:
    """Runs in this process look at the machine for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quiet, "LOOK_S", 0.02)
        yield


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> Iterator[None]:
    """What is imported and collected stays to the end: Python's garbage collector need not look at it a hundred times,
    which took a fifth of the time of tests that make tables."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """Nothing that this process writes is waited for until it is on the disk: only a power cut would tell. That it is
    asked for, and in which order, is held by `test_files.py`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda opened: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def cpu_of_its_own() -> Iterator[None]:
    """Launches of pytest-xdist's processes, which choose no CPU, do not all queue for the last one: each of these
    processes has another. A test that has other CPUs, or made-up ones, keeps them."""
    allowed = sorted(os.sched_getaffinity(0))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own, usual = allowed[-1 - number % len(allowed)], controls.choose_cpus

    def choose(threads: int, replicas: int = 1) -> list[int]:
        found = usual(threads, replicas)
        return [own] if threads * replicas == 1 and sorted(os.sched_getaffinity(0)) == allowed else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "choose_cpus", choose)
        yield
