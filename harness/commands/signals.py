"""Signals that end the harness politely: as Ctrl-C does, with rows kept, a summary written, and no process left."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

# SIGALRM, SIGUSR1, SIGUSR2 and SIGXCPU are how batch systems announce that the time is nearly over.
ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
# The exit code of what they ended.
INTERRUPTED = 130
# So long after one of them all others are ignored: what the first has begun ends in peace, s.
PEACE_S = 10.0
# So long after one of them, and again and again, it is looked whether the interruption was lost, s.
AGAIN_S = 1.0


class _Interruption:
    """The handler of all of them.

    An exception that is raised in a destructor or in a callback of the interpreter's goes no further. So an alarm
    raises it again until it is taken, but not where it is on its way: there only somebody who insists does.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._due = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self._due and number == signal.SIGALRM
        if not again and now < self._until:
            return
        if not again:
            self._until = now + PEACE_S
        self._due = True
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        if not (again and _on_its_way()):
            raise KeyboardInterrupt

    def take(self) -> None:
        """It has arrived."""
        self._due = False
        signal.setitimer(signal.ITIMER_REAL, 0)


_handler = _Interruption()


def end_politely() -> None:
    """Handle them, but for those that whoever started this process lets it ignore (nohup)."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handler)


def taken() -> None:
    """An interruption has been caught by whoever ends what it interrupts."""
    _handler.take()


def _on_its_way() -> bool:
    """Whether something is being ended because of an interruption: it is the exception that is handled now."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def ignore() -> None:
    """All has been done: what comes now changes the exit code no more."""
    # An interpreter that ends gives handlers written in Python back.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
