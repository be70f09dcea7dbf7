"""A clock that ticks while nothing is timed.

While something is, its thread is asleep and is not woken by time: it takes no CPU from what is timed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

TICK_S = 1.0


class Ticker:
    """Calls a function again and again, in a thread of its own, while it is let.

    Attributes:
        lock: held while the function is called, so that who holds it is not disturbed by a tick.
        is_ticking: whether it is let.
    """

    def __init__(self, tick: Callable[[], None], *, every_s: float = TICK_S) -> None:
        self.lock = threading.RLock()
        self.is_ticking = False
        self._tick, self._every_s = tick, every_s
        self._changed = threading.Condition(self.lock)
        self._asleep = self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Make the thread, which sleeps until `go`."""
        self._asleep = self._ended = False
        # A harness that has to end does not wait for a terminal that takes nothing more.
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        with self.lock:
            self._ended, self.is_ticking = True, False
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def go(self) -> None:
        """Tick from now on."""
        if not self.is_ticking:
            with self.lock:
                self.is_ticking, self._asleep = True, False
                self._changed.notify_all()

    def stand_still(self) -> None:
        """Tick no more; returns once the thread sleeps without an end."""
        if self.is_ticking:
            with self.lock:
                self.is_ticking = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._asleep or not self._is_alive())

    def _is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        with self.lock:
            try:
                while not self._ended:
                    self._turn()
            finally:
                # However it ends, nobody waits for it.
                self._asleep = True
                self._changed.notify_all()

    def _turn(self) -> None:
        self._asleep = not self.is_ticking
        if self._asleep:
            # Whoever waits until it sleeps goes on when the lock is free: `wait` lets go of it.
            self._changed.notify_all()
            self._changed.wait()
        elif not self._changed.wait(self._every_s) and self.is_ticking:
            self._tick()
