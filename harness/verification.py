"""Is it the same computation? A backend's numbers against the float64 reference, with tolerances that are measured.

The reference is the NumPy backend in float64. How far honest float32 arithmetic may be from it is measured on
the same weights and batches: the reference runs in the backend's precision in several orders of summation that
are equal in exact arithmetic (hidden channels and units permuted, images of a batch permuted), and the largest
error of these, times a margin, is the tolerance. Nothing about its size is guessed but the margin.

A ReLU or a max pool is not differentiable at a tie: where a float64 value lies within rounding of one, two
right answers differ by more than rounding. So the batches are chosen: of the candidates for each step, the images
whose activations stay farthest from a tie on the reference's own trajectory.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import asynchrony, dropout
from harness.batches import prepare
from harness.data import Dataset
from harness.network import Conv, Dense, Flatten, MaxPool, Network, Relu, Subsample
from harness.precision import array_dtype, epsilon
from harness.quantities import LOSSES, RATES, STEPS, Quantities, blocks, quantities
from harness.recipe import Recipe
from harness.start import Weights

# Orders of units and images change little in a sum over the pixels of a first layer's output, which oneDNN and the
# reference's BLAS take in very different pieces: gradients of PyTorch and TensorFlow came to 11 times that error.
# Adam divides every gradient by its own size: the rounding error of a small one moves its weight as far as a large
# one would, and the largest error of a few orders says less about the largest of all. Frameworks came to 9.4 times it.
MARGINS = {"sgd": 16.0, "adam": 32.0}
ORDERS = 8
# A batch, unless the network is large: a large one is verified on smaller batches, in about the same time.
BATCH = 64
SMALL_BATCH = 8
LARGE = 4_000_000
# Images that a batch is chosen from, as a multiple of it.
CANDIDATES = 4
# Pooling windows of a constant background tie exactly, in every order of summation, and harmlessly: their
# inputs are equal, so it does not matter which one receives the gradient.
EXACT_TIE = 1e-12


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
        images: float32 (steps + 1, batch, c, h, w); the last are never trained on.
        labels: int32 (steps + 1, batch).
        expected: the reference's quantities, in the order of computation.
        tolerances: by quantity.
        drops: whether the network has dropout, whose statistics are then checked too.
    """

    weights: Weights
    images: np.ndarray
    labels: np.ndarray
    expected: Quantities
    tolerances: dict[str, float]
    drops: bool = False

    def check(self, found: Quantities, *, allowance: float = 1.0) -> list[Check]:
        """Compare a backend's quantities with the reference's, in the order of computation, then its times.

        Args:
            found: what `harness.quantities.write_quantities` wrote.
            allowance: the backend's ROUNDING factor (see harness/protocol.py).
        """
        numbers = [
            Check(name, relative_error(found.get(name), value), allowance * self.tolerances[name])
            for name, value in self.expected.items()
        ]
        # Rounding is no excuse here. What was not measured is NaN, which does not pass.
        if self.drops:
            numbers += [
                Check(name, float(found.get(name, np.nan)), dropout.TOLERANCES[name]) for name in dropout.TOLERANCES
            ]
        times = [Check(name, error, asynchrony.TOLERANCES[name]) for name, error in asynchrony.errors(found).items()]
        return numbers + times


