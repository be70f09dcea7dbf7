"""Doing a training over: what so many steps from known weights must come to, and what rounding may change of it.

The reference does them in float64, and in the backend's own precision in two other orders of summation, whose larger
error, times a margin, is the tolerance (as in `harness.proof.rounding`, where images are chosen as well; here they are
whatever was drawn).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from harness.proof.rounding import KnownErrors, inverse, permute, reference, unit_orders
from harness.spec.network import Network
from harness.spec.precision import array_dtype, epsilon
from harness.spec.recipe import Recipe
from harness.spec.start import Weights

Batch = tuple[np.ndarray, np.ndarray]
Errors = dict[str, float]
LOSSES = "losses"
ORDERS = 2
MARGIN = 32.0
# An activation within rounding of a tie may fall to either side: then one image's part in the gradient of one unit is
# another. Of the whole movement of a parameter, that is no more than this.
TIES = 1e-4


@dataclass(frozen=True)
class Steps:
    """What came of steps of training.

    Attributes:
        losses: (steps,), each before its update.
        weights: canonical, behind the last.
    """

    losses: np.ndarray
    weights: Weights


@dataclass(frozen=True)
class Replay:
    """A training that was done over.

    Attributes:
        start: the weights before its first step.
        expected: by the reference in float64.
        losses: what rounding may do to each step's loss, float64 (steps,), never less than to one before it.
        weights: what it may do to each parameter, as a share of its movement.
    """

    start: Weights
    expected: Steps
    losses: np.ndarray
    weights: Errors

    def shares(self, found: Steps) -> Errors:
        """Errors over what rounding may do, by LOSSES and the names of the weights: above 1, or not a number, is what
        it cannot. A weight's error is a root mean square, over that of the movement of its parameter, so that a step
        that was not taken shows, however small it is."""
        shares = {LOSSES: float("nan")}
        if found.losses.shape == self.losses.shape:
            shares[LOSSES] = float(np.max(np.abs(found.losses - self.expected.losses) / self.losses))
        moved = _movements(found, self.expected, self.start)
        return shares | {name: moved[name] / self.weights[name] for name in self.weights}


def replay(
    network: Network,
    recipe: Recipe,
    start: Weights,
    batches: Sequence[Batch],
    *,
    dtype: str,
    inexact: Mapping[str, float] = MappingProxyType({}),
) -> Replay:
    """Do a training over.

    Args:
        network: without dropout.
        batches: images in the data's own float32, labels int32.
        dtype: the backend's precision.
        inexact: as `harness.proof.rounding.measure`.
    """

    def train(number: int) -> Steps:
        if number < 0:
            return _train(network, recipe, start, batches, dtype="float64")
        known = KnownErrors(inexact, number) if inexact else None
        return _in_another_order(network, recipe, start, batches, dtype=dtype, number=number, known=known)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        expected, *others = pool.map(train, range(-1, ORDERS))
    off = np.max([np.abs(each.losses - expected.losses) for each in others], axis=0)
    losses = MARGIN * np.maximum(np.maximum.accumulate(off), epsilon(dtype) * np.abs(expected.losses).max())
    moved = [_movements(each, expected, start) for each in others]
    floor = MARGIN * epsilon(dtype) if dtype == "float64" else max(MARGIN * epsilon(dtype), TIES)
    weights = {name: max(floor, *(MARGIN * each[name] for each in moved)) for name in moved[0]}
    return Replay(start, expected, losses, weights)


def _train(
    network: Network,
    recipe: Recipe,
    start: Weights,
    batches: Sequence[Batch],
    *,
    dtype: str,
    known: KnownErrors | None = None,
) -> Steps:
    backend = reference(network, recipe, dtype, known)
    backend.load_weights(start)
    losses = backend.train_steps([(images.astype(array_dtype(dtype)), labels) for images, labels in batches])
    return Steps(np.asarray(losses, np.float64), backend.dump_weights())


def _in_another_order(
    network: Network,
    recipe: Recipe,
    start: Weights,
    batches: Sequence[Batch],
    *,
    dtype: str,
    number: int,
    known: KnownErrors | None,
) -> Steps:
    random = np.random.default_rng(number)
    axes = unit_orders(network, random)
    shuffled = {name: permute(value, axes[name]) for name, value in start.items()}
    rows = [random.permutation(len(labels)) for _, labels in batches]
    found = _train(
        network, recipe, shuffled, [(images[row], labels[row]) for row, (images, labels) in zip(rows, batches)],
        dtype=dtype, known=known,
    )  # fmt: skip
    back = {name: [inverse(order) for order in orders] for name, orders in axes.items()}
    return Steps(found.losses, {name: permute(value, back[name]) for name, value in found.weights.items()})


def _movements(found: Steps, expected: Steps, start: Weights) -> Errors:
    """By parameter, the root mean square of its error over that of its movement; NaN where it cannot be compared."""
    errors = {}
    for name, value in expected.weights.items():
        mine = found.weights.get(name)
        fits = mine is not None and mine.shape == value.shape
        errors[name] = _share_of_movement(mine, value, start[name]) if fits else float("nan")
    return errors


def _share_of_movement(found: np.ndarray | None, expected: np.ndarray, start: np.ndarray) -> float:
    off = float(np.sqrt(np.mean(np.square(np.asarray(found, np.float64) - expected))))
    moved = float(np.sqrt(np.mean(np.square(expected - start))))
    if not moved:
        return 0.0 if off == 0 else float("inf")
    return off / moved
