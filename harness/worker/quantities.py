"""What verification compares, computed by one backend. Worker side: NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.worker import asynchrony

# Weights are compared after these numbers of steps. The first step has a smaller batch, 41 of 64: neither a divisor,
# which repeating could fill up, nor a power of two, by which dividing is exact. All others come in blocks of
# BLOCK, so that modes that compile a program for each number of steps compile two. After so many steps as RATES says
# the learning rate is that share of the recipe's: a schedule must not disturb what the optimizer remembers.
STEPS = (1, 10, 100)
BLOCK = 9
SMALLER = 0.65
RATES = {10: 0.5, 55: 0.25}
UNSEEN = f"logits of unseen images after {STEPS[-1]}"
AGAIN = "logits after loading again and 1"
LOSSES = "losses of the steps"

Quantities = dict[str, np.ndarray]


def quantities(
    backend: Any, weights: dict[str, np.ndarray], *, images: np.ndarray, labels: np.ndarray, learning_rate: float
) -> Quantities:
    """Outputs of layers, logits, loss and gradients of the first batch; losses and weights of STEPS; logits then.

    Args:
        backend: built with feed=host.
        images: the backend's dtype, (steps + 1, batch, c, h, w); the last batch is never trained on.
        labels: int32 (steps + 1, batch).
        learning_rate: the recipe's, which the first steps are taken with.

    Returns:
        float64 arrays by name, in the order of computation: `output of conv1`, `logits`, `loss`, `gradient of
        dense3.bias`, `conv1.weight after 1`, ...
    """
    backend.load_weights(weights)
    batch = backend.put(images=images[0], labels=labels[0])
    # What is handed over next must not take its place.
    later = backend.put(images=images[-1], labels=labels[-1])
    outputs = backend.activations(batch[0])
    found: dict[str, Any] = {f"output of {name}": value for name, value in outputs.items()}
    found["logits"] = backend.to_numpy(backend.logits(batch[0]))
    # A scalar may have one axis of length one: MXNet's tensors have no fewer.
    found["loss"] = backend.to_numpy(backend.loss(batch)).reshape(())
    gradients = backend.gradients(batch)
    del later
    found |= {f"gradient of {name}": gradients[name] for name in reversed(list(weights))}
    found |= _trajectory(backend, weights, images, labels, learning_rate)
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def blocks(batch: int) -> list[tuple[int, int, int]]:
    """The steps in the blocks they are handed over in: first step, step behind the last, images of a batch."""
    return [(0, 1, int(batch * SMALLER)), *((first, first + BLOCK, batch) for first in range(1, STEPS[-1], BLOCK))]


def _trajectory(
    backend: Any, weights: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray, learning_rate: float
) -> dict[str, Any]:
    backend.load_weights(weights)
    found: dict[str, Any] = {}
    losses = []
    for first, behind, size in blocks(images.shape[1]):
        if first in RATES:
            backend.set_learning_rate(learning_rate * RATES[first])
        batches = [(images[step, :size], labels[step, :size]) for step in range(first, behind)]
        losses.append(backend.to_numpy(backend.train_steps(batches)))
        if behind in STEPS:
            backend.synchronize()
            dumped = backend.dump_weights()
            found |= {f"{name} after {behind}": dumped[name] for name in weights}
    unseen = backend.put(images=images[STEPS[-1]], labels=labels[STEPS[-1]])[0]
    found |= {LOSSES: np.concatenate(losses), UNSEEN: backend.to_numpy(backend.logits(unseen))}
    # Nothing may be left of what was before: neither weights, nor what the optimizer remembers.
    backend.load_weights(weights)
    backend.train_steps([(images[0, :size], labels[0, :size]) for size in (blocks(images.shape[1])[0][2],)])
    return found | {AGAIN: backend.to_numpy(backend.logits(unseen))}


def write_quantities(
    backend: Any,
    weights: dict[str, np.ndarray],
    *,
    source: Path,
    target: Path,
    learning_rate: float,
    least_steps: int,
    more: dict[str, np.ndarray],
    begin: Callable[[str], None] = lambda name: None,
) -> None:
    """Compute the quantities on the batches in the archive `source`, then time some; write all to `target`.

    Args:
        least_steps: as `asynchrony.measure`.
        more: what else was found, to be written with them.
        begin: told before each of the two: `quantities`, `asynchrony`.
    """
    with np.load(source, allow_pickle=False) as archive:
        batches = {name: archive[name] for name in ("images", "labels")}
    begin("quantities")
    found = quantities(backend, weights, **batches, learning_rate=learning_rate)
    begin("asynchrony")
    found |= asynchrony.measure(backend, weights, **batches, least_steps=least_steps)
    np.savez(target, **found, **more)  # type: ignore[arg-type]
