"""Same start, same batches: initial weights and image orders from raw Philox output.

NumPy promises the raw stream of a bit generator, not the methods of `Generator`
(https://numpy.org/doc/stable/reference/random/compatibility.html), so only raw integers are used: the bytes
are the same on NumPy 1.23 and 2.x.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.errors import unknown
from harness.spec.connections import connection_mask
from harness.spec.network import Conv, Dense, LayerSummary, Network
from harness.spec.normal import cdf, quantiles

Weights = dict[str, np.ndarray]


def initial_weights(network: Network, *, seed: int, initialiser: str = "uniform-fan-in") -> Weights:
    """Make the canonical weights, float32 and C-contiguous, in the order of the layer table.

    Args:
        initialiser: a key of INITIALISERS, whose docstring is the formula.

    Raises:
        InputError: an initialiser that is not in INITIALISERS.
    """
    if initialiser not in INITIALISERS:
        raise unknown("initialiser", initialiser, INITIALISERS)
    initialise = INITIALISERS[initialiser]
    shapes = network.parameter_shapes()
    weights: Weights = {}
    for row in network.summary():
        fans = _fans(row)
        for part in ("weight", "bias"):
            name = f"{row.layer.name}.{part}"
            if name not in shapes:
                continue
            raw = draw(seed, f"weights/{name}", math.prod(shapes[name]))
            # Output units are the first axis, and fan in may differ from one to the next.
            unit = ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(len(fans.inputs), -1)
            values = initialise(unit, part, fans).reshape(shapes[name])
            if part == "weight" and isinstance(row.layer, Conv) and row.layer.connections:
                values = values * connection_mask(row.layer, row.input_shape[0])
            weights[name] = np.ascontiguousarray(values.astype(np.float32))
    return weights


@dataclass(frozen=True)
class Fans:
    """How many inputs each output unit of a layer has, float64 (units, 1), and how many outputs an input has."""

    inputs: np.ndarray
    outputs: float


def _fans(row: LayerSummary) -> Fans:
    match row.layer:
        case Conv(channels=channels, kernel=kernel, connections=connections):
            seen = [len(each) for each in connections] or [row.input_shape[0]] * channels
            return Fans(np.array(seen, np.float64)[:, None] * kernel**2, channels * kernel**2)
        case Dense(units=units):
            return Fans(np.full((units, 1), row.input_shape[0], np.float64), units)
    size = getattr(row.layer, "size", 1)
    return Fans(np.full((row.output_shape[0], 1), size**2, np.float64), size**2)


def _uniform_fan_in(unit: np.ndarray, part: str, fans: Fans) -> np.ndarray:
    """Weights and biases uniform in +-1/sqrt(fan in): He et al. 2015 with a = sqrt(5), the default of torch.nn.Conv2d
    and torch.nn.Linear."""
    return (2.0 * unit - 1.0) * (1.0 / np.sqrt(fans.inputs))


def _xavier(unit: np.ndarray, part: str, fans: Fans) -> np.ndarray:
    """Weights uniform in +-sqrt(6 / (fan in + fan out)), biases 0: Glorot and Bengio 2010, the default of
    mxnet.init.Xavier (uniform, average of the fans, magnitude 3) and of Keras's layers."""
    if part == "bias":
        return np.zeros_like(unit)
    return (2.0 * unit - 1.0) * np.sqrt(6.0 / (fans.inputs + fans.outputs))


def _truncated_normal(unit: np.ndarray, part: str, fans: Fans) -> np.ndarray:
    """Weights normal with standard deviation 0.1, none farther than two of these from 0; biases 0.1: the TensorFlow 1
    tutorial's tf.truncated_normal(stddev=0.1) and tf.constant(0.1)."""
    if part == "bias":
        return np.full_like(unit, 0.1)
    low, high = cdf(-2.0), cdf(2.0)
    return 0.1 * quantiles(low + unit * (high - low))


INITIALISERS: dict[str, Callable[[np.ndarray, str, Fans], np.ndarray]] = {
    "uniform-fan-in": _uniform_fan_in,
    "xavier": _xavier,
    "truncated-normal": _truncated_normal,
}


def epoch_order(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return a permutation of `count` images, int64 (count,), for one epoch (counted from 0)."""
    return np.argsort(draw(seed, f"order/{epoch}", count), kind="stable")


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


def draw(seed: int, stream: str, count: int) -> np.ndarray:
    """Draw `count` raw 64-bit integers; streams of different names are independent Philox keys."""
    stream_key = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    key = np.array([seed, stream_key], dtype=np.uint64)
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)
