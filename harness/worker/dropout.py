"""Does a backend drop what a layer table says, in training, and nothing in inference? Worker side: NumPy only.

Every framework draws its own masks, so values cannot be compared with another's. But every mask can be read: a network
is trained in which a weight that is 0 moves if one value of one image was kept, and stays 0 if it was dropped.

    pixels -> `before` (a unit for each value that may be dropped) -> dropout -> `after` (classes)

Each image lights a pixel of its own, in no other step and no other image. So the column of `before` that the pixel
feeds moves in that step alone, by what comes back through dropout for that image: unit by unit its mask, over `keep`.
Each image of a batch has a class of its own, whose probability is nearly 0 while that of class 0 is nearly 1. So the
row of `after` of that class moves by what went forward through dropout in the steps of a call, and by nothing of other
images. Rows count the same masks a second time, and so does the loss: logit 0 is the number of values that were kept.

Weights are powers of two and the learning rate is so small that nothing that is read later has moved by a rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.spec.network import Dense, Dropout, Flatten, Network
from harness.spec.precision import array_dtype
from harness.spec.recipe import Recipe

KEPT = "dropout: values kept, in standard errors"
PER_IMAGE = "dropout: spread of values kept from image to image, in standard errors"
PER_UNIT = "dropout: spread of values kept from unit to unit, in standard errors"
IMAGES = "dropout: likeness of masks of one step, in standard errors"
STEPS = "dropout: likeness of masks of two steps, in standard errors"
SIZE = "dropout: gradients of kept values, error over rounding"
BACKWARD = "dropout: values kept forward and not backward, or the other way"
LOSS = "dropout: losses by the values kept, error over rounding"
INFERENCE = "dropout: logits in inference, error over rounding"
# One honest backend in 1.7 million is farther off than five standard errors; of some 8,000 pairs of masks, one pair is
# farther off than seven in 48 million. What is counted twice must be the same number.
TOLERANCES = {
    KEPT: 5.0, PER_IMAGE: 5.0, PER_UNIT: 5.0, IMAGES: 7.0, STEPS: 7.0, SIZE: 1.0, BACKWARD: 0.5, LOSS: 1.0,
    INFERENCE: 1.0,
}  # fmt: skip

# A keep that is off by 0.01 is ten standard errors off: 0.01 / sqrt(0.25 / (UNITS * BATCH * CALL * CALLS)).
UNITS = 2048
BATCH = 4
CALL = 4
CALLS = 8
# Rows and columns of an image: a pixel for each image of each step.
SIDES = (8, BATCH * CALL * CALLS // 8)
# Logit 0 is FIRST times the values kept, over keep: about 16. The others' is below it by another 40, so that they have
# no share in a gradient, while the loss stays below 64, where PaddlePaddle's ends (docs/frameworks.md).
FIRST, OTHERS = 2.0**-7, -40.0
# In float64 too, nothing that a gradient depends on moves by a rounding.
RATE = 2.0**-60
# What honest arithmetic may be off by. float32: MXNet's log-softmax is off by 3.5e-6.
ROUNDING = {"float64": 1e-12, "float32": 1e-5, "tf32": 1e-2, "bfloat16": 2e-2}
# Less than this share of a kept value's is none: the probability of the other classes leaves 1e-20.
NOTHING = 1e-9

Errors = dict[str, np.ndarray]


def probe(keep: float) -> Network:
    """A network that drops the values between two dense layers."""
    layers = (Flatten("flatten"), Dense("before", UNITS), Dropout("dropout", keep), Dense("after", BATCH + 1))
    return Network("dropout-probe", (1, *SIDES), layers, classes=BATCH + 1, source="harness/worker/dropout.py")


def measure(build: Callable[[Network, Recipe], Any], *, keep: float, dtype: str) -> Errors:
    """Errors by the names in TOLERANCES.

    Args:
        build: makes a backend of a network and a recipe, with feed=host.
        keep: of the layer.
        dtype: the precision that the backend computes in.
    """
    recipe = Recipe(name="dropout-probe", learning_rate=RATE, batch_size=BATCH, epochs=1)
    backend = build(probe(keep), recipe)
    backend.load_weights(_weights())
    images, labels = np.zeros((BATCH, 1, *SIDES), array_dtype(dtype)), np.arange(1, BATCH + 1, dtype=np.int32)
    logits = backend.to_numpy(backend.logits(backend.put(images=images, labels=labels)[0]))
    wanted = np.array([FIRST * UNITS, *[OTHERS] * BATCH])
    errors = {INFERENCE: np.abs(np.asarray(logits, np.float64) / wanted - 1).max() / ROUNDING[dtype]}
    seen = _train(backend, images, labels)
    errors |= _statistics(seen.kept, keep) | _sizes(seen, keep, ROUNDING[dtype])
    return {name: np.asarray(errors[name], np.float64) for name in TOLERANCES}


@dataclass(frozen=True)
class Seen:
    """What training the probe showed, in units of what one kept value would move a weight by if it were not scaled.

    Attributes:
        backward: what came back through dropout, float64 (calls, steps of a call, images of a batch, units).
        forward: what went forward, summed over the steps of a call, float64 (calls, images of a batch, units).
        losses: float64 (calls, steps of a call).
    """

    backward: np.ndarray
    forward: np.ndarray
    losses: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """Which values were not dropped, boolean like `backward`. A dropped one stays 0 to the last bit."""
        return self.backward != 0


def _weights() -> dict[str, np.ndarray]:
    """Every unit of `before` is 1, whatever the image; every weight whose movement is looked at is 0."""
    after, bias = np.zeros((BATCH + 1, UNITS), np.float32), np.full(BATCH + 1, OTHERS, np.float32)
    after[0], bias[0] = FIRST, 0
    return {
        "before.weight": np.zeros((UNITS, SIDES[0] * SIDES[1]), np.float32),
        "before.bias": np.ones(UNITS, np.float32), "after.weight": after, "after.bias": bias,
    }  # fmt: skip


def _train(backend: Any, images: np.ndarray, labels: np.ndarray) -> Seen:
    """Take all steps, call by call, each image with its own pixel."""
    forward, losses, before = [], [], np.zeros((BATCH, UNITS))
    for call in range(CALLS):
        batches = []
        for step in range(call * CALL, (call + 1) * CALL):
            lit = images.copy()
            lit.reshape(BATCH, -1)[np.arange(BATCH), step * BATCH + np.arange(BATCH)] = 1
            batches.append((lit, labels))
        losses.append(np.asarray(backend.to_numpy(backend.train_steps(batches)), np.float64))
        dumped = {name: np.asarray(value, np.float64) for name, value in backend.dump_weights().items()}
        forward.append(dumped["after.weight"][1:] - before)
        before = dumped["after.weight"][1:]
    # The gradient of a logit is that of a mean over the batch.
    step_size = RATE / BATCH
    columns = dumped["before.weight"].T.reshape(CALLS, CALL, BATCH, UNITS)
    return Seen(columns / (-step_size * FIRST), np.stack(forward) / step_size, np.stack(losses))


def _sizes(seen: Seen, keep: float, rounding: float) -> dict[str, float]:
    """Is what was kept divided by `keep`, forward and backward, and is it the same values?"""
    kept = seen.kept
    wanted = kept.sum(axis=1)
    forward = seen.forward * keep
    forward[np.abs(forward) < NOTHING] = 0
    # Where nothing was kept, the row has not moved; where all is as it should be, it has moved by whole numbers.
    differing = (forward != 0) != (wanted != 0)
    differing |= np.abs(forward - wanted) > 0.5
    sizes = np.abs(np.where(kept, seen.backward * keep - 1, 0)).max()
    sizes = max(sizes, (np.abs(forward - wanted) / np.maximum(wanted, 1)).max())
    losses = FIRST / keep * kept.sum(axis=3).mean(axis=2) - OTHERS
    return {
        SIZE: sizes / rounding,
        BACKWARD: float(differing.sum()),
        LOSS: np.abs(seen.losses / losses - 1).max() / rounding,
    }


def _statistics(kept: np.ndarray, keep: float) -> dict[str, float]:
    """Are the masks independent draws of the right chance?"""
    masks = kept.reshape(-1, UNITS)
    variance = keep * (1 - keep)
    deviations = masks - keep
    likeness = np.abs(deviations @ deviations.T) / (variance * np.sqrt(UNITS))
    step = np.arange(len(masks)) // BATCH
    same_step, other = step[:, None] == step, ~np.eye(len(masks), dtype=bool)
    return {
        KEPT: abs(deviations.sum()) / np.sqrt(masks.size * variance),
        PER_IMAGE: _spread(masks.sum(axis=1), UNITS * variance),
        PER_UNIT: _spread(masks.sum(axis=0), len(masks) * variance),
        IMAGES: likeness[same_step & other].max(),
        STEPS: likeness[~same_step].max(),
    }


def _spread(counts: np.ndarray, variance: float) -> float:
    """How far the variance of counts is from what it should be, in standard errors; the cube root of a chi-square over
    its degrees of freedom is nearly normal (Wilson and Hilferty 1931)."""
    freedom = len(counts) - 1
    share = counts.var(ddof=1) / variance
    error = 2 / (9 * freedom)
    return float(abs(np.cbrt(share) - (1 - error)) / np.sqrt(error))


def keep_of(network: Network) -> float | None:
    """What the network's dropout keeps; None where it has none."""
    return next((layer.keep for layer in network.layers if isinstance(layer, Dropout) and layer.keep < 1), None)
