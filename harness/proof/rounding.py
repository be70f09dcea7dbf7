"""What honest arithmetic may be off by: the reference in a backend's precision, in several orders of summation.

How far honest float32 arithmetic may be from the float64 reference is measured on the same weights and batches: the
reference runs in the backend's precision in several orders of summation that are equal in exact arithmetic (hidden
channels and units permuted, images of a batch permuted), and the largest error of these, times a margin, is the
tolerance. Nothing about its size is guessed but the margin.

Some kernels are known to be less exact than their precision allows. Then the reference makes errors of that size in the
same places, and what comes of them, step after step, is measured in the same way.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np

from harness.errors import InputError, unknown
from harness.proof.problem import Problem, relative_error
from harness.spec.network import Conv, Dense, Flatten, Network, Subsample
from harness.spec.precision import PRECISIONS, array_dtype, epsilon
from harness.spec.recipe import Recipe
from harness.worker import catalogue
from harness.worker.quantities import LOSSES, Quantities, blocks, quantities

# Orders of units and images change little in a sum over the pixels of a first layer's output, which oneDNN and the
# reference's BLAS take in very different pieces: gradients of PyTorch and TensorFlow came to 11 times that error.
# Adam divides every gradient by its own size: the rounding error of a small one moves its weight as far as a large
# one would, and the largest error of a few orders says less about the largest of all. Frameworks came to 9.4 times it.
MARGINS = {"sgd": 16.0, "adam": 32.0, "bfloat16": 8.0, "bfloat16 bias": 32.0}
ORDERS = 8
# In bfloat16 the orders differ little, because it is the rounding of a layer's output that counts and not that of its
# sums. What torch, tensorflow, jax and mxnet needed of their error or of LEAST, whichever is larger (default modes,
# lenet5, lenet-gluon and lenet-paddle, real MNIST, seeds 0 to 2): 3.2 times in all but biases, 1 where they round in
# the places where the reference does. The gradient of a bias is a sum over all images and pixels, which JAX and
# TensorFlow make in bfloat16, PyTorch and MXNet in float32: 19 times. From trained weights (lenet5 and lenet-gluon, 200
# steps, seed 0) it was 3.4 and 8.5 times.
# No tolerance is below so many units in the last place: 1 but for this, where it is what one rounding may be off by.
LEAST = {"bfloat16": 0.5}
# Kinds of errors that a backend may declare, and what is said of one.
KINDS = {
    "log_softmax": "the log-softmax of an image is off by up to {:.1e}",
    "adam_rate": "Adam's corrected learning rate is off by up to {:.1e} of itself",
    "batch_mean": "the mean gradient of a batch is off by up to {:.1e} of itself where its size is no power of two",
}
# The largest that may be declared, in epsilons of the precision that the number is in: whoever may declare any error
# passes with any. Known: MXNet's log-softmax, 30 of float32, where a sum of ten exponentials has three roundings; its
# rate for Adam and its one over the batch size, half of one of float32, which is what these are in there whatever the
# precision.
LARGEST = {"log_softmax": 64, "adam_rate": 1, "batch_mean": 1}


def largest(kind: str, dtype: str) -> float:
    """The largest error of a kind of KINDS that a backend may declare in a precision."""
    held = array_dtype(dtype) if kind == "log_softmax" else "float32"
    return LARGEST[kind] * epsilon(held)


def check_declared(backend: str, inexact: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse an INEXACT (see harness/spec/protocol.py) that is no such table, or would excuse more than rounding.

    Raises:
        InputError: what came in, and what is allowed.
    """
    for dtype, errors in inexact.items():
        if dtype not in PRECISIONS:
            raise unknown("precision for INEXACT", dtype, PRECISIONS)
        for kind, size in errors.items():
            if kind not in KINDS:
                raise unknown("kind of error for INEXACT", kind, KINDS)
            most = largest(kind, dtype)
            if not 0 < size <= most:
                raise InputError(
                    f"The backend {backend!r} declares in INEXACT, for {dtype}, that {KINDS[kind].format(size)}. "
                    f"At most {most:.1e} may be declared there, and more than 0: a larger error is a mistake, which "
                    "verification is there to find."
                )


def declared_errors(backend: str, dtype: str, recipe: Recipe) -> tuple[tuple[str, float], ...]:
    """Kinds and sizes of the errors that a backend declares, as far as its recipe has anything to do with them.

    Raises:
        InputError: it declares what nobody may.
    """
    inexact = getattr(catalogue.facts(backend), "INEXACT", {})
    check_declared(backend, inexact)
    declared = inexact.get(dtype, {})
    adam = recipe.optimizer == "adam"
    return tuple((kind, size) for kind, size in sorted(declared.items()) if adam or kind != "adam_rate")


