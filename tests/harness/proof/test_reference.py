"""The NumPy backend is the reference, so it is tested against finite differences and against plain loops."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from itertools import product
from typing import get_args

import numpy as np
import pytest

from backends.numpy.backend import Backend
from backends.numpy.model import MaxPoolLayer, Model, ReluLayer, cross_entropy
from harness.spec.network import (
    AveragePool,
    Conv,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Network,
    Relu,
    Sigmoid,
    Subsample,
    Tanh,
)
from harness.spec.networks import NETWORKS as ALL
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights

LENET = get_network("lenet5")
# Padding, odd sizes that pooling cuts, and several input channels: what lenet5 does not have.
OTHER = Network(
    name="other",
    input_shape=(3, 13, 11),
    layers=(
        Conv("conv1", 4, 3, padding=1),
        Relu("relu1"),
        MaxPool("pool1"),
        Conv("conv2", 5, 3, padding=2),
        MaxPool("pool2", 3),
        Flatten("flatten"),
        Dense("dense1", 7),
    ),
    classes=7,
    source="this test",
)
EVERY = [*ALL.values(), OTHER]
NETWORKS = pytest.mark.parametrize("network", EVERY, ids=lambda network: network.name)


def make(network: Network, **changes) -> Backend:
    options = {"mode": "eager", "feed": "host", "device": "cpu", "dtype": "float64", "threads": 1}
    backend = Backend(network=network, recipe=LENET5, **(options | changes))
    backend.load_weights(initial_weights(network, seed=3))
    return backend


def draw(network: Network, count: int):
    random = np.random.default_rng(11)
    return random.random((count, *network.input_shape)), random.integers(0, network.classes, count).astype(np.int32)


@NETWORKS
def test_gradients_are_finite_differences(network: Network) -> None:
    """Every parameter's gradient is the central difference of the loss, at up to 40 places of each."""
    # With dropout the loss is another one each time.
    network = network.keeping_all()
    # Two images: a mean over them is no sum.
    backend, batch = make(network), draw(network, 2)
    gradients = backend.gradients(batch)
    weights = backend.dump_weights()
    random = np.random.default_rng(0)
    step = 1e-6

    assert set(gradients) == set(weights)
    for name, value in weights.items():
        places = random.choice(value.size, size=min(40, value.size), replace=False)
        for place in places:
            losses = []
            for sign in (1, -1):
                # In its place: to load all weights again takes longer than the loss of a few images.
                backend._parameters[name].ravel()[place] = value.ravel()[place] + sign * step
                losses.append(float(backend.loss(batch)))
            backend._parameters[name].ravel()[place] = value.ravel()[place]
            difference = (losses[0] - losses[1]) / (2 * step)
            # Rounding of the loss allows 1e-16 / 1e-6; curvature adds 1e-12.
            assert gradients[name].ravel()[place] == pytest.approx(difference, abs=2e-9), (name, place)


@NETWORKS
def test_gradients_agree_along_a_direction(network: Network) -> None:
    """All gradients at once: the slope along a random direction is the central difference."""
    network = network.keeping_all()
    backend, batch = make(network), draw(network, 5)
    gradients, weights = backend.gradients(batch), backend.dump_weights()
    random = np.random.default_rng(1)
    direction = {name: random.standard_normal(value.shape) for name, value in weights.items()}
    losses = []
    for step in (1e-7, -1e-7):
        backend.load_weights({name: value + step * direction[name] for name, value in weights.items()})
        losses.append(float(backend.loss(batch)))

    slope = sum(float((gradients[name] * direction[name]).sum()) for name in weights)
    assert (losses[0] - losses[1]) / 2e-7 == pytest.approx(slope, rel=1e-6)


