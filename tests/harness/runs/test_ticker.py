"""The thread of the clock: it ticks while it is let, and sleeps without an end while something is timed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runs.ticker import Ticker

SHORT_S = 0.001


@pytest.fixture
def ticked() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def ticker(ticked: threading.Semaphore) -> Iterator[Ticker]:
    found = Ticker(ticked.release, every_s=SHORT_S)
    found.start()
    yield found
    found.stop()


def sleeps_without_an_end(ticker: Ticker) -> bool:
    """Whether its thread says that it waits for a word, and not for a time."""
    with ticker.lock:
        return ticker._asleep


def test_ticks_while_it_is_let(ticker: Ticker, ticked: threading.Semaphore) -> None:
    """Not before `go`; then again and again; not after `stand_still`, however often these change."""
    assert sleeps_without_an_end(ticker)
    for _ in range(50):
        ticker.go()
        assert ticked.acquire(timeout=10)
        assert ticked.acquire(timeout=10)
        ticker.stand_still()
        assert sleeps_without_an_end(ticker)
        while ticked.acquire(blocking=False):
            pass
        assert not ticked.acquire(timeout=5 * SHORT_S)


def times_run(thread: threading.Thread) -> int:
    """How often the kernel has taken the CPU from a thread again: as often as it woke."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status)))


def test_nothing_wakes_it_while_it_stands_still(ticker: Ticker, ticked: threading.Semaphore) -> None:
    """The system counts: once asleep, its thread does not run, not even to look."""
    ticker.go()
    assert ticked.acquire(timeout=10)
    ticker.stand_still()
    (thread,) = [each for each in threading.enumerate() if each.name == "ticker"]
    deadline, before = time.monotonic() + 10, -1
    # It is on its way to sleep for a moment.
    while times_run(thread) != before:
        assert time.monotonic() < deadline
        before = times_run(thread)
        time.sleep(100 * SHORT_S)


def test_tick_that_was_due_is_taken_back(ticker: Ticker, ticked: threading.Semaphore) -> None:
    """Its time was over while somebody drew, who then times: it does not tick once more before that."""
    ticker.go()
    assert ticked.acquire(timeout=10)
    with ticker.lock:
        time.sleep(20 * SHORT_S)
        while ticked.acquire(blocking=False):
            pass
        ticker.stand_still()
    assert not ticked.acquire(blocking=False)


def test_goes_to_sleep_before_it_has_woken(ticker: Ticker) -> None:
    """Who lets it tick and at once takes that back still finds it asleep."""
    for _ in range(200):
        ticker.go()
        ticker.stand_still()
        assert sleeps_without_an_end(ticker)


def test_nothing_is_timed_before_a_tick_has_ended() -> None:
    """`stand_still` waits for a tick that is under way."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def tick() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()

    ticker = Ticker(tick, every_s=SHORT_S)
    ticker.start()
    ticker.go()
    assert begun.wait(10)
    threading.Timer(20 * SHORT_S, may_end.set).start()
    ticker.stand_still()
    assert ended.is_set()
    ticker.stop()


def test_tick_that_fails_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is gone then, with a trace; whoever times goes on."""
    seen = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.set())
    ticker = Ticker(lambda: 1 // 0, every_s=SHORT_S)  # type: ignore[arg-type, return-value]
    ticker.start()
    ticker.go()
    assert seen.wait(10)
    ticker.stand_still()
    ticker.go()
    ticker.stand_still()
    ticker.stop()


def test_without_a_thread_nothing_waits() -> None:
    """A display that was not opened has none."""
    ticker = Ticker(lambda: None)
    ticker.go()
    ticker.stand_still()
    ticker.stop()
