"""Epochs, and the batches that they are made of, with a fake clock and a backend that records."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.sources import Dataset
from harness.runs.scratch import write_dataset
from harness.spec.recipes import LENET5
from harness.spec.start import epoch_order
from harness.worker import epochs
from harness.worker.batches import Data, batches_digest, prepare
from harness.worker.job import EVALUATION_FILE, Entrant, Job


class Trainee:
    """A backend that keeps its batches; a training call takes 1 s in the first epoch, 2 s in the second, and so on.

    Its accuracy after each epoch is given, the test half being one batch of evaluation, which takes 8 s.
    """

    def __init__(self, accuracies: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.accuracies = iter(accuracies)
        self.batches: list[Any] = []
        self.rates: list[float] = []
        self.loaded_after: list[int] = []
        self.now = self.pending = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        self.loaded_after.append(len(self.batches))

    def dump_weights(self) -> dict[str, np.ndarray]:
        return {"rates": np.array(self.rates)}

    def set_learning_rate(self, value: float) -> None:
        self.rates.append(value)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.labels = labels
        return images, labels

    def train_steps(self, batches: Any) -> list[float]:
        self.batches.append(batches)
        # Before the first rate is set it only warms up.
        self.pending += float(len(self.rates) or 1000)
        # The loss of a batch is the number of its images: a mean of batches would not be a mean of images.
        return [float(len(batch[1] if isinstance(batch, tuple) else batch)) for batch in batches]

    def logits(self, images: np.ndarray) -> np.ndarray:
        self.pending += 8.0
        wrong = np.arange(len(images)) >= round(next(self.accuracies) * len(images))
        return np.eye(10)[(self.labels + wrong) % 10]

    def synchronize(self) -> None:
        self.now += self.pending
        self.pending = 0.0

    def to_numpy(self, value: Any) -> np.ndarray:
        self.synchronize()
        return np.asarray(value)


@pytest.fixture
def data(tiny_dataset: Dataset, tmp_path: Path) -> Data:
    write_dataset(tiny_dataset, tmp_path)
    return Data(tmp_path, input_shape=(1, 32, 32), dtype="float32")


@pytest.fixture
def train(
    data: Data, make_entrant: Callable[..., Entrant], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[dict[str, Any], Trainee, list[dict[str, Any]]]]:
    """Return a function that trains: what is returned, the backend, and what was told."""

    def run(
        accuracies: list[float], *, feed: str = "host", **changes: Any
    ) -> tuple[dict[str, Any], Trainee, list[dict[str, Any]]]:
        options = {"kind": "train", "recipe": LENET5.as_dict(), "seed": 3, "data": "", "weights": ""}
        job = Job(entrant=make_entrant(feed=feed), **(options | {"epochs": len(accuracies)} | changes))
        backend = Trainee(accuracies, monkeypatch)
        told: list[dict[str, Any]] = []
        row = epochs.train_epochs(job, backend, data, {}, lambda event, **values: told.append({"": event} | values))
        return row, backend, told

    return run


@pytest.mark.parametrize("feed", ["host", "device"])
def test_epochs_have_each_image_once(
    train: Callable[..., Any], data: Data, monkeypatch: pytest.MonkeyPatch, feed: str
) -> None:
    """An epoch is the order's batches, the small one alone; loss is a mean over images; evaluation is not training."""
    monkeypatch.setattr(epochs, "steps_of", lambda entrant: 4)

    row, backend, told = train([0.5, 0.75], feed=feed)

    warm, trained = backend.batches[:3], [backend.batches[3:7], backend.batches[7:]]
    sizes = [(len(batches), len(batches[0][1]) if feed == "host" else len(batches[0])) for batches in warm]
    assert sizes == [(4, 64), (2, 64), (1, 10)], "every shape that an epoch has, so that none is compiled in it"
    assert backend.loaded_after == [3]
    for number, chunks in enumerate(trained):
        order = epoch_order(650, seed=3, epoch=number)
        assert [len(chunk) for chunk in chunks] == [4, 4, 2, 1]
        if feed == "device":
            np.testing.assert_array_equal(np.concatenate([np.ravel(chunk) for chunk in chunks]), order)
        else:
            labels = np.concatenate([labels for chunk in chunks for _, labels in chunk])
            images = np.concatenate([images for chunk in chunks for images, _ in chunk])
            np.testing.assert_array_equal(labels, data.train_labels[order])
            np.testing.assert_array_equal(images, prepare(data.train_images[order], (1, 32, 32), "float32"))
    rows = [message for message in told if message[""] == "epoch"]
    assert [each["epoch"] for each in rows] == [1, 2]
    assert [each["train_s"] for each in rows] == [4 * 1.0, 4 * 2.0]
    assert [each["evaluate_s"] for each in rows] == [8.0, 8.0]
    assert [each["test_accuracy"] for each in rows] == [0.5, 0.75]
    assert rows[0]["train_loss"] == pytest.approx((640 * 64 + 10 * 10) / 650)
    assert backend.rates == [LENET5.learning_rate, LENET5.learning_rate / 2]
    assert row == {"epochs": 2, "test_accuracy": 0.75}
    progress = [message["done"] for message in told if message[""] == "progress"]
    assert progress == [0.25, 0.5, 0.75, 1.0] * 2


