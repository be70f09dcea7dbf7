"""The layers with their derivatives, and the network as a list of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.spec.connections import connection_mask
from harness.spec.network import (
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
    Network,
    Relu,
    Sigmoid,
    Subsample,
    Tanh,
)
from harness.spec.precision import rounded

Parameters = dict[str, np.ndarray]


class ConvLayer:
    """Cross-correlation as a matrix product of kernels and image patches (im2col).

    Channels are the outer axis inside: patches are then copied a row of pixels at a time, and no product is transposed.
    """

    def __init__(self, layer: Conv) -> None:
        self.layer = layer

    def _connected(self, weight: np.ndarray) -> np.ndarray:
        """Weights, or their gradients, 0 where nothing is connected."""
        if not self.layer.connections:
            return weight
        return weight * connection_mask(self.layer, weight.shape[1]).astype(weight.dtype)

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """(n, c, h, w) -> (n, out, oh, ow)."""
        pad, k = self.layer.padding, self.layer.kernel
        if pad:
            x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        weight = self._connected(parameters[f"{self.layer.name}.weight"])
        n, c, h, w = self.input_shape = x.shape
        oh, ow = h - k + 1, w - k + 1
        patches = np.empty((c, k, k, n, oh, ow), x.dtype)
        for row in range(k):
            for column in range(k):
                patches[:, row, column] = x[:, :, row : row + oh, column : column + ow].swapaxes(0, 1)
        # One column a pixel of the output: (c * k * k, n * oh * ow).
        self.patches = patches.reshape(c * k * k, -1)
        y = weight.reshape(len(weight), -1) @ self.patches + parameters[f"{self.layer.name}.bias"][:, None]
        return y.reshape(len(weight), n, oh, ow).swapaxes(0, 1)

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Add this layer's gradients; (n, out, oh, ow) -> (n, c, h, w)."""
        name, pad, k = self.layer.name, self.layer.padding, self.layer.kernel
        weight = self._connected(parameters[f"{name}.weight"])
        n, out, oh, ow = dy.shape
        rows = dy.swapaxes(0, 1).reshape(out, -1)
        gradients[f"{name}.weight"] = self._connected((rows @ self.patches.T).reshape(weight.shape))
        # One pixel after the other, as a framework may: NumPy's sum over a row is by pairs, and more exact than theirs.
        gradients[f"{name}.bias"] = np.ascontiguousarray(rows.T).sum(axis=0)
        _, c, h, w = self.input_shape
        d_patches = (weight.reshape(out, -1).T @ rows).reshape(c, k, k, n, oh, ow)
        dx = np.zeros((c, n, h, w), dy.dtype)
        for row in range(k):
            for column in range(k):
                dx[:, :, row : row + oh, column : column + ow] += d_patches[:, row, column]
        return dx[:, :, pad : h - pad, pad : w - pad].swapaxes(0, 1)


class ReluLayer:
    """max(x, 0); the derivative at 0 is 0, as in all five frameworks."""

    def __init__(self, layer: Relu) -> None:
        self.layer = layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """Any shape."""
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Any shape."""
        return dy * self.positive


class SigmoidLayer:
    """1 / (1 + exp(-x)), by the form whose exponential cannot overflow on each side of 0."""

    def __init__(self, layer: Sigmoid) -> None:
        self.layer = layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """Any shape."""
        small = np.exp(-np.abs(x))
        self.y = np.where(x >= 0, 1, small) / (1 + small)
        return self.y

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Any shape."""
        return dy * self.y * (1 - self.y)


