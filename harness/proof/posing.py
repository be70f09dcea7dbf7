"""Posing a problem: batches that no rounding can tip, the reference's answer, the tolerances.

The reference is the NumPy backend in float64; `rounding` measures what rounding may do to its answers.

A ReLU or a max pool is not differentiable at a tie: where a float64 value lies within rounding of one, two
right answers differ by more than rounding. So the batches are chosen: of the candidates for each step, the images
whose activations stay farthest from a tie on the reference's own trajectory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.data.sources import Dataset
from harness.proof import rounding
from harness.proof.problem import Problem
from harness.proof.rounding import reference
from harness.spec.network import MaxPool, Network, Relu
from harness.spec.recipe import Recipe
from harness.spec.start import Weights
from harness.worker.batches import prepare
from harness.worker.quantities import RATES, STEPS, blocks, quantities

# A batch, unless the network is large: a large one is verified on smaller batches, in about the same time.
BATCH = 64
SMALL_BATCH = 8
LARGE = 4_000_000
# Images that a batch is chosen from, as a multiple of it.
CANDIDATES = 4
# Pooling windows of a constant background tie exactly, in every order of summation, and harmlessly: their
# inputs are equal, so it does not matter which one receives the gradient.
EXACT_TIE = 1e-12
# PaddlePaddle takes a logit that is more than 64 below the largest for one that is 64 below (docs/frameworks.md): the
# loss of an image is no larger there, while its gradient is right. Images whose losses come near that are not chosen.
LARGEST_LOSS = 60.0


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
    chosen = choose(network, recipe, dataset, weights)
    problem = answer(network, recipe, dataset, weights, chosen, dtype=dtype)
    tick()
    return replace(problem, tolerances=rounding.measure(problem, tick=tick))


def allow_for(problem: Problem, more: Mapping[str, float]) -> Problem:
    """The problem as it is put to a backend whose own kernels are less exact than the precision allows.

    Args:
        more: what `rounding.measure` says with the backend's INEXACT of this precision (see harness/spec/protocol.py).
    """
    return replace(problem, tolerances={name: max(value, more[name]) for name, value in problem.tolerances.items()})


def choose(network: Network, recipe: Recipe, dataset: Dataset, weights: Weights) -> np.ndarray:
    """Which training images each step has: int64 (steps + 1, batch), the last of which are never trained on."""
    network = network.keeping_all()
    exact = reference(network, recipe, "float64")
    exact.load_weights(weights)
    size = BATCH if network.multiply_adds < LARGE else min(BATCH, SMALL_BATCH)
    used = [images for first, behind, images in blocks(size) for _ in range(first, behind)] + [size]
    chosen = []
    for step in range(max(STEPS) + 1):
        part = np.arange(step * CANDIDATES * size, (step + 1) * CANDIDATES * size) % len(dataset.train_labels)
        images, labels = _images(network, dataset, part).astype(float), dataset.train_labels[part]
        distance, logits = tie_distances(network, exact.dump_weights(), images)
        distance[losses_of(logits, labels) > LARGEST_LOSS] = -np.inf
        best = np.sort(np.argsort(-distance, kind="stable")[:size])
        chosen.append(part[best])
        exact.set_learning_rate(recipe.learning_rate * _share(step))
        exact.train_steps([(images[best][: used[step]], labels[best][: used[step]].astype(np.int32))])
    return np.stack(chosen)


def answer(
    network: Network, recipe: Recipe, dataset: Dataset, weights: Weights, chosen: np.ndarray, *, dtype: str
) -> Problem:
    """The problem of these images with the reference's answer, without tolerances yet.

    Args:
        chosen: as `choose` returns.
    """
    kept = network.keeping_all()
    images = _images(kept, dataset, chosen.reshape(-1)).reshape(*chosen.shape, *kept.input_shape)
    labels = dataset.train_labels[chosen].astype(np.int32)
    expected = quantities(
        reference(kept, recipe, "float64"), weights, images=images.astype(float), labels=labels,
        learning_rate=recipe.learning_rate,
    )  # fmt: skip
    return Problem(kept, recipe, dtype, weights, images, labels, expected, {}, network.drops)


def _images(network: Network, dataset: Dataset, part: np.ndarray) -> np.ndarray:
    return prepare(dataset.train_images[part], network.input_shape, "float32")


def losses_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image, (n,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels])


def _share(step: int) -> float:
    """The share of the learning rate that a step (counted from 0) is taken with."""
    return next((share for after, share in reversed(RATES.items()) if step >= after), 1.0)


def tie_distances(network: Network, weights: Weights, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the nearest activation of each image is from a tie, relative to the layer's largest, float64 (n,); and
    the logits, float64 (n, classes)."""
    model = importlib.import_module("backends.numpy.model").Model(network)
    nearest = np.full(len(images), np.inf)
    x = images
    for layer, module in zip(network.layers, model.layers):
        gap = _gaps(layer, x)
        if gap is not None:
            gap = np.where(gap < EXACT_TIE, np.inf, gap).reshape(len(images), -1)
            nearest = np.minimum(nearest, gap.min(axis=1) / np.abs(x).max())
        x = module.forward(x, weights)
    return nearest, x


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
