"""Single values of a worker's message: each function takes what came in and returns it, or says what is wanted.

The limits are those of the tables that the values go into: what a reader of results would refuse, is refused here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from harness.results.schema import Column
from harness.results.validation import ACCURACIES, AMOUNTS
from harness.visible import visible

Field = Callable[[Any], Any]
MOST_TEXT, MOST_PACKAGES = 10_000, 10_000
LEAST_INT, MOST_INT, MOST_REAL = -(1 << 63), (1 << 63) - 1, 1e18


def text(value: Any) -> str:
    """A text, of which what no file or terminal can hold is written out.

    Raises:
        ValueError: it is none; as of all functions here.
    """
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise ValueError(f"a text of at most {MOST_TEXT:,} characters is wanted")
    return visible(value)


def words(value: Any) -> str:
    """Why something failed: a text of any length, of which the beginning is kept."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text is wanted")
    return visible(value[:MOST_TEXT].strip())


def digest(value: Any) -> str:
    """A SHA-256, or nothing."""
    if not isinstance(value, str) or not re.fullmatch("([0-9a-f]{64})?", value):
        raise ValueError("a SHA-256 is wanted")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")
    return value


def number(value: Any) -> float:
    """Any number, also one that is not finite: a loss may become so."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number is wanted")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number that fits into 64 bits is wanted") from None


def real(least: float = -MOST_REAL, most: float = MOST_REAL, *, above: bool = False) -> Field:
    """A finite number from `least` to `most`, or above `least`; never so large that a product of two is infinite."""

    def check(value: Any) -> float:
        found = number(value)
        if not (math.isfinite(found) and least <= found <= most) or (above and found == least):
            raise ValueError(f"a number {'above' if above else 'from'} {least:g} to {most:g} is wanted")
        return found

    return check


def whole(least: int = LEAST_INT, most: int = MOST_INT) -> Field:
    """A whole number; 3.0 is one, because NumPy's integers arrive so."""

    def check(value: Any) -> int:
        exact = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not exact or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most} is wanted")
        return int(value)

    return check


def row_of(*fields: Field) -> Field:
    """A list with one value for each of these."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) != len(fields):
            raise ValueError(f"a list of {len(fields)} values is wanted")
        return [field(each) for field, each in zip(fields, value)]

    return check


def list_of(field: Field, *, most: int | None = None) -> Field:
    """A list of any length, or of `most` at most."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or (most is not None and len(value) > most):
            raise ValueError("a list is wanted" if most is None else f"a list of at most {most} is wanted")
        return [field(each) for each in value]

    return check


def blocks(value: Any) -> dict[str, list[list[float]]]:
    """Seconds of blocks: phase -> turn -> block."""
    phases = ("warmup", "return", "steady")
    if not isinstance(value, dict) or not set(value) <= set(phases):
        raise ValueError(f"an object with {', '.join(phases)} is wanted")
    return {phase: list_of(list_of(real(0)))(turns) for phase, turns in value.items()}


def sweep(sizes: Sequence[int]) -> Field:
    """Images a second of every batch size that was asked for, once."""

    def check(value: Any) -> list[tuple[int, float]]:
        rows = list_of(row_of(whole(1), real(0, above=True)), most=len(sizes))(value)
        if sorted(size for size, _ in rows) != sorted(sizes):
            raise ValueError(f"a value for each of the batch sizes {', '.join(map(str, sizes))} is wanted")
        return [(size, speed) for size, speed in rows]

    return check


def times(value: Any) -> str:
    """Positive numbers in a text, with spaces between them."""
    parts = text(value).split()
    try:
        right = all(0 < float(part) < math.inf for part in parts)
    except ValueError:
        right = False
    if not parts or not right:
        raise ValueError("positive numbers in a text are wanted")
    return " ".join(parts)


def percentiles(value: Any) -> list[tuple[float, float]]:
    """Milliseconds of percentiles, each once."""
    rows = list_of(row_of(real(0, 100), real(0)), most=1000)(value)
    if len({percentile for percentile, _ in rows}) != len(rows):
        raise ValueError("every percentile once is wanted")
    return [(percentile, milliseconds) for percentile, milliseconds in rows]


def optional(field: Field) -> Field:
    """The same, or nothing."""
    return lambda value: None if value is None else field(value)


def cell(column: Column) -> Field:
    """What a column of a table can hold; nothing is an empty cell."""
    if column.dtype == "string":
        return optional(text)
    if column.dtype == "boolean":
        return optional(flag)
    amount = column.unit in AMOUNTS
    if column.dtype == "Int64":
        return optional(whole(0 if amount else LEAST_INT))
    if column.unit == "images/s":
        return optional(real(0, above=True))
    if column.name in ACCURACIES:
        return optional(real(0, 1))
    return optional(real(0 if amount else -MOST_REAL))