class KnownErrors:
    """Errors of a declared size, for the reference to make: as large as they can be in either direction, then drawn."""

    def __init__(self, bounds: Mapping[str, float], number: int) -> None:
        """Begin.

        Args:
            bounds: kind -> the largest absolute error.
            number: of the order that they are for. Errors of the first are all upwards, of the second all downwards:
                a kernel's errors may have a sign, and then add up from step to step.
        """
        self._bounds = bounds
        self._sign = {0: 1.0, 1: -1.0}.get(number)
        self._random = np.random.default_rng(number)

    def log_softmax(self, images: int) -> np.ndarray:
        """What is added to the logarithm of each image's sum of exponentials, float64 (images, 1)."""
        return self._draw("log_softmax", (images, 1))

    def adam_rate(self) -> float:
        """The share by which a step's learning rate is too large."""
        return float(self._draw("adam_rate", ()))

    def batch_mean(self, images: int) -> float:
        """The share by which the mean gradient of so many images is too large; dividing by powers of two is exact."""
        exact = images & (images - 1) == 0
        return 0.0 if exact else float(self._draw("batch_mean", ()))

    def _draw(self, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        share = self._random.uniform(-1.0, 1.0, shape) if self._sign is None else np.full(shape, self._sign)
        return self._bounds.get(kind, 0.0) * np.asarray(share)


def reference(network: Network, recipe: Recipe, dtype: str, errors: KnownErrors | None = None) -> Any:
    """The NumPy backend, which makes `errors` where a framework is known to make them."""
    backend = importlib.import_module("backends.numpy.backend").Backend
    # One thread: matrices are small, and a second one of OpenBLAS that waits by spinning can take ten times as long.
    made = backend(network=network, recipe=recipe, mode="eager", feed="host", device="cpu", dtype=dtype, threads=1)
    made.errors = errors
    return made


def measure(
    problem: Problem,
    *,
    inexact: Mapping[str, float] = MappingProxyType({}),
    tick: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The tolerance of each of the problem's quantities: largest error over largest value.

    Args:
        inexact: kind of KINDS -> the largest error that the backend's own kernels are known to make.
        tick: called after each of the ORDERS pieces of work.
    """

    def errors_of(number: int) -> dict[str, float]:
        known = KnownErrors(inexact, number) if inexact else None
        found = _in_another_order(reference(problem.network, problem.recipe, problem.dtype, known), problem, number)
        return {name: relative_error(found[name], value) for name, value in problem.expected.items()}

    worst = dict.fromkeys(problem.expected, 0.0)
    # Orders side by side, each in one thread (see `reference`): NumPy lets others go on while it copies and multiplies.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for errors in pool.map(errors_of, range(ORDERS)):
            worst = {name: max(value, errors[name]) for name, value in worst.items()}
            tick()
    least = least_of(problem.dtype)
    return {name: _margin(name, problem) * max(error, least) for name, error in worst.items()}


def least_of(dtype: str) -> float:
    """No error counts for less: a scalar can come out right by luck in every order."""
    return epsilon(dtype) * LEAST.get(dtype, 1.0)


def _margin(quantity: str, problem: Problem) -> float:
    if problem.dtype == "bfloat16":
        return MARGINS["bfloat16 bias" if ".bias" in quantity else "bfloat16"]
    # Before the first update there is nothing of an optimizer in a number.
    return MARGINS[problem.recipe.optimizer if "after" in quantity or quantity == LOSSES else "sgd"]


def _in_another_order(backend: Any, problem: Problem, number: int) -> Quantities:
    """The backend's quantities, computed in another order of summation, put back in place."""
    network, weights, labels = problem.network, problem.weights, problem.labels
    images, rate = problem.images.astype(array_dtype(problem.dtype)), problem.recipe.learning_rate
    random = np.random.default_rng(number)
    axes = unit_orders(network, random)
    shuffled = {name: permute(value, axes[name]) for name, value in weights.items()}
    # The smaller batch is the first of the images: they stay among themselves.
    smaller = blocks(images.shape[1])[0][2]
    rows = np.concatenate([random.permutation(smaller), smaller + random.permutation(images.shape[1] - smaller)])
    found = quantities(backend, shuffled, images=images[:, rows], labels=labels[:, rows], learning_rate=rate)
    outputs = {f"output of {name}": order for name, order in _output_orders(network, axes).items()}
    back = np.argsort(rows)
    for name, value in found.items():
        parameter = name.removeprefix("gradient of ").split(" after ")[0]
        if parameter in axes:
            found[name] = permute(value, [inverse(order) for order in axes[parameter]])
        elif name in outputs:
            found[name] = permute(value, [back, inverse(outputs[name])])
        elif name.startswith("logits"):
            found[name] = value[back]
    return found


def inverse(order: np.ndarray | None) -> np.ndarray | None:
    """The permutation that undoes one; None for none."""
    return None if order is None else np.argsort(order)


def unit_orders(network: Network, random: np.random.Generator) -> dict[str, list[np.ndarray | None]]:
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


def permute(value: np.ndarray, orders: list[np.ndarray | None]) -> np.ndarray:
    """A copy with each of its first axes in the order given for it; None leaves an axis as it is."""
    for axis, order in enumerate(orders):
        if order is not None:
            value = np.take(value, order, axis=axis)
    return np.ascontiguousarray(value)
