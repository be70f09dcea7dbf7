"""The layer tables: each network is declared here once, and every backend builds it from this.

The only module of the harness that backends import. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import unknown

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """2-D convolution (cross-correlation), square kernel, stride 1, zero padding on all sides, with bias."""

    name: str
    channels: int
    kernel: int
    padding: int = 0


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""

    name: str


@dataclass(frozen=True)
class MaxPool:
    """Maximum over square windows that do not overlap; the gradient goes to the first maximum of a window."""

    name: str
    size: int = 2


@dataclass(frozen=True)
class Flatten:
    """All axes but the first into one, in the order channel, height, width, whatever a backend's layout."""

    name: str


@dataclass(frozen=True)
class Dense:
    """y = W x + b, with W of shape (units, inputs)."""

    name: str
    units: int


Layer = Conv | Relu | MaxPool | Flatten | Dense


@dataclass(frozen=True)
class LayerSummary:
    """One layer with what follows from its place.

    Attributes:
        input_shape: without the batch axis, as `output_shape`.
        parameters: number of trainable values.
        multiply_adds: of the forward pass for one image, without the bias; harness.operations goes on from here.
    """

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Weighted:
    """A layer with a weight and a bias.

    Attributes:
        kind: `conv` or `dense`.
        flattened: (channels, height, width) that Flatten made the inputs of this dense layer from; a backend
            in another layout permutes the columns by it. None for every other layer.
    """

    name: str
    kind: str
    flattened: tuple[int, int, int] | None


@dataclass(frozen=True)
class Network:
    """A layer table that ends in logits; a softmax belongs to the loss.

    Attributes:
        name: what `--network` takes.
        input_shape: (channels, height, width) of one image.
        layers: in order of computation.
        classes: length of the logits.
        source: where the table comes from.
    """

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: int
    source: str

    def summary(self) -> Iterator[LayerSummary]:
        """Walk the layers with shapes, parameter counts and multiply-adds per image of the forward pass."""
        shape: Shape = self.input_shape
        for layer in self.layers:
            output = _output_shape(layer, shape)
            parameters = sum(math.prod(s) for s in _parameter_shapes(layer, shape).values())
            yield LayerSummary(layer, shape, output, parameters, _multiply_adds(layer, shape, output))
            shape = output

    def parameter_shapes(self) -> dict[str, Shape]:
        """Canonical names and shapes: convolution (out, in, kh, kw), dense (out, in), bias (out,)."""
        shapes: dict[str, Shape] = {}
        for row in self.summary():
            shapes |= _parameter_shapes(row.layer, row.input_shape)
        return shapes

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(row.parameters for row in self.summary())

    def weighted(self) -> Iterator[Weighted]:
        """The layers that have a weight and a bias, in order: what a backend's weight table is made from."""
        flattened: tuple[int, int, int] | None = None
        for row in self.summary():
            if isinstance(row.layer, Flatten):
                channels, height, width = row.input_shape
                flattened = channels, height, width
            elif isinstance(row.layer, Conv):
                yield Weighted(row.layer.name, "conv", None)
            elif isinstance(row.layer, Dense):
                yield Weighted(row.layer.name, "dense", flattened)
                flattened = None


def _output_shape(layer: Layer, shape: Shape) -> Shape:
    match layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            _, height, width = shape
            return channels, height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1
        case MaxPool(size=size):
            channels, height, width = shape
            return channels, height // size, width // size
        case Flatten():
            return (math.prod(shape),)
        case Dense(units=units):
            return (units,)
        case Relu():
            return shape


def _parameter_shapes(layer: Layer, shape: Shape) -> dict[str, Shape]:
    match layer:
        case Conv(name=name, channels=channels, kernel=kernel):
            return {f"{name}.weight": (channels, shape[0], kernel, kernel), f"{name}.bias": (channels,)}
        case Dense(name=name, units=units):
            return {f"{name}.weight": (units, shape[0]), f"{name}.bias": (units,)}
    return {}


def _multiply_adds(layer: Layer, shape: Shape, output: Shape) -> int:
    # Products with zeros of the padding are counted, as is usual: a matrix product of patches (im2col) does them.
    match layer:
        case Conv(kernel=kernel):
            return math.prod(output) * shape[0] * kernel * kernel
        case Dense(units=units):
            return shape[0] * units
    return 0


_NETWORKS = (
    Network(
        name="lenet5",
        input_shape=(1, 32, 32),
        layers=(
            Conv("conv1", 6, 5),
            Relu("relu1"),
            MaxPool("pool1"),
            Conv("conv2", 16, 5),
            Relu("relu2"),
            MaxPool("pool2"),
            Flatten("flatten"),
            Dense("dense1", 120),
            Relu("relu3"),
            Dense("dense2", 84),
            Relu("relu4"),
            Dense("dense3", 10),
        ),
        classes=10,
        source="PyTorch 'official' LeNet (documents.md, 004); MNIST padded by 2 to 32x32",
    ),
)
NETWORKS: dict[str, Network] = {network.name: network for network in _NETWORKS}


def get_network(name: str) -> Network:
    """Return the network of that name.

    Raises:
        InputError: there is none; the message lists the names and the nearest one.
    """
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return NETWORKS[name]
