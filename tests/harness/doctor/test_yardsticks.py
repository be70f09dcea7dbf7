"""The yardsticks: arithmetic with made-up clocks, and a brief run on this machine whose figures are not judged."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from harness.doctor import yardsticks


@pytest.fixture(autouse=True)
def affinity_is_restored() -> Iterator[None]:
    """Whatever is measured, this process may use the same CPUs afterwards."""
    before = os.sched_getaffinity(0)
    yield
    assert os.sched_getaffinity(0) == before


class Clocks:
    """A wall clock and a clock of processor time; `work` takes 10 ms, of which the processor is had for a share."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.processor = 5.0
        self.share = 1.0
        self.cost = 0.01
        monkeypatch.setattr(time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(time, "thread_time", lambda: self.processor)

    def work(self) -> None:
        self.wall += self.cost
        self.processor += self.cost * self.share


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_speed_is_of_processor_time(clocks: Clocks) -> None:
    """100 calls a second alone; beside another process half as many calls, each as fast as before."""
    assert yardsticks._speed(clocks.work) == pytest.approx(100, rel=1e-6)
    clocks.share = 0.5
    assert yardsticks._speed(clocks.work) == pytest.approx(200, rel=1e-6)
    clocks.share, clocks.cost = 1.0, 0.02
    assert yardsticks._speed(clocks.work) == pytest.approx(50, rel=1e-6)


def test_a_window_is_a_tenth_of_a_second(clocks: Clocks) -> None:
    """Of the wall clock, to the end of the call that is running."""
    before = clocks.wall
    clocks.cost = 0.03
    yardsticks._speed(clocks.work)

    assert clocks.wall - before == pytest.approx(0.12)


def test_spread_by_hand() -> None:
    """9, 10, 11: standard deviation 1, mean 10."""
    assert yardsticks.spread((9.0, 10.0, 11.0)) == pytest.approx(0.1)


def test_clock_step_is_the_median_of_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 50 ns, and one interruption that does not count."""
    readings = iter([0.0, 50e-9, 100e-9, 9.0, 9.0 + 50e-9, 9.0 + 100e-9])
    monkeypatch.setattr(yardsticks, "CLOCK_READINGS", 6)
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings))

    assert yardsticks.clock_step_ns() == pytest.approx(50, rel=1e-3)


def test_pieces_take_turns_and_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds of the loop and of the pass alternate, the first of each is thrown away."""
    speeds = iter([1.0, 1.0, *(value for _ in range(7) for value in (10.0, 100.0)), *(8.0, 160.0) * 7])
    monkeypatch.setattr(yardsticks, "_speed", lambda work: next(speeds))

    found = yardsticks.measure(max(os.sched_getaffinity(0)), seconds=3.0)

    # Seven of either value: standard deviation half their distance times sqrt(14 / 13).
    assert found.core == pytest.approx(1.0 * math.sqrt(14 / 13) / 9)
    assert found.memory == pytest.approx(30.0 * math.sqrt(14 / 13) / 130)
    assert next(speeds, None) is None


def test_memory_pass_covers_the_whole_array() -> None:
    """Every element is read and written."""
    array = np.zeros(10, np.float32)
    yardsticks._stream(array)

    assert array.tolist() == [1.0] * 10


def test_real_machine() -> None:
    """A brief run: figures that are numbers."""
    found = yardsticks.measure(max(os.sched_getaffinity(0)), seconds=0.4)

    assert found.clock_ns > 0
    assert found.core >= 0
    assert found.memory >= 0
    assert (found.core_beside, found.memory_beside) == (None, None)


def test_neighbour_is_busy_while_it_is_wanted_and_gone_afterwards() -> None:
    cpu = max(os.sched_getaffinity(0))
    with yardsticks._neighbour(cpu) as neighbour:
        before = psutil.Process(neighbour.pid).cpu_times().user
        while psutil.Process(neighbour.pid).cpu_times().user < before + 0.05:
            time.sleep(0.01)
        assert os.sched_getaffinity(neighbour.pid) == {cpu}

    assert neighbour.returncode is not None


def test_slower_beside_is_the_median_of_pairs_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the speed of the loop beside another is 100 % slower; one window that something else spoilt is nothing."""
    speeds = iter([10.0, 8.0, 5.0, 6.4, 10.0, 8.0, 5.0, 6.4, 10.0, 8.0, 0.1, 0.1])
    states: list[str] = []

    def speed(work: Callable[[], object]) -> float:
        (neighbour,) = psutil.Process().children()
        # The kernel stops a process at its next chance.
        wanted, end = len(states) % 4 < 2, time.monotonic() + 10
        while wanted != (neighbour.status() == psutil.STATUS_STOPPED):
            assert time.monotonic() < end, f"It is {neighbour.status()} in window {len(states) + 1}."
            time.sleep(0.001)
        states.append(neighbour.status())
        return next(speeds)

    monkeypatch.setattr(yardsticks, "_speed", speed)

    found = yardsticks._slower_beside(max(os.sched_getaffinity(0)), np.zeros(1, np.float32))

    assert found == pytest.approx((1.0, 0.25))
    assert len(states) == 12


def test_pinned_while_measured_where_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU that is given; being refused is no error."""
    cpu = max(os.sched_getaffinity(0))
    with yardsticks._pinned(cpu):
        assert os.sched_getaffinity(0) == {cpu}

    def refuse(pid: int, cpus: set[int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with yardsticks._pinned(cpu):
        pass
