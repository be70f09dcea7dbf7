"""Where does a backend begin to differ, and what does the difference look like? For people who write a backend.

Checks are in the order of computation: the first that fails is where to look; what follows from it fails too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.proof.problem import Check, Problem
from harness.spec.precision import MANTISSA_BITS, rounded
from harness.worker import asynchrony
from harness.worker.quantities import LOSSES, SMALLER, Quantities, blocks

# Sizes of the errors that shorter numbers leave: 11 and 8 bits, as float16, TF32 and bfloat16 have them, and 24.
HALF = (1e-5, 2e-2)
SINGLE = (1e-9, 1e-6)
# Two arrays are the same but for what a hint says where they differ by no more than this share of the largest value.
ALIKE = 1e-3
# One array is a multiple of another where what is left of their difference is no more than this share of it.
LEFT = 0.02

# Beside outputs of layers and gradients, what is computed from the loaded weights.
_FORWARD = ("logits", "loss")
_CAUSES = (
    ("output of", "this layer's kind, its place, padding, or the order of its weights' axes"),
    ("logits after loading", "`load_weights` leaves something of what was before"),
    ("logits of unseen", "inference on other images than those handed over, or dropout in inference"),
    ("logits", "something behind the last layer: an activation, a softmax, dropout in inference"),
    (LOSSES, "what `train_steps` returns: the mean loss of each step, before its update, in the order of the steps"),
    ("loss", "labels, or how the loss is reduced: mean or sum, softmax twice"),
    ("gradient of", "the layer that follows in the network, stop-gradients, or how the loss is reduced"),
    (
        "large gradients: ",
        "gradients or logits that are clipped, losses that are capped or passed over, a floor under the "
        "learning rate, or a backward pass that is not the forward pass's",
    ),
    (
        "own configuration: ",
        "what differs with this feed, batch size, number of threads or of steps: indices of the "
        "resident data set, batches that are left out, buffers that are used again",
    ),
    ("dropout: logits", "dropout in inference, or a scale there"),
    ("dropout: likeness", "a key of the random numbers that is used again, or one mask for a whole batch"),
    ("dropout: values kept forward", "a gradient that passes where values were dropped"),
    ("dropout", "keep and drop exchanged, values not divided by keep, or a mask that is not drawn value by value"),
)


def first_failure(checks: list[Check]) -> Check | None:
    """The first check that fails in the order of computation; None where all passed."""
    return next((check for check in checks if not check.passed), None)


def explain(problem: Problem, found: Quantities, checks: list[Check]) -> list[str]:
    """Sentences: what differs first and by how much, what the difference looks like, what usually causes it."""
    first = first_failure(checks)
    if first is None:
        return []
    sentences = [
        f"First difference: {first.quantity}, by {first.error:.1e} of its largest value; "
        f"{first.tolerance:.1e} is allowed."
    ]
    value = found.get(first.quantity)
    looks, known = _looks(first, value, problem) if first.quantity in problem.expected else ([], False)
    cause = None if known else _cause(first.quantity)
    return [*sentences, *looks, *([f"Usual causes: {cause}."] if cause else [])]


def _cause(quantity: str) -> str | None:
    """What usually makes a quantity the first that differs; None where that is not known."""
    if quantity in asynchrony.TOLERANCES:
        return "`synchronize` returns before the work is done"
    for start, cause in _CAUSES:
        if quantity.startswith(start):
            return cause
    _, after, count = quantity.rpartition(" after ")
    if not after:
        return None
    if count == "1":
        return f"the optimizer's formula, its constants, decay, or the smaller batch of the first step (x {SMALLER:g})"
    return "what the optimizer remembers from step to step, the learning rate when it changes, or a batch left out"


def _looks(check: Check, found: np.ndarray | None, problem: Problem) -> tuple[list[str], bool]:
    """What the difference looks like, and whether that says its cause already, so that usual ones would mislead."""
    expected = problem.expected[check.quantity]
    if found is None:
        return ["The backend did not give it."], True
    if found.shape != expected.shape:
        return [f"Its shape is {found.shape}, the reference's {expected.shape}."], False
    if not np.isfinite(found).all():
        return [f"{int((~np.isfinite(found)).sum())} of its {found.size} values are not finite."], True
    if not expected.any():
        return [], False
    if check.quantity == LOSSES and _is_last_of_block(found, problem, check.tolerance):
        return ["All losses of a block are its last one: one buffer that every step overwrites, kept k times."], True
    mistakes = _mistakes(found, expected, problem.images.shape[1])
    shorter = "" if mistakes else _shorter(check.quantity, found, expected, problem.dtype)
    if shorter:
        return [f"It is off by as much as {shorter} would be: something computes in that."], True
    return [*mistakes, *_step(check, found, expected)], False


def _step(check: Check, found: np.ndarray, expected: np.ndarray) -> Iterator[str]:
    """Of losses, the first step whose loss is off."""
    if check.quantity == LOSSES:
        off = np.abs(found - expected) > check.tolerance * np.abs(expected).max()
        yield f"The first loss that is off is that of step {int(off.argmax()) + 1} of {len(off)}."


def _is_last_of_block(found: np.ndarray, problem: Problem, tolerance: float) -> bool:
    """Whether the losses of every block are the reference's last loss of that block."""
    expected = problem.expected[LOSSES]
    last = expected.copy()
    for first, behind, _ in blocks(problem.images.shape[1]):
        last[first:behind] = expected[behind - 1]
    return bool(np.abs(found - last).max() <= tolerance * np.abs(expected).max())