class TanhLayer:
    """a tanh(s x), whose derivative is a s (1 - tanh(s x)^2)."""

    def __init__(self, layer: Tanh) -> None:
        self.layer = layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """Any shape."""
        self.y = np.tanh(x * np.asarray(self.layer.slope, x.dtype))
        return self.y * np.asarray(self.layer.amplitude, x.dtype)

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Any shape."""
        return dy * (1 - self.y * self.y) * np.asarray(self.layer.amplitude * self.layer.slope, dy.dtype)


class MaxPoolLayer:
    """Windows that do not overlap; rows and columns that fill no window are left out."""

    def __init__(self, layer: MaxPool) -> None:
        self.layer = layer

    def _places(self, x: np.ndarray) -> list[np.ndarray]:
        """Views of one place of all windows each, row by row: (n, c, h // size, w // size)."""
        size = self.layer.size
        h, w = (side // size * size for side in x.shape[2:])
        return [x[:, :, row:h:size, column:w:size] for row in range(size) for column in range(size)]

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h // size, w // size)."""
        self.input_shape = x.shape
        windows = np.stack(self._places(x))
        # Of equal values the first counts, and it alone has the gradient.
        self.first = windows.argmax(axis=0)
        return windows.max(axis=0)

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """(n, c, oh, ow) -> (n, c, h, w)."""
        dx = np.zeros(self.input_shape, dy.dtype)
        for number, place in enumerate(self._places(dx)):
            place[...] = np.where(self.first == number, dy, 0)
        return dx


class AveragePoolLayer:
    """Windows that do not overlap; rows and columns that fill no window are left out."""

    def __init__(self, layer: AveragePool) -> None:
        self.layer = layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h // size, w // size)."""
        size = self.layer.size
        n, c, h, w = self.input_shape = x.shape
        oh, ow = h // size, w // size
        return x[:, :, : oh * size, : ow * size].reshape(n, c, oh, size, ow, size).mean(axis=(3, 5))

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """(n, c, oh, ow) -> (n, c, h, w)."""
        size = self.layer.size
        oh, ow = dy.shape[2:]
        dx = np.zeros(self.input_shape, dy.dtype)
        share = dy / np.asarray(size * size, dy.dtype)
        dx[:, :, : oh * size, : ow * size] = share.repeat(size, axis=2).repeat(size, axis=3)
        return dx


class SubsampleLayer:
    """The mean of each window, times the coefficient of its map, plus its bias."""

    def __init__(self, layer: Subsample) -> None:
        self.layer = layer
        self.pool = AveragePoolLayer(AveragePool(layer.name, layer.size))

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h // size, w // size)."""
        self.means = self.pool.forward(x, parameters)
        coefficient, bias = (parameters[f"{self.layer.name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return self.means * coefficient + bias

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """(n, c, oh, ow) -> (n, c, h, w)."""
        name = self.layer.name
        gradients[f"{name}.weight"] = (dy * self.means).sum(axis=(0, 2, 3))
        gradients[f"{name}.bias"] = dy.sum(axis=(0, 2, 3))
        return self.pool.backward(dy * parameters[f"{name}.weight"][:, None, None], parameters, gradients)


class DropoutLayer:
    """Drops in training only; `training` is set by the model."""

    training = False

    def __init__(self, layer: Dropout) -> None:
        self.layer = layer
        self.random = np.random.default_rng(0)

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """Any shape."""
        self.factor = np.ones((), x.dtype)
        if self.training:
            self.factor = (self.random.random(x.shape) < self.layer.keep).astype(x.dtype)
            self.factor /= np.asarray(self.layer.keep, x.dtype)
        return x * self.factor

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Any shape."""
        return dy * self.factor


class FlattenLayer:
    """C, H, W into one axis."""

    def __init__(self, layer: Flatten) -> None:
        self.layer = layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """(n, ...) -> (n, features)."""
        self.input_shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """(n, features) -> (n, ...)."""
        return dy.reshape(self.input_shape)


class DenseLayer:
    """y = x W^T + b."""

    def __init__(self, layer: Dense) -> None:
        self.layer = layer

    def forward(self, x: np.ndarray, parameters: Parameters) -> np.ndarray:
        """(n, inputs) -> (n, units)."""
        self.input = x
        return x @ parameters[f"{self.layer.name}.weight"].T + parameters[f"{self.layer.name}.bias"]

    def backward(self, dy: np.ndarray, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Add this layer's gradients; (n, units) -> (n, inputs)."""
        gradients[f"{self.layer.name}.weight"] = dy.T @ self.input
        gradients[f"{self.layer.name}.bias"] = dy.sum(axis=0)
        return dy @ parameters[f"{self.layer.name}.weight"]


_LAYERS = {
    Conv: ConvLayer,
    Relu: ReluLayer,
    Sigmoid: SigmoidLayer,
    Tanh: TanhLayer,
    MaxPool: MaxPoolLayer,
    AveragePool: AveragePoolLayer,
    Subsample: SubsampleLayer,
    Dropout: DropoutLayer,
    Flatten: FlattenLayer,
    Dense: DenseLayer,
}


class Model:
    """The layers of a network; parameters are passed in, so that a model has no state between calls."""

    def __init__(self, network: Network, dtype: str = "float64") -> None:
        """Args:
        dtype: in bfloat16 and tf32 everything that enters or leaves a layer is rounded; sums are float32.
        """
        self.layers = [_LAYERS[type(layer)](layer) for layer in network.layers]  # type: ignore[abstract,arg-type]
        self.dtype = dtype

    def forward(self, x: np.ndarray, parameters: Parameters, *, training: bool = False) -> np.ndarray:
        """(n, c, h, w) -> logits (n, classes)."""
        *_, logits = self.outputs(x, parameters, training=training)
        return logits

    def outputs(self, x: np.ndarray, parameters: Parameters, *, training: bool = False) -> Iterator[np.ndarray]:
        """(n, c, h, w) -> the output of each layer in turn."""
        parameters, x = self._rounded(parameters), rounded(x, self.dtype)
        for layer in self.layers:
            layer.training = training
            x = rounded(layer.forward(x, parameters), self.dtype)
            yield x

    def backward(self, d_logits: np.ndarray, parameters: Parameters) -> Parameters:
        """Gradients by every parameter, after a `forward` of the same batch."""
        parameters = self._rounded(parameters)
        gradients: Parameters = {}
        for layer in reversed(self.layers):
            d_logits = layer.backward(rounded(d_logits, self.dtype), parameters, gradients)
        return self._rounded(gradients)

    def _rounded(self, parameters: Parameters) -> Parameters:
        return {name: rounded(value, self.dtype) for name, value in parameters.items()}


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, errors: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean cross-entropy of a batch and its gradient by the logits.

    Args:
        logits: (n, classes).
        labels: integers (n,).
        errors: of the logarithm of each image's sum of exponentials, (n, 1); None for none.
    """
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(sums[:, 0]) - shifted[rows, labels])
    gradient = exponentials / sums
    if errors is not None:
        loss = loss + errors.mean()
        gradient = gradient * np.exp(-errors)
    gradient[rows, labels] -= 1
    return loss, gradient / len(labels)
