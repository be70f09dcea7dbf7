"""Does a backend drop what a layer table says, in training, and nothing in inference? Worker side: NumPy only.

Every framework draws its own masks, so values cannot be compared; their distribution can. A network of one dropout and
one dense layer sees images of ones, with weights that make the logit of class 0 the share that was kept over `keep`.
Its loss in training is then a known function of a binomial number, whose mean and spread are exact sums. The losses of
many steps with learning rate 0 are a sample of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.spec.network import Dense, Dropout, Flatten, Network
from harness.spec.recipe import Recipe

MEAN = "dropout: mean loss, in standard errors"
SPREAD = "dropout: spread of losses, in standard errors"
INFERENCE = "dropout: logits in inference"
# One honest backend in a million is farther off than five standard errors.
TOLERANCES = {MEAN: 5.0, SPREAD: 5.0, INFERENCE: 1e-6}

SIDE = 16
BATCH = 16
STEPS = 200


def probe(keep: float) -> Network:
    """A network of one dropout and one dense layer."""
    layers = (Flatten("flatten"), Dropout("dropout", keep), Dense("dense", 2))
    return Network("dropout-probe", (1, SIDE, SIDE), layers, classes=2, source="harness/worker/dropout.py")


def measure(build: Callable[[Network, Recipe], Any], *, keep: float, dtype: str) -> dict[str, np.ndarray]:
    """Errors by the names in TOLERANCES.

    Args:
        build: makes a backend of a network and a recipe, with feed=host.
        keep: of the layer.
        dtype: of the arrays.
    """
    recipe = Recipe(name="dropout-probe", learning_rate=0.0, batch_size=BATCH, epochs=1)
    backend = build(probe(keep), recipe)
    weight = np.zeros((2, SIDE * SIDE), np.float32)
    weight[0] = 1 / (SIDE * SIDE)
    backend.load_weights({"dense.weight": weight, "dense.bias": np.zeros(2, np.float32)})
    images, labels = np.ones((BATCH, 1, SIDE, SIDE), dtype), np.zeros(BATCH, np.int32)
    losses = np.concatenate(
        [backend.to_numpy(backend.train_steps([(images, labels)] * 20)) for _ in range(STEPS // 20)]
    )
    logits = backend.to_numpy(backend.logits(backend.put(images=images, labels=labels)[0]))
    mean, spread = expected(keep)
    spread /= math.sqrt(BATCH)  # of the mean of a batch
    return {
        MEAN: np.asarray(abs(losses.mean() - mean) / (spread / math.sqrt(STEPS))),
        SPREAD: np.asarray(abs(losses.std(ddof=1) / spread - 1) * math.sqrt(2 * STEPS)),
        INFERENCE: np.asarray(np.abs(logits - np.array([1.0, 0.0])).max()),
    }


def expected(keep: float) -> tuple[float, float]:
    """Mean and standard deviation of the loss of one image under dropout, by summing over how many values are kept."""
    count = SIDE * SIDE
    kept = np.arange(count + 1)
    log_odds = kept * math.log(keep) + (count - kept) * math.log1p(-keep)
    choose = np.array([math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in kept])
    chance = np.exp(choose + log_odds)
    loss = np.log1p(np.exp(-kept / (count * keep)))
    mean = float((chance * loss).sum())
    return mean, math.sqrt(float((chance * (loss - mean) ** 2).sum()))


def keep_of(network: Network) -> float | None:
    """What the network's dropout keeps; None where it has none."""
    return next((layer.keep for layer in network.layers if isinstance(layer, Dropout) and layer.keep < 1), None)
