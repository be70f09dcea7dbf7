"""Columns of millions of rows, of which few cells are different: what is slow is done once for each of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis.statistics import Moments

# What a number made of several columns may be at the most.
MOST = 2**62


def codes_of(column: pd.Series) -> tuple[NDArray[np.int64], list[Any]]:
    """A number for each row, -1 where the cell is missing, and the different cells that they count."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes, dtype=np.int64), column.cat.categories.tolist()
    codes, different = pd.factorize(column)
    return np.asarray(codes, dtype=np.int64), list(different)


def of_each(column: pd.Series, function: Callable[[Any], float], *, missing: float) -> NDArray[np.float64]:
    """What a function makes of each cell, called once for each that is different."""
    codes, different = codes_of(column)
    return np.array([*map(function, different), missing], dtype=float)[codes]


def together(parts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the combinations of several columns' numbers, in the order in which they come.

    Args:
        parts: from -1 up, of rows, of which there is one or more.

    Returns:
        the number of each row's combination, from 0 up, and the first row of each.
    """
    found, most = np.zeros(len(parts[0]), dtype=np.int64), 1
    for part in parts:
        width = int(part.max(initial=-1)) + 2
        if most * width > MOST:
            found, most = pd.factorize(found)[0].astype(np.int64), len(found)
        found, most = found * width + (part + 1), most * width
    numbers = pd.factorize(found)[0].astype(np.int64)
    firsts = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.int64)
    firsts[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return numbers, firsts


def moments_by(numbers: NDArray[np.int64], logs: NDArray[np.float64]) -> list[Moments]:
    """The moments of the logarithms that have the same number; of numbers from 0 up, none left out."""
    counts = np.bincount(numbers)
    means = np.bincount(numbers, logs) / counts
    squares = np.bincount(numbers, (logs - means[numbers]) ** 2)
    return [Moments(*each) for each in zip(counts.tolist(), means.tolist(), squares.tolist())]
