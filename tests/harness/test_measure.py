"""The stopwatch and the loops around it, with a fake clock and a backend that records."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import measure, training
from harness.batches import Data, batches_digest, prepare
from harness.data import Dataset
from harness.job import BLOCK_STEPS, LATENCY_QUERIES, Entrant, Job
from harness.measure import is_steady, timed
from harness.recipe import LENET5
from harness.rounds import write_dataset
from harness.start import batch_indices, epoch_order


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


class Recorder:
    """A backend that keeps what it is given; the k-th call of train_steps takes durations[k] seconds."""

    def __init__(self, clock: Clock, durations: Iterator[float], logits: Iterator[float] | None = None) -> None:
        self.clock = clock
        self.durations = durations
        self.logits_durations = logits or iter(())
        self.pending = 0.0
        self.calls: list[str] = []
        self.batches: list[Any] = []
        self.rates: list[float] = []

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        self.calls.append("load")

    def set_learning_rate(self, value: float) -> None:
        self.rates.append(value)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.clock.now += 1000  # nothing that is timed may contain this
        return images, labels

    def train_steps(self, batches: Any) -> list[float]:
        self.calls.append("train")
        self.batches.append(batches)
        self.pending += next(self.durations)
        # The loss of a batch is the number of its images: a mean of batches would not be a mean of images.
        return [float(len(batch[1] if isinstance(batch, tuple) else batch)) for batch in batches]

    def logits(self, images: np.ndarray) -> np.ndarray:
        self.calls.append("logits")
        self.pending += next(self.logits_durations)
        return np.eye(10)[np.arange(len(images)) % 10]

    def synchronize(self) -> None:
        self.calls.append("synchronize")
        self.clock.now += self.pending
        self.pending = 0.0

    def to_numpy(self, value: Any) -> np.ndarray:
        self.synchronize()
        return np.asarray(value)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    yield Clock(monkeypatch)
    gc.unfreeze()


@pytest.fixture
def data(tiny_dataset: Dataset, tmp_path: Path) -> Data:
    write_dataset(tiny_dataset, tmp_path)
    return Data(tmp_path, input_shape=(1, 32, 32), dtype="float32")


@pytest.fixture
def make_job(make_entrant: Callable[..., Entrant]) -> Callable[..., Job]:
    def make(*, feed: str = "host", batch_size: int = 64, **changes: Any) -> Job:
        entrant = make_entrant(feed=feed, batch_size=batch_size)
        options = {"kind": "measure", "recipe": LENET5.as_dict(), "seed": 3, "data": "", "weights": ""}
        return Job(entrant=entrant, **(options | changes))

    return make


def test_timed_is_from_idle_to_idle(clock: Clock) -> None:
    """Work queued before is not counted, work queued by the call is: both ends synchronise."""
    backend = Recorder(clock, iter([2.0]))
    backend.pending = 50.0

    seconds = timed(backend.train_steps, [], synchronize=backend.synchronize)

    assert seconds == 2.0
    assert backend.calls == ["synchronize", "train", "synchronize"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1.0] * 9, False),
        ([1.0] * 10, True),
        ([2.0] * 5 + [1.0] * 5, False),
        ([9.0] * 5 + [1.0] * 10, True),
        ([1.0] * 5 + [1.029] * 5, True),
        ([1.0] * 5 + [1.031] * 5, False),
        ([1.0] * 5 + [0.969] * 5, False),
        ([1.0, 1.0, 9.0, 1.0, 9.0] + [1.0] * 5, True),
    ],
)
def test_steadiness_compares_medians(seconds: list[float], expected: bool) -> None:
    """Steady means that the medians of the last five and of the five before agree within 3 %."""
    assert is_steady(seconds) is expected


@pytest.mark.parametrize("feed", ["host", "device"])
def test_blocks_hold_the_epochs_batches(make_job: Callable[..., Job], data: Data, feed: str) -> None:
    """Blocks have 20 full batches each, in the order of the first epoch, going round a small data set."""
    order = epoch_order(650, seed=3, epoch=0)
    full = [index for index in batch_indices(order, 64) if len(index) == 64]
    source = measure.blocks(make_job(feed=feed), data)

    first, second = next(source), next(source)
    again = [next(source) for _ in range(4)][-1]

    assert len(full) == 10
    assert len(first) == BLOCK_STEPS == 20
    if feed == "device":
        np.testing.assert_array_equal(first, np.stack(full + full))
        assert again is first
    else:
        for number in range(20):
            index = full[number % 10]
            expected = prepare(data.train_images[index], (1, 32, 32), "float32")
            np.testing.assert_array_equal(first[number][0], expected)
            np.testing.assert_array_equal(first[number][1], data.train_labels[index])
            np.testing.assert_array_equal(second[number][1], first[number][1])
    assert again is first


def test_blocks_differ_where_there_is_enough_data(make_job: Callable[..., Job], data: Data) -> None:
    """With batches of 8 of 650 images the second block goes on where the first ended."""
    order = epoch_order(650, seed=3, epoch=0)
    source = measure.blocks(make_job(feed="device", batch_size=8), data)

    np.testing.assert_array_equal(next(source).ravel(), order[:160])
    np.testing.assert_array_equal(next(source).ravel(), order[160:320])


def test_training_figures(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Warm-up is not counted; median, 95th percentile and images a second come from the blocks after it."""
    warmup = [10.0] * 5 + [1.0] * 8  # five ones, and before them a window with three
    steady = [0.2 * number for number in range(1, 11)]
    backend = Recorder(clock, iter(warmup + steady))
    numbers = [[(None, [number])] for number in range(23)]

    row = measure.training(make_job(steady_s=3.0, warmup_limit_s=1000), backend, iter(numbers))

    assert row["steady"] is True
    assert row["warmup_steps"] == 13 * 20
    assert row["steady_steps"] == 10 * 20
    assert row["step_us_median"] == pytest.approx(1.1 / 20 * 1e6)
    assert row["step_us_p95"] == pytest.approx(np.percentile(steady, 95) / 20 * 1e6)
    assert row["train_images_per_s"] == pytest.approx(64 * 20 / 1.1)
    assert row["cpu_s_user"] >= 0
    assert backend.batches == numbers


