"""Canonical names and axes to Keras's, in the order of `model.trainable_variables`.

| canonical | here | axes |
| --- | --- | --- |
| conv.weight (out, in, kh, kw) | kernel | (kh, kw, in, out) |
| dense.weight (out, in) | kernel | (in, out) |
| first dense.weight (out, c*h*w) | kernel | (h*w*c, out): Flatten meets H,W,C here |
| scale.weight (channels,) | weight | as it is |
| *.bias (out,) | bias | (out,) |
"""

from __future__ import annotations

import numpy as np

from harness.spec.network import Network


def to_native(weights: dict[str, np.ndarray], network: Network) -> list[np.ndarray]:
    """Canonical weights -> [kernel, bias, kernel, bias, ...]."""
    native = []
    for layer in network.weighted():
        kernel = weights[f"{layer.name}.weight"]
        if layer.kind == "conv":
            kernel = kernel.transpose(2, 3, 1, 0)
        elif layer.kind == "scale":
            pass
        elif layer.flattened:
            channels, height, width = layer.flattened
            kernel = kernel.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)
            kernel = kernel.reshape(height * width * channels, -1)
        else:
            kernel = kernel.T
        native += [kernel, weights[f"{layer.name}.bias"]]
    return native


def to_canonical(native: list[np.ndarray], network: Network) -> dict[str, np.ndarray]:
    """The inverse of `to_native`; gradients have the same places."""
    weights = {}
    for layer, kernel, bias in zip(network.weighted(), native[::2], native[1::2], strict=True):
        if layer.kind == "conv":
            kernel = kernel.transpose(3, 2, 0, 1)
        elif layer.kind == "scale":
            pass
        elif layer.flattened:
            channels, height, width = layer.flattened
            kernel = kernel.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            kernel = kernel.reshape(-1, channels * height * width)
        else:
            kernel = kernel.T
        weights[f"{layer.name}.weight"] = np.ascontiguousarray(kernel)
        weights[f"{layer.name}.bias"] = np.array(bias)
    return weights
