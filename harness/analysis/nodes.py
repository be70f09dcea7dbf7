"""Several nodes of one kind of hardware: what their figures come to together, the node being a factor.

Ratios are made within a round, so within a node. Rounds of one node are alike in what that node has (its heat, its
neighbours, its memory), so they are no sample of all nodes' rounds: each node has a mean of its own, and the estimate
is the mean of these. It speaks of these nodes, not of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis.statistics import LEVEL, Interval, Values, student

# Intervals of two nodes that do not meet at this level say that the nodes differ.
APART = 0.99


def over_nodes(values: Sequence[Values], *, level: float = LEVEL) -> Interval:
    """Geometric mean over nodes of their geometric means, with its interval.

    Source: the mean over a factor in a stratified sample, of k nodes: standard error sqrt(sum s_i^2 / n_i) / k,
    degrees of freedom after Satterthwaite 1946. With few rounds a node that covers too little (93.4 % of 3,000 trials,
    nodes of 2, 5 and 8 rounds); the same with one variance for all covers too little where one node is noisy. The wider
    of the two is taken: 95 to 98 % where nodes spread alike, 89.6 % where one with two rounds alone spreads four times
    as much. With one node it is `mean_of_logs`.

    Args:
        values: of each node, positive, one a launch (or one ratio a round). A node with one value tells no spread: its
            variance is that of all.
    """
    logs = [np.log(np.asarray(each, dtype=float)) for each in values]
    counts, nodes = np.array([len(each) for each in logs]), len(logs)
    center, freedoms = float(np.mean([each.mean() for each in logs])), counts - 1
    if not freedoms.sum():
        return Interval(math.exp(center), math.nan, math.nan, int(counts.sum()))
    pooled = sum(float(((each - each.mean()) ** 2).sum()) for each in logs) / freedoms.sum()
    own = np.array([float(each.var(ddof=1)) if len(each) > 1 else pooled for each in logs])
    half = student((1 + level) / 2, float(freedoms.sum())) * math.sqrt(pooled * (1 / counts).sum())
    parts, told = own / counts, freedoms > 0
    shares = (parts[told] ** 2 / freedoms[told]).sum()
    if shares:
        freedom = float(parts[told].sum() ** 2 / shares)
        half = max(half, student((1 + level) / 2, freedom) * math.sqrt(parts.sum()))
    low, estimate, high = (math.exp(center + sign * half / nodes) for sign in (-1, 0, 1))
    return Interval(estimate, low, high, int(counts.sum()))


def differ(values: Sequence[Values]) -> bool:
    """Whether two nodes have intervals, of all that are compared together, that do not meet."""
    found = [over_nodes([each], level=1 - (1 - APART) / len(values)) for each in values if len(each) > 1]
    return any(one.low > other.high for one in found for other in found)
