"""Rounding to shorter mantissas: to nearest, ties to even, and nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest

from harness.spec.precision import MANTISSA_BITS, array_dtype, epsilon, rounded


@pytest.mark.parametrize("dtype", MANTISSA_BITS)
def test_rounding_is_to_nearest_even(dtype: str) -> None:
    """Half a unit in the last place goes to the even neighbour, more goes up, less goes down; signs do not matter."""
    unit = epsilon(dtype)
    cases = {1 + 0.5 * unit: 1.0, 1 + 1.5 * unit: 1 + 2 * unit, 1 + 0.51 * unit: 1 + unit, 1 + 0.49 * unit: 1.0}
    values = np.array([*cases, *(-case for case in cases)], np.float32)
    expected = np.array([*cases.values(), *(-case for case in cases.values())], np.float32)

    np.testing.assert_array_equal(rounded(values, dtype), expected)
    np.testing.assert_array_equal(rounded(expected, dtype), expected)


@pytest.mark.parametrize("dtype", MANTISSA_BITS)
def test_rounding_is_within_half_a_unit(dtype: str) -> None:
    """Of a million numbers of all sizes none is further from its rounding than half a unit in the last place."""
    random = np.random.default_rng(0)
    values = (random.standard_normal(1_000_000) * 10.0 ** random.integers(-30, 30, 1_000_000)).astype(np.float32)

    error = np.abs(rounded(values, dtype).astype(float) / values - 1)

    assert epsilon(dtype) / 2.1 < error.max() <= epsilon(dtype) / 2


def test_what_is_no_number_stays_what_it_is() -> None:
    """Infinities and NaN; a shape that is not contiguous keeps its shape."""
    values = np.array([[np.inf, -np.inf, np.nan, 0.0], [-0.0, 3.4e38, 1e-40, 1.0]], np.float32)

    found = rounded(values.T, "bfloat16").T

    np.testing.assert_array_equal(found[0], values[0])
    assert found.shape == values.shape
    assert np.isinf(found[1, 1]), "rounds up beyond the largest number"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_precisions_are_not_touched(dtype: str) -> None:
    """The very array comes back, and the array's dtype is the precision's."""
    values = np.arange(3, dtype=dtype)

    assert rounded(values, dtype) is values
    assert array_dtype(dtype) == dtype
    assert epsilon(dtype) == np.finfo(dtype).eps


def test_mixed_precisions_have_float32_arrays() -> None:
    """Weights and images of bfloat16 and TF32 are float32."""
    assert {array_dtype(dtype) for dtype in MANTISSA_BITS} == {"float32"}
