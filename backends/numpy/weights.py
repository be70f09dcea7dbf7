"""Canonical weights are NumPy's own: same names, same axes."""

from __future__ import annotations

import numpy as np


def to_native(weights: dict[str, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Copy canonical weights into the backend's dtype."""
    return {name: np.array(value, dtype) for name, value in weights.items()}


def to_canonical(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copy native weights."""
    return {name: value.copy() for name, value in parameters.items()}