def naive_logits(network: Network, weights: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """One image through the network in loops that follow the definitions; an independent oracle."""
    x = image
    for layer in network.layers:
        if isinstance(layer, Conv):
            x = naive_conv(x, weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"], layer.padding)
        elif isinstance(layer, MaxPool | AveragePool | Subsample):
            x = naive_pool(x, layer.size, max if isinstance(layer, MaxPool) else statistics.fmean)
            if isinstance(layer, Subsample):
                coefficient, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
                x = np.array([a * each + b for each, a, b in zip(x, coefficient, bias)])
        elif isinstance(layer, Relu | Sigmoid | Tanh):
            x = np.array([naive_activation(layer, value) for value in x.ravel()]).reshape(x.shape)
        elif isinstance(layer, Flatten):
            x = np.array([x[c, i, j] for c, i, j in product(*map(range, x.shape))])
        elif isinstance(layer, Dense):
            matrix, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
            x = np.array([math.fsum(row * x) + b for row, b in zip(matrix, bias)])
    return x


def naive_pool(x: np.ndarray, size: int, reduce: Callable[[list[float]], float]) -> np.ndarray:
    y = np.zeros((x.shape[0], x.shape[1] // size, x.shape[2] // size))
    for c, i, j in product(*map(range, y.shape)):
        y[c, i, j] = reduce([x[c, i * size + a, j * size + b] for a in range(size) for b in range(size)])
    return y


def naive_activation(layer: Relu | Sigmoid | Tanh, value: float) -> float:
    if isinstance(layer, Relu):
        return max(value, 0.0)
    if isinstance(layer, Sigmoid):
        return 1 / (1 + math.exp(-value))
    return layer.amplitude * math.tanh(layer.slope * value)


def naive_conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, padding: int) -> np.ndarray:
    out, inputs, k, _ = weight.shape
    height, width = x.shape[1] + 2 * padding - k + 1, x.shape[2] + 2 * padding - k + 1
    y = np.zeros((out, height, width))
    for o, i, j in product(range(out), range(height), range(width)):
        total = bias[o]
        for c, a, b in product(range(inputs), range(k), range(k)):
            row, column = i + a - padding, j + b - padding
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                total += weight[o, c, a, b] * x[c, row, column]
        y[o, i, j] = total
    return y


@pytest.mark.parametrize(
    # Loops would take a quarter of a minute for the TensorFlow 1 network, which has no kind of layer of its own but
    # dropout, and this does nothing in inference.
    "network",
    [network for network in EVERY if not network.drops],
    ids=lambda network: network.name,
)
def test_forward_is_what_loops_compute(network: Network) -> None:
    """Logits of the vectorised forward pass are those of loops written from the definitions."""
    backend = make(network)
    images, _ = draw(network, 1)

    expected = naive_logits(network, backend.dump_weights(), images[0])

    np.testing.assert_allclose(backend.logits(images)[0], expected, rtol=1e-12, atol=1e-14)


def test_images_do_not_mix() -> None:
    """Logits of an image do not depend on the other images of its batch."""
    backend = make(OTHER)
    images, _ = draw(OTHER, 4)

    together = backend.logits(images)

    for number in range(4):
        np.testing.assert_allclose(backend.logits(images[number : number + 1])[0], together[number], rtol=1e-12)


def test_tie_goes_to_the_first_maximum() -> None:
    """Where a window has equal maxima, row by row the first one receives the whole gradient."""
    pool = MaxPoolLayer(MaxPool("pool"))
    x = np.array([[1.0, 2, 5, 5, 9], [2, 2, 5, 5, 9], [0, 3, 1, 0, 9], [3, 3, 4, 4, 9], [9, 9, 9, 9, 9]])

    y = pool.forward(x[None, None], {})
    dx = pool.backward(np.array([[[[10.0, 20], [30, 40]]]]), {}, {})

    np.testing.assert_array_equal(y[0, 0], [[2, 5], [3, 4]])
    expected = [[0, 10, 20, 0, 0], [0, 0, 0, 0, 0], [0, 30, 0, 0, 0], [0, 0, 40, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(dx[0, 0], expected)


def test_relu_has_no_slope_at_zero() -> None:
    """At exactly zero nothing flows back."""
    relu = ReluLayer(Relu("relu"))
    relu.forward(np.array([[-1.0, 0.0, 2.0]]), {})

    np.testing.assert_array_equal(relu.backward(np.array([[5.0, 6.0, 7.0]]), {}, {}), [[0, 0, 7]])


def test_cross_entropy_is_a_mean_and_stable() -> None:
    """The loss is the mean over the batch, and logits of a thousand overflow nothing."""
    logits = np.array([[0.0, math.log(3.0)], [1000.0, 0.0]])

    loss, gradient = cross_entropy(logits, np.array([1, 0], np.int32))

    assert loss == pytest.approx(-math.log(0.75) / 2)
    np.testing.assert_allclose(gradient, [[0.125, -0.125], [0, 0]], atol=1e-15)


def test_steps_follow_the_recipe() -> None:
    """v <- momentum v + g, w <- w - learning rate v, with a learning rate that changes between steps."""
    backend, batch = make(OTHER), draw(OTHER, 6)
    weights = backend.dump_weights()
    velocity = {name: np.zeros_like(value) for name, value in weights.items()}
    rates = (LENET5.learning_rate, LENET5.learning_rate, 0.01)
    oracle = make(OTHER)
    for rate in rates:
        oracle.load_weights(weights)
        for name, gradient in oracle.gradients(batch).items():
            velocity[name] = LENET5.momentum * velocity[name] + gradient
            weights[name] = weights[name] - rate * velocity[name]
    for rate in rates:
        backend.set_learning_rate(rate)
        backend.train_steps([batch])

    for name, value in backend.dump_weights().items():
        np.testing.assert_allclose(value, weights[name], rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_is_kept(dtype: str) -> None:
    """Nothing is computed in another precision than the one that was asked for."""
    backend = make(LENET, dtype=dtype)
    images, labels = draw(LENET, 3)
    batch = backend.put(images=images, labels=labels)
    found = [batch[0], backend.logits(batch[0]), backend.loss(batch), *backend.gradients(batch).values()]
    found += backend.train_steps([(images, labels)])

    assert {str(value.dtype) for value in [*found, *backend.dump_weights().values()]} == {dtype}


def test_every_kind_of_layer_has_its_class() -> None:
    """A model has one object a layer, in the order of the table."""
    assert [type(layer).__name__ for layer in Model(OTHER).layers] == [
        "ConvLayer", "ReluLayer", "MaxPoolLayer", "ConvLayer", "MaxPoolLayer", "FlattenLayer", "DenseLayer",
    ]  # fmt: skip


def test_every_kind_of_layer_is_in_a_network_here() -> None:
    """So that every derivative is held against finite differences."""
    assert {type(layer) for network in EVERY for layer in network.layers} == set(get_args(Layer))
