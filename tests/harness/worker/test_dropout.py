"""Dropout is held to its distribution in training, and to nothing at all in inference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend
from harness.spec.networks import get_network
from harness.worker import dropout

OPTIONS = {"mode": "eager", "feed": "host", "device": "cpu", "dtype": "float32", "threads": 1}


def errors(keep: float, change: Any = lambda layer: None) -> dict[str, float]:
    """Measure the NumPy backend, its dropout layer changed."""

    def build(network: Any, recipe: Any) -> Backend:
        backend = Backend(network=network, recipe=recipe, **OPTIONS)
        change(backend._model.layers[1])
        return backend

    return {name: float(value) for name, value in dropout.measure(build, keep=keep, dtype="float32").items()}


@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_right_dropout_passes(keep: float) -> None:
    """The reference is within five standard errors, and exact in inference."""
    found = errors(keep)

    assert all(found[name] <= tolerance for name, tolerance in dropout.TOLERANCES.items())


def _drop_always(layer: Any) -> None:
    right = layer.forward

    def forward(x: np.ndarray, parameters: Any) -> np.ndarray:
        layer.training = True
        return right(x, parameters)

    layer.forward = forward


def _unscaled(layer: Any) -> None:
    right = layer.forward
    layer.forward = lambda x, parameters: right(x, parameters) * np.float32(layer.layer.keep if layer.training else 1)


def _never(layer: Any) -> None:
    layer.factor = np.float32(1)
    layer.forward = lambda x, parameters: x


def _exchanged(layer: Any) -> None:
    object.__setattr__(layer.layer, "keep", 1 - layer.layer.keep)


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (_drop_always, {dropout.INFERENCE}),
        (_unscaled, {dropout.MEAN}),
        (_exchanged, {dropout.SPREAD}),
        (_never, {dropout.SPREAD}),
    ],
    ids=["in inference", "not scaled", "keep and drop exchanged", "never"],
)
def test_wrong_dropout_fails(change: Any, failing: set[str]) -> None:
    """Dropping in inference, not dividing by keep, dropping what should be kept, and dropping nothing are found."""
    found = errors(0.7, change)

    assert failing <= {name for name, tolerance in dropout.TOLERANCES.items() if not found[name] <= tolerance}


def test_expected_is_a_binomial_sum() -> None:
    """Mean and spread agree with a simulation to within its error."""
    kept = np.random.default_rng(0).binomial(256, 0.5, 200_000) / 128
    losses = np.log1p(np.exp(-kept))

    mean, spread = dropout.expected(0.5)

    assert mean == pytest.approx(losses.mean(), abs=5 * spread / math.sqrt(len(losses)))
    assert spread == pytest.approx(losses.std(), rel=0.01)


def test_keep_of_a_network() -> None:
    """The TensorFlow 1 network keeps half; without its dropout, and in LeNet, there is none."""
    convnet = get_network("convnet-tf1")

    assert dropout.keep_of(convnet) == 0.5
    assert dropout.keep_of(convnet.keeping_all()) is None
    assert dropout.keep_of(get_network("lenet5")) is None