def relative_error(found: np.ndarray | None, expected: np.ndarray) -> float:
    """Largest absolute error over the largest absolute value; NaN where it is missing, misshapen or not finite."""
    if found is None or found.shape != expected.shape or not np.isfinite(found).all():
        return float("nan")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def pose(
    network: Network,
    recipe: Recipe,
    dataset: Dataset,
    weights: Weights,
    *,
    dtype: str = "float32",
    tick: Callable[[], None] = lambda: None,
) -> Problem:
    """Choose the batches, compute the reference, measure the tolerances.

    Args:
        dtype: the precision of the backend that will be checked.
        tick: called after each of the ORDERS + 1 pieces of work.
    """
    drops, network = network.drops, network.keeping_all()
    images, labels = _choose_batches(network, recipe, dataset, weights)
    arrays, rate = array_dtype(dtype), recipe.learning_rate
    expected = quantities(
        _reference(network, recipe, "float64"), weights, images=images.astype(float), labels=labels, learning_rate=rate
    )
    tick()
    worst = dict.fromkeys(expected, 0.0)
    for number in range(ORDERS):
        backend = _reference(network, recipe, dtype)
        found = _in_another_order(backend, network, weights, images.astype(arrays), labels, number, rate)
        for name, value in expected.items():
            worst[name] = max(worst[name], relative_error(found[name], value))
        tick()
    # A scalar can come out right by luck in every order: no tolerance is below one unit in the last place.
    least = epsilon(dtype)
    # Before the first update there is nothing of an optimizer in a number.
    margin = {name: MARGINS[recipe.optimizer if "after" in name or name == LOSSES else "sgd"] for name in expected}
    tolerances = {name: margin[name] * max(error, least) for name, error in worst.items()}
    return Problem(weights, images, labels, expected, tolerances, drops)


def _reference(network: Network, recipe: Recipe, dtype: str) -> Any:
    backend = importlib.import_module("backends.numpy.backend").Backend
    # One thread: matrices are small, and a second one of OpenBLAS that waits by spinning can take ten times as long.
    return backend(network=network, recipe=recipe, mode="eager", feed="host", device="cpu", dtype=dtype, threads=1)


def _choose_batches(
    network: Network, recipe: Recipe, dataset: Dataset, weights: Weights
) -> tuple[np.ndarray, np.ndarray]:
    reference = _reference(network, recipe, "float64")
    reference.load_weights(weights)
    size = BATCH if network.multiply_adds < LARGE else min(BATCH, SMALL_BATCH)
    used = [images for first, behind, images in blocks(size) for _ in range(first, behind)] + [size]
    batches = []
    for step in range(max(STEPS) + 1):
        part = np.arange(step * CANDIDATES * size, (step + 1) * CANDIDATES * size) % len(dataset.train_labels)
        images = prepare(dataset.train_images[part], network.input_shape, "float32")
        labels = dataset.train_labels[part].astype(np.int32)
        distance = tie_distance(network, reference.dump_weights(), images.astype(float))
        chosen = np.sort(np.argsort(-distance, kind="stable")[:size])
        batches.append((images[chosen], labels[chosen]))
        reference.set_learning_rate(recipe.learning_rate * _share(step))
        reference.train_steps([(images[chosen][: used[step]].astype(float), labels[chosen][: used[step]])])
    return np.stack([images for images, _ in batches]), np.stack([labels for _, labels in batches])


def _share(step: int) -> float:
    """The share of the learning rate that a step (counted from 0) is taken with."""
    return next((share for after, share in reversed(RATES.items()) if step >= after), 1.0)


def tie_distance(network: Network, weights: Weights, images: np.ndarray) -> np.ndarray:
    """How far the nearest activation of each image is from a tie, relative to the layer's largest; float64 (n,)."""
    model = importlib.import_module("backends.numpy.model").Model(network)
    nearest = np.full(len(images), np.inf)
    x = images
    for layer, module in zip(network.layers, model.layers):
        gap = _gaps(layer, x)
        if gap is not None:
            gap = np.where(gap < EXACT_TIE, np.inf, gap).reshape(len(images), -1)
            nearest = np.minimum(nearest, gap.min(axis=1) / np.abs(x).max())
        x = module.forward(x, weights)
    return nearest


