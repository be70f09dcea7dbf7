"""Turns in which something else had the CPUs, and which turns figures are made of.

Which turns these are is seen at the CPUs alone, never at the times themselves (`harness.runs.disturbance`): leaving
them out takes nothing from a slow side or a fast one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

# Where fewer turns than these were undisturbed, none is left out: a median of so few says less than one of all, and the
# machine is called busy in any case.
LEAST_CLEAN = 5
# Half as many turns again are taken in place of disturbed ones. More disturbed turns than these are more than a third.
TAKEN_AGAIN = 0.5
MOST_DISTURBED = TAKEN_AGAIN / (1 + TAKEN_AGAIN)
# What the column says where turns were watched and none was disturbed; empty is: nobody watched.
NONE = "none"


def text_of(numbers: Collection[int]) -> str:
    """The cell of `disturbed_turns`."""
    return " ".join(map(str, sorted(numbers))) or NONE


def numbers_of(cell: Any) -> frozenset[int]:
    """The numbers in a cell of `disturbed_turns`, counted from 1; none where nobody watched."""
    return frozenset() if pd.isna(cell) or cell == NONE else frozenset(map(int, str(cell).split()))


def kept(turns: int, disturbed: Collection[int]) -> np.ndarray:
    """Which of so many turns figures are made of, a flag each: the undisturbed, where there are enough of them."""
    clean = np.array([number not in disturbed for number in range(1, turns + 1)], dtype=bool)
    return clean if clean.sum() >= LEAST_CLEAN else np.ones(turns, dtype=bool)
