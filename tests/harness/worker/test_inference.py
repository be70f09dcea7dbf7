"""Inference and latency, with a clock of their own and a backend that records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.worker import inference
from harness.worker.batches import Data
from harness.worker.inference import evaluation_batches
from harness.worker.job import LATENCY_QUERIES, Job
from tests.harness.worker.made_up_backend import Clock, Recorder


def test_latency_is_of_1024_single_images(clock: Clock, data: Data) -> None:
    """1,024 timed queries of one image each, after a warm-up, going round the test half; put is not counted."""
    seconds = [7.0] * 64 + [number / 1e6 for number in range(1, 1025)]
    backend = Recorder(clock, iter(()), iter(seconds))

    row = inference.latency(backend, data)

    assert LATENCY_QUERIES == 1024
    assert backend.calls.count("logits") == 64 + 1024
    milliseconds = np.arange(1, 1025) / 1e3
    for name, percent in (("latency_ms_p50", 50), ("latency_ms_p95", 95), ("latency_ms_p99", 99)):
        assert row[name] == pytest.approx(np.percentile(milliseconds, percent))
    kept = dict(row["latency"])
    assert (kept[0], kept[100]) == (pytest.approx(0.001, rel=1e-5), pytest.approx(1.024))
    assert [kept[50], kept[95], kept[99]] == [row[f"latency_ms_p{each}"] for each in (50, 95, 99)]


def test_inference_is_of_the_median_call(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Each size in ascending order, two calls that are not counted and five that are; the largest size is the row's."""
    of_64, of_500 = [9.0, 9.0, 5.0, 1.0, 3.0, 2.0, 4.0], [9.0, 9.0, 0.5, 0.25, 1.0, 2.0, 4.0]
    backend = Recorder(clock, iter(()), iter(of_64 + of_500))

    row = inference.throughput(make_job(inference_sizes=(500, 64)), backend, data)

    assert [len(images) for images in backend.asked] == [64] * 7 + [500] * 7
    assert row["inference"] == [(64, pytest.approx(64 / 3)), (500, pytest.approx(500 / 1))]
    assert row["inference_batch_size"] == 500
    assert row["inference_images_per_s"] == pytest.approx(500)


def test_inference_of_small_batches_lasts_long_enough(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Short calls are repeated for 0.2 s, over different images, and going round them where they are few."""
    backend = Recorder(clock, iter(()), iter([1 / 32] * 100))

    inference.throughput(make_job(inference_sizes=(1, 200)), backend, data)

    single, large = backend.asked[:9], backend.asked[9:]
    assert [len(images) for images in backend.asked] == [1] * 9 + [200] * 9  # 7 / 32 is the first to be over 0.2
    np.testing.assert_array_equal(np.concatenate(single), data.test_batch(slice(0, 9))[0])
    for number, images in enumerate(large):
        start = 200 * (number % 2)
        np.testing.assert_array_equal(images, data.test_batch(slice(start, start + 200))[0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [500]),
        ({"size": 64}, [64] * 7 + [52]),
        ({"size": 64, "limit": 1000}, [64] * 7),
        ({"size": 64, "limit": 200}, [64] * 3),
        ({"size": 64, "limit": 192}, [64] * 3),
        ({"size": 64, "limit": 10}, [64]),
        ({"size": 1, "limit": 3}, [1] * 3),
    ],
)
def test_evaluation_batches_cover_the_test_half(
    clock: Clock, data: Data, options: dict[str, int], expected: list[int]
) -> None:
    """Every test image once, in order; under a limit only full batches, but one at least."""
    found = list(evaluation_batches(Recorder(clock, iter(())), data, **options))

    assert [len(images) for images, _ in found] == [len(labels) for _, labels in found] == expected
    images, labels = data.test_batch(slice(0, sum(expected)))
    np.testing.assert_array_equal(np.concatenate([each for each, _ in found]), images)
    np.testing.assert_array_equal(np.concatenate([each for _, each in found]), labels)
