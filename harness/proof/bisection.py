"""Where does a backend begin to differ, and what does the difference look like? For people who write a backend.

Checks are in the order of computation: the first that fails is where to look; what follows from it fails too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.proof.problem import Check, Problem
from harness.worker import asynchrony
from harness.worker.quantities import LOSSES, SMALLER, Quantities

# Roundings to 11 and 8 bits, as float16, TF32 and bfloat16 have them, leave errors of about this size.
HALF = (1e-5, 2e-2)
# Two arrays are the same but for what a hint says where they differ by no more than this share of the largest value.
ALIKE = 1e-3

_CAUSES = (
    ("output of", "this layer's kind, its place, padding, or the order of its weights' axes"),
    ("logits after loading", "`load_weights` leaves something of what was before"),
    ("logits of unseen", "inference on other images than those handed over, or dropout in inference"),
    ("logits", "something behind the last layer: an activation, a softmax, dropout in inference"),
    ("loss", "labels, or how the loss is reduced: mean or sum, softmax twice"),
    ("gradient of", "the layer that follows in the network, stop-gradients, or how the loss is reduced"),
    ("dropout", "keep and drop exchanged, values not divided by keep, or dropout in inference"),
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
    if first.quantity in problem.expected:
        value = found.get(first.quantity)
        if value is None:
            sentences.append("The backend did not give it.")
        else:
            sentences += _looks(value, problem.expected[first.quantity], problem.images.shape[1])
            sentences += _step(first, value, problem)
    return [*sentences, f"Usual causes: {_cause(first.quantity)}."]


def _cause(quantity: str) -> str:
    if quantity in asynchrony.TOLERANCES:
        return "`synchronize` returns before the work is done"
    for start, cause in _CAUSES:
        if quantity.startswith(start):
            return cause
    if quantity.endswith(" after 1"):
        return f"the optimizer's formula, its constants, decay, or the smaller batch of the first step (x {SMALLER:g})"
    return "what the optimizer remembers from step to step, the learning rate when it changes, or a batch left out"


def _step(check: Check, found: np.ndarray, problem: Problem) -> Iterator[str]:
    """Of losses, the first step whose loss is off."""
    expected = problem.expected[check.quantity]
    if check.quantity == LOSSES and found.shape == expected.shape:
        off = np.abs(found - expected) > check.tolerance * np.abs(expected).max()
        yield f"The first loss that is off is that of step {int(off.argmax()) + 1} of {len(off)}."


def _looks(found: np.ndarray, expected: np.ndarray, batch: int) -> Iterator[str]:
    """What the difference looks like."""
    if found.shape != expected.shape:
        yield f"Its shape is {found.shape}, the reference's {expected.shape}."
        return
    if not np.isfinite(found).all():
        yield f"{int((~np.isfinite(found)).sum())} of its {found.size} values are not finite."
        return
    # What a mistake would not change cannot tell of it: all losses are positive, with a ReLU behind them or without.
    names = [
        name
        for name, other in _transformed(found, expected, batch)
        if _alike(found, other) and not _alike(expected, other)
    ]
    if names:
        yield f"It looks as if {names[0]}."
        return
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    if error < HALF[1]:
        if error > HALF[0]:
            yield "It is off by as much as float16, bfloat16 or TF32 would be: something computes in them."
    elif not _alike(found, expected) and _alike(np.sort(found, axis=None), np.sort(expected, axis=None)):
        yield "It has the same values in another order: the order of axes, or of Flatten."


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
