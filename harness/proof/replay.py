"""Doing a training over: what so many steps from known weights must come to, and what rounding may change of it.

The reference does them in float64, and in the backend's own precision in two other orders of summation, whose larger
error, times a margin, is the tolerance (as in `harness.proof.rounding`, where images are chosen as well; here they are
whatever was drawn).

An image that was not chosen may have an activation within rounding of a tie, of a ReLU or a maximum. Right arithmetic
may fall to either side of it, and what follows is another training: of 40 turns of LeNet-5 in float32, batch 64, two
left the tolerance that way, of 200 with batch 8 two, by up to a sixth of a parameter's movement. So who is not within
the tolerance is looked at again: the reference starts from weights that are shaken by a few roundings, again and again,
and falls to either side of the very same ties.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np

from harness.proof.problem import relative_error
from harness.proof.rounding import MARGINS, KnownErrors, inverse, least_of, permute, reference, unit_orders
from harness.spec.network import Network
from harness.spec.precision import array_dtype, epsilon
from harness.spec.recipe import Recipe
from harness.spec.start import Weights

Batch = tuple[np.ndarray, np.ndarray]
Errors = dict[str, float]
LOSSES = "losses"
ORDERS = 2
MARGIN = 32.0
# Of a parameter's whole movement this much is always allowed but in float64. 135 turns of LeNet-5 in the five
# frameworks, float32, needed 3.5e-6.
TIES = 1e-4
# How often at most weights are shaken for a second look, by how many epsilons of the precision each at the most, and
# the margin on the largest error then. Shaken by 4 or 16, right float32 was off by 0.2 to 1.1 times the largest of 12
# in the four turns named above. bfloat16 tips ties in every order: it is shaken by what rounding a weight does.
SHAKES, SHAKEN_BY, SHAKEN_MARGIN = 16, {"bfloat16": 0.5}, 4.0
AT_ONCE = 4
USUALLY_SHAKEN_BY = 8.0


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
class Training:
    """What is done over.

    Attributes:
        network: without dropout.
        start: the weights before the first step.
        batches: images in the data's own float32, labels int32.
        dtype: the backend's precision.
        inexact: as `harness.proof.rounding.measure`.
    """

    network: Network
    recipe: Recipe
    start: Weights
    batches: Sequence[Batch]
    dtype: str
    inexact: Mapping[str, float]


class Replay:
    """A training that was done over.

    Attributes:
        expected: by the reference in float64.
        losses: what rounding may do to each step's loss, float64 (steps,), never less than to one before it.
        weights: what it may do to each parameter, as a share of its movement.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        dtype = training.dtype
        self.expected, *others = _side_by_side(
            [lambda: _train(training, "float64"), *(partial(_in_another_order, training, n) for n in range(ORDERS))]
        )
        floor = MARGIN * epsilon(dtype)
        self.losses = np.full(len(training.batches), floor * np.abs(self.expected.losses).max())
        self.weights = dict.fromkeys(training.start, floor if dtype == "float64" else max(floor, TIES))
        self._looks = 0
        self._allow_for(others, MARGIN)

    def shares(self, found: Steps, *, patient: bool = True) -> Errors:
        """Errors over what rounding may do, by LOSSES and the names of the weights: above 1, or not a number, is what
        it cannot. A weight's error is a root mean square, over that of the movement of its parameter, so that a step
        that was not taken shows, however small it is.

        Args:
            patient: whether who is not within is looked at again, which takes up to SHAKES trainings. Not worth them is
                who is wrong elsewhere already.
        """
        shares = self._shares(found)
        while patient and self._looks < SHAKES and any(share > 1 for share in shares.values()):
            numbers = range(self._looks, self._looks + AT_ONCE)
            self._looks += AT_ONCE
            looks = [partial(_in_another_order, self.training, number, shaken=True) for number in numbers]
            self._allow_for(_side_by_side(looks), SHAKEN_MARGIN)
            shares = self._shares(found)
        return shares

    def _shares(self, found: Steps) -> Errors:
        shares = {LOSSES: float("nan")}
        if found.losses.shape == self.losses.shape:
            shares[LOSSES] = float(np.max(np.abs(found.losses - self.expected.losses) / self.losses))
        moved = _movements(found, self.expected, self.training.start)
        return shares | {name: moved[name] / self.weights[name] for name in self.weights}

    def _allow_for(self, others: Sequence[Steps], margin: float) -> None:
        """Allow for what right arithmetic came to elsewhere, and so much more."""
        off = np.max([np.abs(each.losses - self.expected.losses) for each in others], axis=0)
        self.losses = np.maximum(self.losses, margin * np.maximum.accumulate(off))
        for moved in (_movements(each, self.expected, self.training.start) for each in others):
            self.weights = {name: max(value, margin * moved[name]) for name, value in self.weights.items()}