def test_training_lasts_as_long_as_asked(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Blocks are timed until the asked seconds are over, and there are ten at least."""
    long = measure.training(make_job(steady_s=30.0), Recorder(clock, iter([1.0] * 100)), iter([[]] * 100))

    assert long["steady_steps"] == 30 * 20


def test_warm_up_gives_up(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Training that never becomes steady is measured all the same, and marked."""
    durations = iter([1.5**number for number in range(60)])

    row = measure.training(make_job(steady_s=0.1, warmup_limit_s=5.0), Recorder(clock, durations), iter([[]] * 60))

    assert row["steady"] is False
    assert row["steady_steps"] == 200


def test_latency_is_of_1024_single_images(clock: Clock, data: Data) -> None:
    """1,024 timed queries of one image each, after a warm-up, going round the test half; put is not counted."""
    seconds = [7.0] * 64 + [number / 1e6 for number in range(1, 1025)]
    backend = Recorder(clock, iter(()), iter(seconds))

    row = measure.latency(backend, data)

    assert LATENCY_QUERIES == 1024
    assert backend.calls.count("logits") == 64 + 1024
    milliseconds = np.arange(1, 1025) / 1e3
    for name, percent in (("latency_ms_p50", 50), ("latency_ms_p95", 95), ("latency_ms_p99", 99)):
        assert row[name] == pytest.approx(np.percentile(milliseconds, percent))


def test_inference_is_the_median_batch(clock: Clock, data: Data) -> None:
    """Images a second are 500 over the median batch of two passes, after two that are not counted."""
    backend = Recorder(clock, iter(()), iter([9.0, 9.0, 2.0, 3.0]))

    row = measure.inference(backend, data)

    assert row == {"inference_batch_size": 500, "inference_images_per_s": pytest.approx(500 / 2.5)}


@pytest.mark.parametrize("feed", ["host", "device"])
def test_epochs_have_each_image_once(
    clock: Clock, make_job: Callable[..., Job], data: Data, monkeypatch: pytest.MonkeyPatch, feed: str
) -> None:
    """An epoch is the order's batches, the small one alone; loss is a mean over images; evaluation is not training."""
    monkeypatch.setattr(training, "CHUNK", 4)
    backend = Recorder(clock, iter([500.0, 500.0] + [1.0] * 4 + [2.0] * 4), iter([3.0] * 2))
    told: list[dict[str, Any]] = []
    job = make_job(feed=feed, kind="train", epochs=2)

    row = training.train_epochs(job, backend, data, {}, lambda event, **values: told.append({"event": event} | values))

    warm, epochs = backend.batches[:2], [backend.batches[2:6], backend.batches[6:]]
    assert [len(batches[0][1]) if feed == "host" else len(batches[0]) for batches in warm] == [64, 10]
    assert backend.calls.index("load") > [i for i, call in enumerate(backend.calls) if call == "train"][1]
    for number, chunks in enumerate(epochs):
        order = epoch_order(650, seed=3, epoch=number)
        assert [len(chunk) for chunk in chunks] == [4, 4, 2, 1]
        if feed == "device":
            np.testing.assert_array_equal(np.concatenate([np.ravel(chunk) for chunk in chunks]), order)
        else:
            labels = np.concatenate([labels for chunk in chunks for _, labels in chunk])
            images = np.concatenate([images for chunk in chunks for images, _ in chunk])
            np.testing.assert_array_equal(labels, data.train_labels[order])
            np.testing.assert_array_equal(images, prepare(data.train_images[order], (1, 32, 32), "float32"))
    rows = [message for message in told if message["event"] == "epoch"]
    assert [each["epoch"] for each in rows] == [1, 2]
    assert [each["train_s"] for each in rows] == [4.0, 8.0]
    assert rows[0]["train_loss"] == pytest.approx((640 * 64 + 10 * 10) / 650)
    assert backend.rates == [LENET5.learning_rate, LENET5.learning_rate / 2]
    expected = float((data.test_labels == np.arange(500) % 10).mean())
    assert row == {"epochs": 2, "test_accuracy": expected}
    progress = [message["done"] for message in told if message["event"] == "progress"]
    assert progress == [0.25, 0.5, 0.75, 1.0] * 2


def test_digest_samples_the_last_batch(data: Data) -> None:
    """A backend that spoils only the last, smaller batch is caught too."""

    class Spoiler:
        def read_back(self, batch: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            images, labels = batch
            return (images, labels) if len(labels) == 64 else (images, labels[::-1])

    with pytest.raises(RuntimeError, match="batches that the backend read back"):
        batches_digest(Spoiler(), data, seed=0, batch_size=64, feed="host")


def test_pixels_become_padded_floats() -> None:
    """0..255 becomes 0..1 in float32 with a border of zeros; images that do not fit are refused."""
    images = np.full((2, 1, 28, 28), 51, np.uint8)

    prepared = prepare(images, (1, 32, 32), "float64")

    assert prepared.dtype == np.float64
    assert prepared[:, :, 2:30, 2:30].min() == prepared.max() == float(np.float32(51) / np.float32(255))
    assert prepared.sum() == pytest.approx(2 * 28 * 28 * 0.2)
    with pytest.raises(ValueError, match=r"shape \(1, 28, 28\) do not fit the network's input \(3, 32, 32\)"):
        prepare(images, (3, 32, 32), "float32")
