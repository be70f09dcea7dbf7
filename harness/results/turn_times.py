"""Times of launches' turns (`turn_step_us` of launches.csv) as numbers side by side, for whoever has many of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class TurnTimes:
    """Training steps by turn, us.

    Attributes:
        values: of all launches, one after the other.
        starts: of each launch, where its own begin.
        counts: of each launch, how many it has; 0 where it had no turns.
    """

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of_cells(cls, cells: Iterable[Any]) -> TurnTimes:
        """Of cells of launches.csv."""
        parts = [[] if pd.isna(cell) else str(cell).split() for cell in cells]
        counts = np.array([len(part) for part in parts], dtype=np.int64)
        values = np.array([float(each) for part in parts for each in part], dtype=float)
        return cls(values, np.cumsum(counts) - counts, counts)

    def of(self, launches: NDArray[Any]) -> TurnTimes:
        """Those of some of the launches, by number or by a flag each."""
        return TurnTimes(self.values, self.starts[launches], self.counts[launches])

    def side_by_side(self, launches: NDArray[np.int64], turns: int) -> NDArray[np.float64]:
        """A row for each of these launches, which all have so many turns."""
        return self.values[self.starts[launches][:, None] + np.arange(turns)]