def _shorter(quantity: str, found: np.ndarray, expected: np.ndarray, dtype: str) -> str:
    """The shorter numbers whose rounding a difference looks like; empty where it looks like something else.

    Only of what is computed from the loaded weights: after steps, a wrong constant of the optimizer has any size.
    Rounding touches nearly every value by a share of its own, which is neither an edge nor a factor.
    """
    if dtype in MANTISSA_BITS or not (quantity.startswith(("output of", "gradient of")) or quantity in _FORWARD):
        return ""
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    if HALF[0] < error < HALF[1] and _is_rounding(found, expected, HALF, short=rounded(_single(found), "tf32")):
        return "float16, bfloat16 or TF32"
    if (
        dtype == "float64"
        and SINGLE[0] < error < SINGLE[1]
        and _is_rounding(found, expected, SINGLE, short=_single(found))
    ):
        return "float32"
    return ""


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _is_rounding(found: np.ndarray, expected: np.ndarray, size: tuple[float, float], *, short: np.ndarray) -> bool:
    """Whether nearly every value is off by a share of its own; a single value says too little, unless it is short."""
    if found.ndim == 0:
        return bool(short == found)
    there = expected != 0
    median = float(np.median(np.abs(found[there] / expected[there] - 1)))
    return size[0] / 10 < median < size[1]


def _factor(found: np.ndarray, expected: np.ndarray) -> float | None:
    """The factor between two arrays; None where one is not a multiple of the other."""
    factor = float((found * expected).sum() / (expected * expected).sum())
    left = np.abs(found - factor * expected).max()
    return factor if expected.size > 1 and left < LEFT * np.abs(found - expected).max() else None


def _mistakes(found: np.ndarray, expected: np.ndarray, batch: int) -> list[str]:
    # What a mistake would not change cannot tell of it: all losses are positive, with a ReLU behind them or without.
    names = [
        name
        for name, other in _transformed(found, expected, batch)
        if _alike(found, other) and not _alike(expected, other)
    ]
    if names:
        return [f"It looks as if {names[0]}."]
    factor = _factor(found, expected)
    if factor is not None:
        return [f"It is {factor:.6g} times what it should be."]
    if not _alike(found, expected) and _alike(np.sort(found, axis=None), np.sort(expected, axis=None)):
        return ["It has the same values in another order: the order of axes, or of Flatten."]
    return []


def _transformed(found: np.ndarray, expected: np.ndarray, batch: int) -> Iterator[tuple[str, np.ndarray]]:
    """Mistakes by name, each with what the reference would give had it been made."""
    yield "the loss were summed over the batch, not its mean", expected * batch
    yield "the loss were divided by the batch twice", expected / batch
    yield "the sign were wrong", -expected
    yield "a ReLU followed", np.maximum(expected, 0)
    if expected.ndim == 2:
        exponentials = np.exp(expected - expected.max(axis=1, keepdims=True))
        yield "a softmax followed", exponentials / exponentials.sum(axis=1, keepdims=True)
    if expected.ndim >= 2:
        yield "the images of the batch were shifted by one", np.roll(expected, 1, axis=0)
        yield "the images of the batch were shifted by one", np.roll(expected, -1, axis=0)
    if expected.ndim == 4:
        for axis, name in ((2, "rows"), (3, "columns")):
            for shift in (1, -1):
                yield f"{name} were shifted by one: padding on one side", np.roll(expected, shift, axis=axis)
        if expected.shape[2] == expected.shape[3]:
            yield "height and width were exchanged", expected.swapaxes(2, 3)


def _alike(found: np.ndarray, other: np.ndarray) -> bool:
    """Whether nearly all values agree: edges of a shifted image do not."""
    scale = np.abs(other).max()
    return bool(scale > 0 and np.quantile(np.abs(found - other) / scale, 0.8) < ALIKE)
