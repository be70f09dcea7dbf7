"""Canonical names and axes to Flax's.

| canonical | here | axes |
| --- | --- | --- |
| conv.weight (out, in, kh, kw) | conv/kernel | (kh, kw, in, out) |
| dense.weight (out, in) | dense/kernel | (in, out) |
| first dense.weight (out, c*h*w) | dense/kernel | (h*w*c, out): Flatten meets H,W,C here |
| scale.weight (channels,) | scale/kernel | as it is |
| *.bias (out,) | */bias | (out,) |
"""

from __future__ import annotations

import numpy as np

from harness.spec.network import Network

Nested = dict[str, dict[str, np.ndarray]]


def to_native(weights: dict[str, np.ndarray], network: Network) -> Nested:
    """Canonical weights -> {layer: {"kernel": ..., "bias": ...}}."""
    native = {}
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
        native[layer.name] = {"kernel": kernel, "bias": weights[f"{layer.name}.bias"]}
    return native


def to_canonical(native: Nested, network: Network) -> dict[str, np.ndarray]:
    """The inverse of `to_native`; gradients have the same places."""
    weights = {}
    for layer in network.weighted():
        kernel = np.asarray(native[layer.name]["kernel"])
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
        weights[f"{layer.name}.bias"] = np.array(native[layer.name]["bias"])
    return weights
