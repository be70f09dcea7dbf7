"""Operations an image, counted by loops that do one multiply-add at a time, and stated exactly for lenet5."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from backends.numpy.model import FlattenLayer, MaxPoolLayer, Model, Parameters, ReluLayer, cross_entropy
from harness.spec import operations
from harness.spec.network import Conv, Dense, Flatten, MaxPool, Network, Relu
from harness.spec.networks import get_network
from harness.spec.operations import LayerOperations, Operations
from harness.spec.start import initial_weights
from harness.tables.network_table import show_network

LENET = get_network("lenet5")
DOCUMENT = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
# Padding, several channels, sides that differ, a pool that cuts, two dense layers: small enough for loops.
PADDED = Network(
    name="padded",
    input_shape=(2, 6, 5),
    layers=(
        Conv("conv1", 3, 3, padding=1), Relu("relu1"), MaxPool("pool1"), Conv("conv2", 4, 2, padding=1),
        Flatten("flatten"), Dense("dense1", 5), Relu("relu2"), Dense("dense2", 3),
    ),
    classes=3,
    source="this test",
)  # fmt: skip
DENSE_FIRST = Network(
    name="dense first",
    input_shape=(2, 3, 3),
    layers=(Flatten("flatten"), Dense("dense1", 4), Relu("relu1"), Dense("dense2", 3)),
    classes=3,
    source="this test",
)
# Layers before the first weight do not make the image's gradient wanted.
POOL_FIRST = Network(
    name="pool first",
    input_shape=(1, 6, 6),
    layers=(MaxPool("pool1"), Relu("relu1"), Conv("conv1", 2, 2), Flatten("flatten"), Dense("dense1", 3)),
    classes=3,
    source="this test",
)
SMALL = pytest.mark.parametrize("network", [PADDED, DENSE_FIRST, POOL_FIRST], ids=lambda network: network.name)

Tally = Counter[tuple[str, str]]


class LoopConv:
    """A convolution of one image in six nested loops; every multiply-add is counted where it is done."""

    def __init__(self, layer: Conv, tally: Tally, wants_input_gradient: bool) -> None:
        self.layer, self.tally, self.wants_input_gradient = layer, tally, wants_input_gradient

    def places(self, weight: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, ...]]:
        """Indices of every product: output and input channel, place in the kernel, place in the output."""
        return product(*map(range, weight.shape), *map(range, y.shape[2:]))

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        pad = self.layer.padding
        self.x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        weight, bias = parameters[f"{self.layer.name}.weight"], parameters[f"{self.layer.name}.bias"]
        sides = [side - self.layer.kernel + 1 for side in self.x.shape[2:]]
        y = np.zeros((1, len(weight), *sides))
        for o, c, i, j, row, column in self.places(weight, y):
            y[0, o, row, column] += weight[o, c, i, j] * self.x[0, c, row + i, column + j]
            self.tally[self.layer.name, "forward"] += 1
        return y + bias[:, None, None]

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray | None:
        name, pad, weight = self.layer.name, self.layer.padding, parameters[f"{self.layer.name}.weight"]
        gradients[f"{name}.weight"] = by_weight = np.zeros(weight.shape)
        for o, c, i, j, row, column in self.places(weight, dy):
            by_weight[o, c, i, j] += dy[0, o, row, column] * self.x[0, c, row + i, column + j]
            self.tally[name, "weight"] += 1
        if not self.wants_input_gradient:
            return None
        dx = np.zeros(self.x.shape)
        for o, c, i, j, row, column in self.places(weight, dy):
            dx[0, c, row + i, column + j] += dy[0, o, row, column] * weight[o, c, i, j]
            self.tally[name, "input"] += 1
        return dx[:, :, pad : dx.shape[2] - pad, pad : dx.shape[3] - pad]


class LoopDense:
    """A dense layer of one image in two nested loops; every multiply-add is counted where it is done."""

    def __init__(self, layer: Dense, tally: Tally, wants_input_gradient: bool) -> None:
        self.layer, self.tally, self.wants_input_gradient = layer, tally, wants_input_gradient

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        self.x = x
        weight = parameters[f"{self.layer.name}.weight"]
        y = np.zeros((1, len(weight)))
        for unit, place in product(*map(range, weight.shape)):
            y[0, unit] += weight[unit, place] * x[0, place]
            self.tally[self.layer.name, "forward"] += 1
        return y + parameters[f"{self.layer.name}.bias"]

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray | None:
        name, weight = self.layer.name, parameters[f"{self.layer.name}.weight"]
        gradients[f"{name}.weight"] = by_weight = np.zeros(weight.shape)
        for unit, place in product(*map(range, weight.shape)):
            by_weight[unit, place] += dy[0, unit] * self.x[0, place]
            self.tally[name, "weight"] += 1
        if not self.wants_input_gradient:
            return None
        dx = np.zeros(self.x.shape)
        for unit, place in product(*map(range, weight.shape)):
            dx[0, place] += dy[0, unit] * weight[unit, place]
            self.tally[name, "input"] += 1
        return dx


def count_by_loops(network: Network) -> tuple[Tally, Parameters, Parameters]:
    """Forward and backward pass of one image by loops; the gradients are the reference's.

    Returns:
        multiply-adds by layer and by what they were for; gradients by weights, by loops and by the reference.
    """
    tally: Tally = Counter()
    weights = {name: value.astype(np.float64) for name, value in initial_weights(network, seed=3).items()}
    image, label = np.random.default_rng(11).random((1, *network.input_shape)), np.array([1])
    others = {Relu: ReluLayer, MaxPool: MaxPoolLayer, Flatten: FlattenLayer}
    layers = []
    weighted = 0
    for layer in network.layers:
        if isinstance(layer, Conv | Dense):
            loops = LoopConv if isinstance(layer, Conv) else LoopDense
            # A layer's input gradient is of use only to weights before it.
            layers.append(loops(layer, tally, wants_input_gradient=weighted > 0))
            weighted += 1
        else:
            layers.append(others[type(layer)](layer))
    x = image
    for layer in layers:
        x = layer.forward(x, weights)
    dy: np.ndarray | None = cross_entropy(x, label)[1]
    gradients: Parameters = {}
    for layer in reversed(layers):
        if dy is not None:
            dy = layer.backward(dy, weights, gradients)
    reference = Model(network)
    expected = reference.backward(cross_entropy(reference.forward(image, weights), label)[1], weights)
    return tally, gradients, {name: value for name, value in expected.items() if name.endswith("weight")}


@SMALL
def test_operations_are_those_that_loops_do(network: Network) -> None:
    """Each count is twice the multiply-adds that a right forward and backward pass does one at a time."""
    tally, gradients, expected = count_by_loops(network)

    assert gradients.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(gradients[name], value, rtol=1e-12, atol=1e-14)
    found = {each.name: each for each in operations.by_layer(network)}
    assert found.keys() == {name for name, _ in tally}
    for name, layer in found.items():
        counted = [2 * tally[name, what] for what in ("forward", "weight", "input")]
        assert [layer.forward, layer.weight_gradient, layer.input_gradient] == counted, name
    assert operations.forward(network).total == 2 * sum(n for (_, what), n in tally.items() if what == "forward")
    assert operations.training(network).total == 2 * tally.total()


@SMALL
def test_only_the_first_weighted_layer_has_no_input_gradient(network: Network) -> None:
    """It costs two thirds of what the others cost, wherever it stands and whatever its kind."""
    first, *others = operations.by_layer(network)

    assert (first.input_gradient, first.training) == (0, 2 * first.forward)
    assert all(each.input_gradient == each.forward and each.training == 3 * each.forward for each in others)


def test_dense_first_network_has_no_convolution() -> None:
    """A kind that a network has none of counts nothing."""
    assert operations.forward(DENSE_FIRST) == Operations(conv=0, dense=2 * (18 * 4 + 4 * 3))
    assert operations.training(DENSE_FIRST) == Operations(conv=0, dense=4 * 18 * 4 + 6 * 4 * 3)


def test_lenet5_exactly() -> None:
    """Every layer of lenet5 and their sums, worked out by hand."""
    assert list(operations.by_layer(LENET)) == [
        LayerOperations("conv1", "conv", 235_200, 235_200, 0),  # 2 * 5*5 * 1 * 6 * 28*28
        LayerOperations("conv2", "conv", 480_000, 480_000, 480_000),  # 2 * 5*5 * 6 * 16 * 10*10
        LayerOperations("dense1", "dense", 96_000, 96_000, 96_000),  # 2 * 400 * 120
        LayerOperations("dense2", "dense", 20_160, 20_160, 20_160),  # 2 * 120 * 84
        LayerOperations("dense3", "dense", 1_680, 1_680, 1_680),  # 2 * 84 * 10
    ]
    assert operations.forward(LENET) == Operations(conv=715_200, dense=117_840)
    assert operations.forward(LENET).total == 833_040
    assert operations.training(LENET) == Operations(conv=1_910_400, dense=353_520)
    assert operations.training(LENET).total == 2_263_920


def test_unknown_weighted_layer_is_not_left_out() -> None:
    """A layer that has multiply-adds and no kind is an error, not a count that is silently too low."""

    class Other(Dense):
        """Not in the table of kinds."""

    network = dataclasses.replace(DENSE_FIRST, layers=(Flatten("flatten"), Other("other", 3)))

    with pytest.raises(KeyError, match="Other"):
        operations.training(network)


def test_document_shows_the_table_as_printed() -> None:
    """docs/operations.md holds what `lenet-bench list --network lenet5` prints."""
    out = StringIO()
    show_network(Console(file=out, width=80, highlight=False), LENET)
    printed = "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    assert f"```text\n{printed}\n```" in DOCUMENT
    assert "conv1" in printed


def test_document_is_right_about_what_is_not_counted() -> None:
    """Its figures for the update, for the layers without weights and for the usual rule are those of lenet5."""
    training, forward = operations.training(LENET).total, operations.forward(LENET).total
    elements = {row.layer.name: int(np.prod(row.output_shape)) for row in LENET.summary()}
    biases = sum(elements[layer.name] for layer in LENET.weighted())
    relus = sum(count for name, count in elements.items() if name.startswith("relu"))
    # Three comparisons find the largest of four.
    pools = 3 * sum(count for name, count in elements.items() if name.startswith("pool"))
    uncounted = biases + relus + pools
    low, high = (per_parameter * LENET.parameters / (64 * training) for per_parameter in (4, 5))

    for claim in (
        f"{uncounted:,} operations, {uncounted / forward:.1%}",
        f"{4 * LENET.parameters:,} to {5 * LENET.parameters:,} operations a step",
        f"{low:.2%} to {high:.2%}",
        f"{3 * forward:,}, {3 * forward / training - 1:.0%} too many",
    ):
        assert claim.replace("%", " %") in " ".join(DOCUMENT.split()), claim
