"""What a backend is asked to compute, what the reference answers, and how far from that rounding may lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.spec.network import Network
from harness.spec.recipe import Recipe
from harness.spec.start import Weights
from harness.worker import asynchrony, dropout
from harness.worker.quantities import Quantities


@dataclass(frozen=True)
class Check:
    """One quantity: largest error over largest value, and what rounding allows; or what a busy machine allows."""

    quantity: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """A NaN does not pass."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Problem:
    """What every backend is asked to compute, with the reference's answer and the tolerances.

    Attributes:
        network: without its dropout, which is checked by its statistics.
        dtype: the precision of the backends that it is for.
        images: float32 (steps + 1, batch, c, h, w); the last are never trained on.
        labels: int32 (steps + 1, batch).
        expected: the reference's quantities, in the order of computation.
        tolerances: by quantity.
        drops: whether the network has dropout, whose statistics are then checked too.
    """

    network: Network
    recipe: Recipe
    dtype: str
    weights: Weights
    images: np.ndarray
    labels: np.ndarray
    expected: Quantities
    tolerances: dict[str, float]
    drops: bool

    def check(self, found: Quantities, trials: Sequence[Check] = ()) -> list[Check]:
        """Compare a backend's quantities with the reference's, in the order of computation, then its times.

        Args:
            found: what `harness.worker.quantities.write_quantities` wrote.
            trials: the checks of its trials, which come before the times.
        """
        numbers = [
            Check(name, relative_error(found.get(name), value), self.tolerances[name])
            for name, value in self.expected.items()
        ]
        # Rounding is no excuse here. What was not measured is NaN, which does not pass.
        if self.drops:
            numbers += [
                Check(name, float(found.get(name, np.nan)), dropout.TOLERANCES[name]) for name in dropout.TOLERANCES
            ]
        times = [Check(name, error, asynchrony.TOLERANCES[name]) for name, error in asynchrony.errors(found).items()]
        return [*numbers, *trials, *times]


def relative_error(found: np.ndarray | None, expected: np.ndarray) -> float:
    """Largest absolute error over the largest absolute value; NaN where it is missing, misshapen or not finite."""
    if found is None or found.shape != expected.shape or not np.isfinite(found).all():
        return float("nan")
    return float(np.abs(found - expected).max() / np.abs(expected).max())
