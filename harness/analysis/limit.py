"""How far each entrant is from the limit: the share of the speed that kernels made for this machine reach.

The limit is no theory. It is the backend `numba`, verified, audited and timed in the same run as all others
(docs/limit.md says how it was made).
"""

from __future__ import annotations

import pandas as pd

from harness.analysis.comparison import SPEED
from harness.analysis.labels import LIMIT

# What an entrant and its limit have in common: everything that changes what a machine can do.
ALIKE = ("run", "network", "data_set", "feed", "device", "dtype", "threads", "batch_size", "replicas", "environment")


def limit_shares(summary: pd.DataFrame) -> pd.Series:
    """Of each row, its training speed over that of the fastest limit that computes the same; missing without one.

    Args:
        summary: rows of summary.csv.
    """
    keys = [summary[name].astype("string").fillna("") for name in ALIKE]
    limits = summary[SPEED].astype(float).where((summary["backend"] == LIMIT).to_numpy(bool))
    best = limits.groupby(keys).transform("max")
    return (summary[SPEED].astype(float) / best).astype("Float64")
