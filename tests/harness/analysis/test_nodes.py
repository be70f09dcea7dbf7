"""The node as a factor: covers what it says, is narrower than pooling where nodes differ, and says that they do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.nodes import differ, over_nodes
from harness.analysis.statistics import mean_of_logs


def test_one_node_is_a_run() -> None:
    """The interval of any run's rounds."""
    values = [1.0, 1.1, 1.05, 0.97]
    found, usual = over_nodes([values]), mean_of_logs(values)
    assert (found.estimate, found.low, found.high, found.count) == pytest.approx(
        (usual.estimate, usual.low, usual.high, 4)
    )


def test_each_node_weighs_the_same() -> None:
    """However many rounds it has done."""
    found = over_nodes([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [4.0, 4.0]])
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_too_little_has_no_interval() -> None:
    """One round each tells no spread; one node with one takes the spread of the other."""
    assert math.isnan(over_nodes([[1.0], [2.0]]).low)
    assert over_nodes([[1.0, 1.1, 1.2], [2.0]]).low > 0


@pytest.mark.parametrize("noisy", [1, 4])
@pytest.mark.parametrize("counts", [(4, 4), (3, 9), (4, 5, 8), (6, 3)])
def test_covers_what_it_says(counts: tuple[int, ...], noisy: float) -> None:
    """95 % of intervals hold the mean of nodes that differ by ten times what rounds do; also where one is noisy."""
    random = np.random.default_rng(1)
    centers = random.normal(0, 0.1, len(counts))
    held = 0
    for _ in range(3000):
        values = [np.exp(random.normal(center, 0.01, count)) for center, count in zip(centers, counts)]
        values[0] = np.exp(random.normal(centers[0], 0.01 * noisy, counts[0]))
        found = over_nodes(values)
        held += found.low <= math.exp(centers.mean()) <= found.high
    assert held / 3000 > 0.94 - 0.02 * (noisy > 1)


def test_pooling_would_be_wider() -> None:
    """Where nodes differ, what they differ by is no noise of these nodes' mean."""
    random = np.random.default_rng(2)
    nodes = [np.exp(random.normal(center, 0.01, 6)) for center in (0.0, 0.2)]
    whole, pooled = over_nodes(nodes), mean_of_logs(np.concatenate(nodes))
    assert (whole.high - whole.low) < (pooled.high - pooled.low) / 3


def test_nodes_that_differ_are_told() -> None:
    """And those that do not are, in one of a hundred trials at the most."""
    random = np.random.default_rng(3)
    assert differ([np.exp(random.normal(center, 0.01, 6)) for center in (0.0, 0.2)])
    false = sum(differ([np.exp(random.normal(0, 0.01, 6)) for _ in range(3)]) for _ in range(500))
    assert false <= 5
