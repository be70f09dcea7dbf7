"""Which entrant is meant by as much of its label as people type, and which is the limit.

Of text alone: plans are made without pandas.
"""

from __future__ import annotations

from backends import LIMIT
from harness.errors import InputError, unknown


def is_limit(backend: str) -> bool:
    """Whether a backend is the limit: no framework to choose, kernels made for this machine (docs/limit.md)."""
    return backend == LIMIT


def find(base: str, labels: list[str], *, option: str = "--base") -> int:
    """Place of the entrant that `base` names: its whole label, or as much of it as one entrant alone begins with.

    Args:
        option: that it was given with, for the message.

    Raises:
        InputError: none, or more than one.
    """
    exact = [number for number, label in enumerate(labels) if label == base]
    begun = [number for number, label in enumerate(labels) if label.split()[: len(base.split())] == base.split()]
    found = exact or begun
    if len(found) > 1:
        raise InputError(f"{option} {base!r} could be any of {len(found)} entrants: {', '.join(labels)}.")
    if not found:
        raise unknown(option.removeprefix("--"), base, labels)
    return found[0]