def _gaps(layer: Any, x: np.ndarray) -> np.ndarray | None:
    if isinstance(layer, Relu):
        return np.abs(x)
    if isinstance(layer, MaxPool):
        n, c, h, w = x.shape
        size = layer.size
        windows = x[:, :, : h // size * size, : w // size * size].reshape(n, c, h // size, size, w // size, size)
        ordered = np.sort(windows.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // size, w // size, -1), axis=-1)
        return ordered[..., -1] - ordered[..., -2]
    return None


def _in_another_order(
    backend: Any, network: Network, weights: Weights, images: np.ndarray, labels: np.ndarray, number: int, rate: float
) -> Quantities:
    """The backend's quantities, computed in another order of summation, put back in place."""
    random = np.random.default_rng(number)
    axes = _unit_orders(network, random)
    shuffled = {name: _permute(value, axes[name]) for name, value in weights.items()}
    # The smaller batch is the first of the images: they stay among themselves.
    smaller = blocks(images.shape[1])[0][2]
    rows = np.concatenate([random.permutation(smaller), smaller + random.permutation(images.shape[1] - smaller)])
    found = quantities(backend, shuffled, images=images[:, rows], labels=labels[:, rows], learning_rate=rate)
    outputs = {f"output of {name}": order for name, order in _output_orders(network, axes).items()}
    back = np.argsort(rows)
    for name, value in found.items():
        parameter = name.removeprefix("gradient of ").split(" after ")[0]
        if parameter in axes:
            found[name] = _permute(value, [_inverse(order) for order in axes[parameter]])
        elif name in outputs:
            found[name] = _permute(value, [back, _inverse(outputs[name])])
        elif name.startswith("logits"):
            found[name] = value[back]
    return found


def _inverse(order: np.ndarray | None) -> np.ndarray | None:
    return None if order is None else np.argsort(order)


def _unit_orders(network: Network, random: np.random.Generator) -> dict[str, list[np.ndarray | None]]:
    """For every parameter, a permutation of its output axis and the matching one of its input axis.

    The logits keep their order, because labels are classes; and so do the channels around a sparse convolution, whose
    connections are by number.
    """
    axes: dict[str, list[np.ndarray | None]] = {}
    incoming: np.ndarray | None = None
    weighted = [row.layer for row in network.summary() if isinstance(row.layer, Conv | Dense)]
    for row in network.summary():
        layer = row.layer
        if isinstance(layer, Flatten):
            incoming = _flattened(incoming, row.input_shape)
        elif isinstance(layer, Subsample):
            axes |= {f"{layer.name}.weight": [incoming], f"{layer.name}.bias": [incoming]}
        elif isinstance(layer, Conv | Dense):
            place = weighted.index(layer)
            fixed = layer is weighted[-1] or any(
                getattr(each, "connections", ()) for each in weighted[place : place + 2]
            )
            count = layer.channels if isinstance(layer, Conv) else layer.units
            outgoing = None if fixed else random.permutation(count)
            axes |= {f"{layer.name}.weight": [outgoing, incoming], f"{layer.name}.bias": [outgoing]}
            incoming = outgoing
    return axes


def _output_orders(network: Network, axes: dict[str, list[np.ndarray | None]]) -> dict[str, np.ndarray | None]:
    """The permutation of the channels or units that each layer puts out."""
    orders: dict[str, np.ndarray | None] = {}
    order: np.ndarray | None = None
    for row in network.summary():
        if isinstance(row.layer, Flatten):
            order = _flattened(order, row.input_shape)
        elif f"{row.layer.name}.bias" in axes:
            order = axes[f"{row.layer.name}.bias"][0]
        orders[row.layer.name] = order
    return orders


def _flattened(order: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """The permutation of values that Flatten makes of one of channels."""
    if order is None:
        return None
    return np.arange(math.prod(shape)).reshape(shape[0], -1)[order].reshape(-1)


def _permute(value: np.ndarray, orders: list[np.ndarray | None]) -> np.ndarray:
    for axis, order in enumerate(orders):
        if order is not None:
            value = np.take(value, order, axis=axis)
    return np.ascontiguousarray(value)