@pytest.mark.parametrize(
    ("until", "expected"),
    [(0.0, 4), (0.9, 2), (0.902, 3), (0.4, 1), (1.0, 4)],
    ids=["no target", "just reached", "just missed", "at once", "never"],
)
def test_training_ends_with_the_epoch_that_reaches_its_target(
    train: Callable[..., Any], until: float, expected: int
) -> None:
    """No epoch is begun once the target is reached; the row says how many there were, and their last accuracy."""
    accuracies = [0.5, 0.9, 0.98, 0.8]

    row, backend, told = train(accuracies, until=until)

    assert row == {"epochs": expected, "test_accuracy": accuracies[expected - 1]}
    assert len(backend.rates) == expected
    told_of = [message["test_accuracy"] for message in told if message[""] == "epoch"]
    assert told_of == accuracies[:expected]


def test_perfect_accuracy_ends_nothing_without_a_target(train: Callable[..., Any]) -> None:
    """All epochs are trained where no target was asked for, even if there is nothing left to learn."""
    row, _, _ = train([1.0, 1.0, 1.0])

    assert row["epochs"] == 3


def test_training_accuracy_is_taken_before_each_step(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, data: Data
) -> None:
    """Each batch's logits are asked for after the steps before it and before its own, and not while the clock runs."""
    steps_done: list[int] = []
    right = Trainee.logits

    def logits(self: Trainee, images: np.ndarray) -> np.ndarray:
        steps_done.append(len(self.batches))
        return right(self, images)

    monkeypatch.setattr(Trainee, "logits", logits)
    count = -(-len(data.train_labels) // 64)

    _, backend, told = train([0.5] * 1000, epochs=1, train_accuracy=True)
    (epoch,) = (message for message in told if message[""] == "epoch")

    before = len(backend.batches) - count
    assert steps_done[:count] == list(range(before, before + count))
    assert epoch["train_accuracy"] == pytest.approx(0.5, abs=0.02)
    assert epoch["train_s"] == count


@pytest.mark.parametrize(("number", "kept_of"), [(0.0, 2), (0.49, 2), (0.51, 1)])
def test_answers_of_one_epoch_are_kept(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: float, kept_of: int
) -> None:
    """As many as a batch has, from all batches, with the weights they were made with; another launch keeps others."""
    monkeypatch.setattr(epochs, "EVALUATION_BATCH", 200)
    monkeypatch.setattr(epochs._draw, "random", lambda: number)
    right, asked = Trainee.logits, []
    monkeypatch.setattr(Trainee, "logits", lambda *given: asked.append(right(*given)) or asked[-1])
    folder, drawn = tmp_path / "audited", []
    for _ in range(2):
        asked.clear()
        row, _, _ = train([0.5, 1.0, 0.25, 0.75, 0.75, 0.75], epochs=2, output=str(folder))
        with np.load(folder / EVALUATION_FILE) as kept:
            assert len(set(kept["images"].tolist())) == 200
            assert {each // 200 for each in kept["images"]} == {0, 1, 2}
            logits = np.concatenate(asked[3 * (kept_of - 1) : 3 * kept_of])
            np.testing.assert_array_equal(kept["logits"], logits[kept["images"]])
            assert len(kept["rates"]) == kept_of
            drawn.append(kept["images"].tolist())

    assert row["test_accuracy"] == 0.75
    assert drawn[0] != drawn[1]


def test_short_epochs_go_on_where_the_last_ended(train: Callable[..., Any], data: Data) -> None:
    """Epochs of four steps take the order's batches four by four, into the next order where one ends."""
    in_all = -(-len(data.train_labels) // 64)
    epochs = in_all // 4 + 1
    recipe = replace(LENET5, epoch_steps=4).as_dict()
    _, backend, _ = train([0.5] * 1000, epochs=epochs, feed="device", recipe=recipe)
    orders = [index for epoch in (0, 1) for index in data.order(seed=3, epoch=epoch, batch_size=64)]

    trained = [index for block in backend.batches[backend.loaded_after[-1] :] for index in block]

    assert len(trained) == 4 * epochs > in_all
    for found, expected in zip(trained, orders):
        np.testing.assert_array_equal(found, expected)


def test_digest_samples_the_last_batch(data: Data) -> None:
    """A backend that spoils only the last, smaller batch is caught too."""

    class Spoiler:
        def read_back(self, batch: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            images, labels = batch
            return (images, labels) if len(labels) == 64 else (images, labels[::-1])

    with pytest.raises(RuntimeError, match="batches that the backend read back"):
        batches_digest(Spoiler(), data, seed=0, batch_size=64, feed="host")


def test_audit_reads_back_every_batch(data: Data) -> None:
    """A whole epoch, each batch once; a sample is four of them, and another digest."""
    seen = []

    class Keeper:
        def read_back(self, batch):
            seen.append(len(batch[1]))
            return batch

    digest, count = batches_digest(Keeper(), data, seed=0, batch_size=64, feed="host", audit=True)
    sample, few = batches_digest(Keeper(), data, seed=0, batch_size=64, feed="host")

    assert sum(seen[:count]) == len(data.train_labels)
    assert (count, few) == (-(-len(data.train_labels) // 64), 4)
    assert digest != sample


def test_pixels_become_padded_floats() -> None:
    """0..255 becomes 0..1 in float32 with a border of zeros; images that do not fit are refused."""
    images = np.full((2, 1, 28, 28), 51, np.uint8)

    prepared = prepare(images, (1, 32, 32), "float64")

    assert prepared.dtype == np.float64
    assert prepared[:, :, 2:30, 2:30].min() == prepared.max() == float(np.float32(51) / np.float32(255))
    assert prepared.sum() == pytest.approx(2 * 28 * 28 * 0.2)
    with pytest.raises(ValueError, match=r"shape \(1, 28, 28\) do not fit the network's input \(3, 32, 32\)"):
        prepare(images, (3, 32, 32), "float32")