def replay(
    network: Network,
    recipe: Recipe,
    start: Weights,
    batches: Sequence[Batch],
    *,
    dtype: str,
    inexact: Mapping[str, float] = MappingProxyType({}),
) -> Replay:
    """Do a training over; arguments as the attributes of `Training`."""
    return Replay(Training(network, recipe, start, batches, dtype, inexact))


def _side_by_side(trainings: Sequence[Callable[[], Steps]]) -> list[Steps]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda train: train(), trainings))


def infer(
    network: Network, recipe: Recipe, weights: Weights, images: np.ndarray, *, dtype: str
) -> tuple[np.ndarray, float]:
    """The logits of images by the reference in float64, and what rounding may do to them, over the largest.

    Args:
        images: in the data's own float32.
        dtype: the backend's precision.
    """

    def logits(number: int) -> np.ndarray:
        precision, mine = ("float64", weights) if number < 0 else (dtype, _shuffled(network, weights, number))
        backend = reference(network, recipe, precision)
        backend.load_weights(mine)
        return np.asarray(backend.logits(images.astype(array_dtype(precision))), np.float64)

    expected = logits(-1)
    worst = max(relative_error(logits(number), expected) for number in range(ORDERS))
    return expected, MARGINS.get(dtype, MARGIN) * max(worst, least_of(dtype))


def _shuffled(network: Network, weights: Weights, number: int) -> Weights:
    """The weights with units in another order; logits keep theirs, because labels are classes."""
    axes = unit_orders(network, np.random.default_rng(number))
    return {name: permute(value, axes[name]) for name, value in weights.items()}


def _train(training: Training, dtype: str, known: KnownErrors | None = None) -> Steps:
    backend = reference(training.network, training.recipe, dtype, known)
    backend.load_weights(training.start)
    losses = backend.train_steps([(images.astype(array_dtype(dtype)), labels) for images, labels in training.batches])
    return Steps(np.asarray(losses, np.float64), backend.dump_weights())


def _in_another_order(training: Training, number: int, *, shaken: bool = False) -> Steps:
    """The steps in the backend's precision, with units and images in another order, put back in place."""
    random = np.random.default_rng(number)
    axes = unit_orders(training.network, random)
    rows = [random.permutation(len(labels)) for _, labels in training.batches]
    start = _shaken(training, random) if shaken else training.start
    other = replace(
        training,
        start={name: permute(value, axes[name]) for name, value in start.items()},
        batches=[(images[row], labels[row]) for row, (images, labels) in zip(rows, training.batches)],
    )
    found = _train(other, training.dtype, KnownErrors(training.inexact, number) if training.inexact else None)
    back = {name: [inverse(order) for order in orders] for name, orders in axes.items()}
    return Steps(found.losses, {name: permute(value, back[name]) for name, value in found.weights.items()})


def _shaken(training: Training, random: np.random.Generator) -> Weights:
    by = SHAKEN_BY.get(training.dtype, USUALLY_SHAKEN_BY) * epsilon(training.dtype)
    return {name: value * (1 + by * random.uniform(-1, 1, value.shape)) for name, value in training.start.items()}


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
