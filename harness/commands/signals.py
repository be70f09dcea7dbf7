"""Signals that end the harness politely: as Ctrl-C does, with rows kept, a summary written, and no process left."""

from __future__ import annotations

import signal
import time
from types import FrameType

# SIGUSR1, SIGUSR2 and SIGXCPU are how batch systems announce that the time is nearly over.
ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
# So long after one of them all others are ignored: what the first has begun ends in peace, s.
PEACE_S = 10.0


class _Interruption:
    """The handler of all of them."""

    def __init__(self) -> None:
        self._until = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now >= self._until:
            self._until = now + PEACE_S
            raise KeyboardInterrupt


def end_politely() -> None:
    """Handle them, but for those that whoever started this process lets it ignore (nohup)."""
    handler = _Interruption()
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def ignore() -> None:
    """All has been done: what comes now changes the exit code no more."""
    # An interpreter that ends gives handlers written in Python back.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
