"""The stopwatch: the only place where the clock of a result is read. Nothing of the harness runs between its readings.

A timed interval is: synchronise, read the clock, the call that is timed, synchronise, read the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def timed(call: Callable[..., Any], *arguments: Any, synchronize: Callable[[], None]) -> float:
    """Seconds that `call(*arguments)` takes, from an idle device to an idle device."""
    return timed_with_result(call, *arguments, synchronize=synchronize)[0]


def timed_with_result(call: Callable[..., Any], *arguments: Any, synchronize: Callable[[], None]) -> tuple[float, Any]:
    """The same, and what the call returned, for whoever looks at it later."""
    synchronize()
    start = time.perf_counter()
    result = call(*arguments)
    synchronize()
    return time.perf_counter() - start, result
