"""A training done over: what right backends come to, and what wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend
from harness.data.sources import Dataset
from harness.proof import starts
from harness.proof.posing import losses_of
from harness.proof.replay import LOSSES, Batch, Steps, replay
from harness.proof.starts import trained
from harness.spec.networks import get_network
from harness.spec.recipe import Recipe
from harness.spec.recipes import LENET5, with_optimizer
from harness.spec.start import Weights, initial_weights
from harness.worker.batches import prepare

LENET = get_network("lenet5")
STEPS = 12


@pytest.fixture(scope="module")
def second_start(tiny_dataset: Dataset) -> Weights:
    return trained(LENET, LENET5, tiny_dataset)


@pytest.fixture(scope="module")
def batches(tiny_dataset: Dataset) -> list[Batch]:
    order = np.random.default_rng(3).permutation(len(tiny_dataset.train_labels))[: STEPS * 16].reshape(STEPS, 16)
    images, labels = tiny_dataset.train_images, tiny_dataset.train_labels.astype(np.int32)
    return [(prepare(images[index], LENET.input_shape, "float32"), labels[index]) for index in order]


class Altered(Backend):
    """The reference in float32, with a step of its own."""

    change: Callable[..., Any] = staticmethod(lambda step, images, labels: step(images, labels))

    def _step(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return type(self).change(super()._step, images, labels)


def steps(
    start: Weights, batches: list[Batch], *, recipe: Recipe = LENET5, dtype: str = "float32", change: Any = None
) -> Steps:
    """What a backend comes to, whose every step is changed so."""
    made = type("Mine", (Altered,), {"change": staticmethod(change)} if change else {})
    backend = made(network=LENET, recipe=recipe, mode="eager", feed="host", device="cpu", dtype=dtype, threads=1)
    backend.load_weights(start)
    losses = backend.train_steps([(images.astype(dtype), labels) for images, labels in batches])
    return Steps(np.asarray(losses, np.float64), backend.dump_weights())


def worst(found: dict[str, float]) -> float:
    return max(np.inf if np.isnan(share) else share for share in found.values())


@pytest.mark.parametrize("optimizer", ["", "sgd", "nesterov", "adam", "adamw"])
@pytest.mark.parametrize("which", ["initial", "trained"])
def test_right_steps_are_within_rounding(
    second_start: Weights, batches: list[Batch], which: str, optimizer: str
) -> None:
    """From either start, with every kind of optimizer, in float32."""
    recipe = with_optimizer(LENET5, optimizer) if optimizer else LENET5
    start = second_start if which == "trained" else initial_weights(LENET, seed=0)

    done_over = replay(LENET, recipe, start, batches, dtype="float32")

    assert worst(done_over.shares(steps(start, batches, recipe=recipe))) < 0.5


WRONG = {
    "half of the batch": lambda step, images, labels: step(images[:8], labels[:8]),
    "half of the batch, twice": lambda step, images, labels: step(images[np.arange(16) % 8], labels[np.arange(16) % 8]),
    "labels of others": lambda step, images, labels: step(images, np.roll(labels, 1)),
    "float16 images": lambda step, images, labels: step(images.astype(np.float16).astype(np.float32), labels),
    "white clipped": lambda step, images, labels: step(np.clip(images, 0, np.float32(0.98)), labels),
    "its loss a thousandth off": lambda step, images, labels: step(images, labels) * np.float32(1.001),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_steps_are_found(second_start: Weights, batches: list[Batch], name: str) -> None:
    """By far more than what is allowed."""
    done_over = replay(LENET, LENET5, second_start, batches, dtype="float32")

    assert worst(done_over.shares(steps(second_start, batches, change=WRONG[name]))) > 3


def _on_ties(start: Weights, batches: list[Batch]) -> Iterator[tuple[Weights, list[Steps]]]:
    """Weights by which a unit is 0 but for rounding, and right steps on both of its sides; of unit after unit.

    It is so for the image of the first batch that costs most, because that has a say in what is learned.
    """
    images, labels = batches[0]
    exact = Backend(network=LENET, recipe=LENET5, mode="eager", feed="host", device="cpu", dtype="float64", threads=1)
    exact.load_weights(start)
    costly = losses_of(exact.logits(images.astype(float)), labels).argmax()
    sums, bias = exact.activations(images.astype(float))["dense1"][costly], start["dense1.bias"]
    for unit in np.argsort(-np.abs(sums)):
        here = np.arange(len(bias)) == unit
        at, *sides = (
            start | {"dense1.bias": (bias + here * (by - sums[unit])).astype(np.float32)} for by in (0.0, -4e-6, 4e-6)
        )
        yield at, [steps(side, batches) for side in sides]


def test_right_steps_on_the_other_side_of_a_tie_are_within_rounding(
    second_start: Weights, batches: list[Batch]
) -> None:
    """A ReLU that rounding decides makes another training of it: a second look knows that, the first one does not."""
    for start, sides in islice(_on_ties(second_start, batches), 8):
        done_over = replay(LENET, LENET5, start, batches, dtype="float32")
        first = max(worst(done_over.shares(side, patient=False)) for side in sides)
        if first > 1:
            break

    assert first > 10
    assert max(worst(done_over.shares(side)) for side in sides) <= 1
    # No more is allowed for a tie than what falls to its other side.
    assert worst(done_over.shares(steps(start, batches, change=WRONG["half of the batch"]))) > 1


def test_one_missing_update_is_found(second_start: Weights, batches: list[Batch]) -> None:
    """Losses are those before each update, so the last update shows in the weights alone."""
    done_over = replay(LENET, LENET5, second_start, batches, dtype="float32")
    right = steps(second_start, batches)
    before = steps(second_start, batches[:-1])

    shares = done_over.shares(Steps(right.losses, before.weights))

    assert shares[LOSSES] < 0.5
    assert min(share for name, share in shares.items() if name != LOSSES) > 10


def test_float32_is_no_float64(second_start: Weights, batches: list[Batch]) -> None:
    """Tolerances are those of the precision that was asked for."""
    done_over = replay(LENET, LENET5, second_start, batches, dtype="float64")

    assert worst(done_over.shares(steps(second_start, batches, dtype="float64"))) < 0.5
    assert worst(done_over.shares(steps(second_start, batches))) > 1000


@pytest.mark.parametrize(
    "change",
    [
        lambda right: Steps(right.losses[:-1], right.weights),
        lambda right: Steps(right.losses * np.nan, right.weights),
        lambda right: Steps(right.losses, {}),
        lambda right: Steps(right.losses, {name: value[:1] for name, value in right.weights.items()}),
    ],
    ids=["a loss short", "no numbers", "no weights", "other shapes"],
)
def test_what_cannot_be_compared_does_not_pass(second_start: Weights, batches: list[Batch], change: Any) -> None:
    """Not a number, which is no share within 1."""
    done_over = replay(LENET, LENET5, second_start, batches, dtype="float32")

    assert any(not share <= 1 for share in done_over.shares(change(steps(second_start, batches))).values())


def test_second_start_is_kept(tiny_dataset: Dataset, second_start: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has learned something, is the same the next time without training, and another for another recipe."""
    images = prepare(tiny_dataset.test_images, LENET.input_shape, "float32")
    backend = Backend(network=LENET, recipe=LENET5, mode="eager", feed="host", device="cpu", dtype="float32", threads=1)
    backend.load_weights(second_start)
    assert (backend.logits(images).argmax(axis=1) == tiny_dataset.test_labels).mean() > 0.5

    with monkeypatch.context() as patch:
        patch.setattr(starts, "reference", None)
        again = trained(LENET, LENET5, tiny_dataset)
    for name, value in second_start.items():
        np.testing.assert_array_equal(again[name], value)
    assert starts._path(LENET, replace(LENET5, momentum=0.5), tiny_dataset) != starts._path(LENET, LENET5, tiny_dataset)


@pytest.mark.parametrize("damage", ["empty", "cut", "another", "a bit"])
def test_damaged_start_is_made_anew(
    tiny_dataset: Dataset, second_start: Weights, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not whole counts as none."""
    path = starts._path(LENET, LENET5, tiny_dataset)
    good = path.read_bytes()
    other = {name: value + (name == "conv1.bias") for name, value in second_start.items()}
    if damage == "another":
        with np.load(path) as archive:
            digest = archive["sha256"]
        np.savez(path, sha256=digest, **other)
    else:
        bit = bytearray(good)
        bit[len(good) // 2] ^= 1
        path.write_bytes({"empty": b"", "cut": good[: len(good) // 2], "a bit": bytes(bit)}[damage])
    try:
        assert starts._read(path, LENET) is None
    finally:
        path.write_bytes(good)
    assert starts._read(path, LENET) is not None
