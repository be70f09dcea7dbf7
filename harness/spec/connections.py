"""Which weights of a sparse convolution there are, as an array. NumPy only; backends import it."""

from __future__ import annotations

import numpy as np

from harness.spec.network import Conv


def connection_mask(layer: Conv, inputs: int) -> np.ndarray:
    """1 where an output channel sees an input channel, else 0: float32 (channels, inputs, 1, 1).

    Args:
        inputs: how many input channels there are.
    """
    mask = np.zeros((layer.channels, inputs, 1, 1), np.float32)
    for channel, seen in enumerate(layer.connections or [range(inputs)] * layer.channels):
        mask[channel, list(seen)] = 1
    return mask
