"""Layer tables: the kinds of layers, and what follows from a table of them. Backends build networks from these.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """2-D convolution (cross-correlation), square kernel, stride 1, zero padding on all sides, with bias.

    Attributes:
        connections: for each output channel, the input channels that it sees; empty where it sees all. The weights of
            the others are 0 and stay so.
    """

    name: str
    channels: int
    kernel: int
    padding: int = 0
    connections: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""

    name: str


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-x))."""

    name: str


@dataclass(frozen=True)
class Tanh:
    """amplitude * tanh(slope * x)."""

    name: str
    amplitude: float = 1.0
    slope: float = 1.0


@dataclass(frozen=True)
class MaxPool:
    """Maximum over square windows that do not overlap; the gradient goes to the first maximum of a window."""

    name: str
    size: int = 2


@dataclass(frozen=True)
class AveragePool:
    """Mean over square windows that do not overlap; rows and columns that fill no window are left out."""

    name: str
    size: int = 2


@dataclass(frozen=True)
class Subsample:
    """Mean over square windows that do not overlap, times a trainable coefficient of its map, plus a trainable bias."""

    name: str
    size: int = 2


@dataclass(frozen=True)
class Dropout:
    """In training, each value is kept with probability `keep` and divided by it, else 0; in inference, nothing."""

    name: str
    keep: float


@dataclass(frozen=True)
class Flatten:
    """All axes but the first into one, in the order channel, height, width, whatever a backend's layout."""

    name: str


@dataclass(frozen=True)
class Dense:
    """y = W x + b, with W of shape (units, inputs)."""

    name: str
    units: int


Layer = Conv | Relu | Sigmoid | Tanh | MaxPool | AveragePool | Subsample | Dropout | Flatten | Dense


@dataclass(frozen=True)
class LayerSummary:
    """One layer with what follows from its place.

    Attributes:
        input_shape: without the batch axis, as `output_shape`.
        parameters: number of trainable values.
        multiply_adds: of the forward pass for one image, without the bias; harness.spec.operations goes on from here.
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
        kind: `conv`, `dense`, or `scale` for one weight and one bias a channel.
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
            parameters = sum(math.prod(s) for s in _parameter_shapes(layer, shape).values()) - _unconnected(
                layer, shape
            )
            yield LayerSummary(layer, shape, output, parameters, _multiply_adds(layer, shape, output))
            shape = output

    def parameter_shapes(self) -> dict[str, Shape]:
        """Canonical names and shapes: convolution (out, in, kh, kw), dense (out, in), bias (out,)."""
        shapes: dict[str, Shape] = {}
        for row in self.summary():
            shapes |= _parameter_shapes(row.layer, row.input_shape)
        return shapes

    def keeping_all(self) -> Network:
        """The same network with dropout that drops nothing: what can be compared value by value."""
        layers = (replace(layer, keep=1.0) if isinstance(layer, Dropout) else layer for layer in self.layers)
        return replace(self, layers=tuple(layers))

    @property
    def drops(self) -> bool:
        """Whether training is another function than inference."""
        return any(isinstance(layer, Dropout) and layer.keep < 1 for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of the forward pass for one image."""
        return sum(row.multiply_adds for row in self.summary())

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
            elif isinstance(row.layer, Conv | Subsample):
                yield Weighted(row.layer.name, "conv" if isinstance(row.layer, Conv) else "scale", None)
            elif isinstance(row.layer, Dense):
                yield Weighted(row.layer.name, "dense", flattened)
                flattened = None


def _output_shape(layer: Layer, shape: Shape) -> Shape:
    match layer:
        case Conv(channels=channels, kernel=kernel, padding=padding):
            _, height, width = shape
            return channels, height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1
        case MaxPool(size=size) | AveragePool(size=size) | Subsample(size=size):
            channels, height, width = shape
            return channels, height // size, width // size
        case Flatten():
            return (math.prod(shape),)
        case Dense(units=units):
            return (units,)
        case Relu() | Sigmoid() | Tanh() | Dropout():
            return shape


def _parameter_shapes(layer: Layer, shape: Shape) -> dict[str, Shape]:
    match layer:
        case Conv(name=name, channels=channels, kernel=kernel):
            return {f"{name}.weight": (channels, shape[0], kernel, kernel), f"{name}.bias": (channels,)}
        case Dense(name=name, units=units):
            return {f"{name}.weight": (units, shape[0]), f"{name}.bias": (units,)}
        case Subsample(name=name):
            return {f"{name}.weight": (shape[0],), f"{name}.bias": (shape[0],)}
    return {}


def _unconnected(layer: Layer, shape: Shape) -> int:
    """How many of a convolution's weights are 0 because nothing is connected there."""
    if not isinstance(layer, Conv) or not layer.connections:
        return 0
    return (layer.channels * shape[0] - sum(map(len, layer.connections))) * layer.kernel**2


def _multiply_adds(layer: Layer, shape: Shape, output: Shape) -> int:
    # Products with zeros of the padding are counted, as is usual: a matrix product of patches (im2col) does them.
    match layer:
        case Conv(kernel=kernel, connections=connections) if connections:
            return math.prod(output[1:]) * sum(map(len, connections)) * kernel * kernel
        case Conv(kernel=kernel):
            return math.prod(output) * shape[0] * kernel * kernel
        case Dense(units=units):
            return shape[0] * units
    return 0
