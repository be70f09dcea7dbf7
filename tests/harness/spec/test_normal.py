"""The normal distribution of initial weights, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from harness.spec.normal import cdf, quantiles


def test_quantiles_are_scipys() -> None:
    """To 15 digits in the centre, in the middle and at both ends, in any shape."""
    probabilities = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 9_999), [3e-11, 1e-9, 0.075, 0.925, 1 - 1e-9]])

    found = quantiles(probabilities.reshape(2, -1)).reshape(-1)

    np.testing.assert_allclose(found, ndtri(probabilities), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("x", [-2.0, -0.3, 0.0, 2.0, 5.0])
def test_cdf_is_scipys(x: float) -> None:
    """As far as float64 goes."""
    assert cdf(x) == pytest.approx(ndtr(x), rel=1e-14)


@pytest.mark.parametrize("probability", [0.0, 1.0, 1e-12, -0.5, float("nan")])
def test_ends_are_refused(probability: float) -> None:
    """Where the formula does not hold there is no number."""
    with pytest.raises(ValueError, match="between 2e-11"):
        quantiles(np.array([0.5, probability]))
