"""Same start, same batches: initial weights and image orders from raw Philox output.

NumPy promises the raw stream of a bit generator, not the methods of `Generator`
(https://numpy.org/doc/stable/reference/random/compatibility.html), so only raw integers are used: the bytes
are the same on NumPy 1.23 and 2.x.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np

from harness.errors import unknown
from harness.network import Network

Weights = dict[str, np.ndarray]
INITIALISERS = ("uniform-fan-in",)


def initial_weights(network: Network, *, seed: int, initialiser: str = "uniform-fan-in") -> Weights:
    """Make the canonical weights, float32 and C-contiguous, in the order of the layer table.

    Weights and biases are uniform in +-1/sqrt(fan in), where fan in is the number of inputs of one output:
    He et al. 2015 with a = sqrt(5), which is what torch.nn.Conv2d and torch.nn.Linear do by default.

    Raises:
        InputError: an initialiser that is not in INITIALISERS.
    """
    if initialiser not in INITIALISERS:
        raise unknown("initialiser", initialiser, INITIALISERS)
    shapes = network.parameter_shapes()
    weights: Weights = {}
    for name, shape in shapes.items():
        layer = name.rsplit(".", 1)[0]
        bound = 1.0 / math.sqrt(math.prod(shapes[f"{layer}.weight"][1:]))
        raw = _raw(seed, f"weights/{name}", math.prod(shape))
        unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        weights[name] = ((2.0 * unit - 1.0) * bound).astype(np.float32).reshape(shape)
    return weights


def epoch_order(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return a permutation of `count` images, int64 (count,), for one epoch (counted from 0)."""
    return np.argsort(_raw(seed, f"order/{epoch}", count), kind="stable")


def batch_indices(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Cut an order into batches; the last one is smaller when the sizes do not divide: each image once."""
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def weights_digest(weights: Weights) -> str:
    """SHA-256 over names, shapes, dtypes and bytes of canonical weights, in sorted order of their names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        update_digest(digest, weights[name], label=name)
    return digest.hexdigest()


def update_digest(digest: hashlib._Hash, array: np.ndarray, *, label: str) -> None:
    """Feed one array, with its label, dtype and shape, into a running digest."""
    digest.update(f"{label} {array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def _raw(seed: int, stream: str, count: int) -> np.ndarray:
    """Draw `count` raw 64-bit integers; streams of different names are independent Philox keys."""
    stream_key = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    key = np.array([seed, stream_key], dtype=np.uint64)
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)
