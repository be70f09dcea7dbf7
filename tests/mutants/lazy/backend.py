"""Notes down every computation; whoever fetches a number does all that was noted before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from backends.unsynchronised.backend import Backend as Unsynchronised


class Notes:
    """What is to be done, in order; has the method of an executor that is needed."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Future, Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        future = PutOff(self)
        self._calls.append((future, function, arguments))
        return future

    def do_next(self) -> None:
        future, function, arguments = self._calls.popleft()
        future.set_result(function(*arguments))


class PutOff(Future):
    """A result that is computed when it is asked for."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes

    def result(self, timeout: float | None = None) -> Any:
        while not self.done():
            self._notes.do_next()
        return super().result(timeout)


class Backend(Unsynchronised):
    """The mutant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._queue = Notes()
