"""How long pieces of work took the last time, kept on disk: from these a command that starts says what is left.

Nothing else is made of them. A file that cannot be read, or says nothing of use, is no file.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

from harness.data.sources import cache_folder
from harness.errors import LenetBenchError
from harness.files import write_text_atomically

# Of a file that is read, and of pieces that are kept: the newest ones.
MOST_BYTES, MOST_KEPT = 1 << 20, 2000
MOST_S = 1e6
MOST_LETTERS = 200


def path() -> Path:
    """Where they are kept."""
    return cache_folder() / "durations.json"


def read() -> dict[str, float]:
    """Key of a piece -> seconds that it took the last time, the oldest first."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with path().open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        if isinstance(found, dict):
            return {key: float(value) for key, value in found.items() if _is_duration(value)}
    return {}


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_S


def keep(took: Mapping[str, float]) -> None:
    """Keep what pieces took; a cache that cannot be written costs a guess alone."""
    new = {key[:MOST_LETTERS]: round(value, 1) for key, value in took.items() if math.isfinite(value)}
    if not new:
        return
    known = {key: value for key, value in read().items() if key not in new} | new
    with contextlib.suppress(OSError, LenetBenchError):
        path().parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path(), json.dumps(dict(list(known.items())[-MOST_KEPT:])) + "\n")
