"""The least that a backend must do, done once: a typo is told in seconds, not after the reference's work.

Worker side: NumPy only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.spec.network import Network
from harness.spec.precision import array_dtype

IMAGES = 2


def one_step(backend: Any, network: Network, dtype: str) -> None:
    """One training step of a batch of constant images, handed over by the host, and one dump.

    Args:
        backend: built with feed=host, weights loaded.
        dtype: the precision that it computes in.

    Raises:
        RuntimeError: what it gave back cannot be what it should be, whatever the numbers.
    """
    images = np.full((IMAGES, *network.input_shape), 0.5, array_dtype(dtype))
    losses = np.asarray(backend.to_numpy(backend.train_steps([(images, np.arange(IMAGES, dtype=np.int32))])))
    if losses.shape != (1,):
        raise RuntimeError(f"train_steps of one batch returned losses of shape {losses.shape}, not (1,).")
    backend.synchronize()
    dumped = {name: np.shape(value) for name, value in backend.dump_weights().items()}
    wanted = network.parameter_shapes()
    wrong = [f"{name} {dumped.get(name, 'missing')}" for name, shape in wanted.items() if dumped.get(name) != shape]
    if wrong:
        raise RuntimeError(f"dump_weights returned {wrong[0]}, not {wanted[wrong[0].split(' ', 1)[0]]}.")
