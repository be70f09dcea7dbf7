"""What verification compares, computed by one backend. Worker side: NumPy only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness import asynchrony

# Weights are compared after these numbers of steps.
STEPS = (1, 20)

Quantities = dict[str, np.ndarray]


def quantities(backend: Any, weights: dict[str, np.ndarray], *, images: np.ndarray, labels: np.ndarray) -> Quantities:
    """Logits, loss and gradients of the first batch, the loss of every step, weights after STEPS steps.

    Args:
        backend: built with feed=host.
        images: the backend's dtype, (steps, batch, c, h, w).
        labels: int32 (steps, batch).

    Returns:
        float64 arrays by name: `logits`, `loss`, `gradient of conv1.weight`, `conv1.weight after 1`, ...
    """
    backend.load_weights(weights)
    batch = backend.put(images=images[0], labels=labels[0])
    found: dict[str, Any] = {
        "logits": backend.to_numpy(backend.logits(batch[0])),
        # A scalar may have one axis of length one: MXNet's tensors have no fewer.
        "loss": backend.to_numpy(backend.loss(batch)).reshape(()),
    }
    gradients = backend.gradients(batch)
    found |= {f"gradient of {name}": gradients[name] for name in weights}
    backend.load_weights(weights)
    losses = []
    done = 0
    for count in STEPS:
        batches = [(images[step], labels[step]) for step in range(done, count)]
        losses.append(backend.to_numpy(backend.train_steps(batches)))
        backend.synchronize()
        dumped = backend.dump_weights()
        found |= {f"{name} after {count}": dumped[name] for name in weights}
        done = count
    found["losses of the steps"] = np.concatenate(losses)
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def write_quantities(
    backend: Any, weights: dict[str, np.ndarray], *, source: Path, target: Path, least_steps: int
) -> None:
    """Compute the quantities on the batches in the archive `source`, then time some; write all to `target`.

    Args:
        least_steps: as `asynchrony.measure`.
    """
    with np.load(source, allow_pickle=False) as archive:
        batches = {name: archive[name] for name in ("images", "labels")}
    found = quantities(backend, weights, **batches)
    found |= asynchrony.measure(backend, weights, **batches, least_steps=least_steps)
    np.savez(target, **found)  # type: ignore[arg-type]
