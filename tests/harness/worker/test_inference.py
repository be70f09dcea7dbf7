"""Inference and latency, with a clock of their own and a backend that records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.worker import inference
from harness.worker.batches import Data
from harness.worker.job import LATENCY_QUERIES, Job
from tests.harness.worker.made_up_backend import Blocks, Clock, Recorder


def recorder(clock: Clock, seconds: list[float]) -> Recorder:
    """A backend whose calls of `logits` take so long, and whose training steps nothing."""
    return Recorder(clock, iter([0.0] * 1000), iter(seconds))


def source() -> Blocks:
    return Blocks(iter([[0]] * 1000))


def test_latency_is_of_1024_single_images(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """1,024 timed queries of one image each, after a warm-up, going round the test half; put is not counted."""
    backend = recorder(clock, [7.0] * 64 + [number / 1e6 for number in range(1, 1025)])

    row = inference.latency(make_job(), backend, data, source(), step_s=0.0)

    assert LATENCY_QUERIES == 1024
    assert backend.calls.count("logits") == 64 + 1024
    assert backend.calls[:2] == ["train", "synchronize"]
    milliseconds = np.arange(1, 1025) / 1e3
    for name, percent in (("latency_ms_p50", 50), ("latency_ms_p95", 95), ("latency_ms_p99", 99)):
        assert row[name] == pytest.approx(np.percentile(milliseconds, percent))
    kept = dict(row["latency"])
    assert (kept[0], kept[100]) == (pytest.approx(0.001, rel=1e-5), pytest.approx(1.024))
    assert [kept[50], kept[95], kept[99]] == [row[f"latency_ms_p{each}"] for each in (50, 95, 99)]


@pytest.mark.parametrize(("whole", "expected"), [((), 0.5), (("eager",), 3.0)])
def test_a_step_alone_is_timed_where_it_is_no_step_of_a_block(
    clock: Clock,
    make_job: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
    whole: tuple[str, ...],
    expected: float,
) -> None:
    """In modes that run whole blocks, the second call of one step; the first may compile."""
    monkeypatch.setattr(inference, "blockwise", lambda backend: whole)
    backend = Recorder(clock, iter([90.0, 3.0]))

    assert inference.step_s(make_job(), backend, source(), of_block_s=0.5) == expected


def test_inference_is_of_the_median_call(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Each size in ascending order, in series of which two calls are not counted; the largest size is the row's."""
    of_64, of_500 = [9.0, 9.0, *range(1, 16)], [9.0, 9.0, 0.5, 0.25, 1.0, 9.0, 9.0, 0.125, 2.0, 4.0]
    backend = recorder(clock, of_64 + of_500)

    row = inference.throughput(make_job(inference_sizes=(500, 64)), backend, data, source(), step_s=0.0)

    assert [len(images) for images in backend.asked] == [64] * 17 + [500] * 10
    assert row["inference"] == [(64, pytest.approx(64 / 8)), (500, pytest.approx(500 / 0.75))]
    assert row["inference_batch_size"] == 500
    assert row["inference_images_per_s"] == pytest.approx(500 / 0.75)


def test_inference_of_small_batches_lasts_long_enough(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Short calls are repeated for 0.2 s, over different images, and going round them where they are few."""
    backend = recorder(clock, [1 / 512] * 1000)

    inference.throughput(make_job(inference_sizes=(1, 200)), backend, data, source(), step_s=0.0)

    single, large = backend.asked[:132], backend.asked[132:]
    assert [len(images) for images in backend.asked] == [1] * 132 + [200] * len(large)
    assert len(large) * 5 / 7 / 512 >= 0.2
    np.testing.assert_array_equal(np.concatenate(single), data.test_batch(slice(0, 132))[0])
    for number, images in enumerate(large):
        start = 200 * (number % 2)
        np.testing.assert_array_equal(images, data.test_batch(slice(start, start + 200))[0])


def test_nothing_is_asked_about_twice(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Every query has an array of its own, handed over before the training step that lies between."""
    backend = recorder(clock, [1 / 512] * 2000)

    inference.throughput(make_job(inference_sizes=(8,)), backend, data, source(), step_s=0.0)
    inference.latency(make_job(), backend, data, source(), step_s=0.0)

    assert len({id(images) for images in backend.asked}) == len(backend.asked)
    calls = [call for call in backend.calls if call != "synchronize"]
    series = "".join(call[0] for call in calls).split("t")
    assert [len(each) for each in series] == [0, 2 + 64, 2 + 64, 64 + 1024]


def test_a_tenth_of_the_answers_is_kept(clock: Clock, make_job: Callable[..., Job], data: Data, tmp_path: Path) -> None:
    """With the images that they are about, and the weights; others in every launch."""
    drawn = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        backend = recorder(clock, [1 / 512] * 2000)
        inference.latency(make_job(output=str(folder)), backend, data, source(), step_s=0.0)
        with np.load(folder / "latency.npz") as archive:
            drawn.append(archive["images"].ravel().tolist())
            assert archive["logits"].shape == (102, 1, 10)
            assert archive["weight"].tolist() == [0, 0, 0]
            assert (archive["start"], archive["step"].tolist(), archive["losses"].tolist()) == (1, [5, 7], [0.5])
            answers = data.test_batch(slice(0, 500))[0].reshape(500, -1)[:, :10]
            np.testing.assert_array_equal(archive["logits"][:, 0], answers[archive["images"].ravel()])

    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("waiting", [0.0, 50.0])
def test_answers_before_they_are_asked_for_are_seen(
    clock: Clock, make_job: Callable[..., Job], data: Data, monkeypatch: pytest.MonkeyPatch, waiting: float
) -> None:
    """Work in the step, in loading, or in the first `synchronize`, but for two steps' time, over the answers' time; not
    waiting for a CPU that others have."""

    def wait(self: Recorder, weights: dict[str, np.ndarray]) -> None:
        clock.now += waiting
        clock.elsewhere += waiting

    monkeypatch.setattr(Recorder, "load_weights", wait)

    def spare(step: float) -> float:
        backend = Recorder(clock, iter([step] * 1000), iter([1 / 64] * 2000))
        found: float = inference.throughput(make_job(inference_sizes=(8,)), backend, data, source(), step_s=0.5)[
            "spare"
        ][0]
        return found

    assert spare(0.5) < 0
    assert spare(1.0) == pytest.approx(0.0)
    assert spare(1.0 + 66 / 64) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("looks", "waits", "expected"),
    [
        ([0.25] * 200, [0.0] * 200, 0.5),
        # All are computed when the first is looked at, of a batch's drawn 102.
        ([51.0] + [0.0] * 200, [0.0] * 200, 1.0),
        # A CPU that others have, now and then; another process that answers, every time.
        ([0.0] * 200, [9.0] * 50 + [0.0] * 52 + [9.0] * 98, 0.0),
        ([0.0] * 200, [0.5] * 200, 1.0),
    ],
)
def test_answers_that_are_computed_when_looked_at_are_seen(
    clock: Clock,
    make_job: Callable[..., Job],
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
    looks: list[float],
    waits: list[float],
    expected: float,
) -> None:
    """What looking takes over what answering takes: this process's time, or the time of every look."""
    own, others, to_numpy = iter(looks), iter(waits), Recorder.to_numpy

    def look(self: Recorder, answer: np.ndarray) -> np.ndarray:
        if np.ndim(answer) == 2:
            wait = next(others)
            clock.now += next(own) + wait
            clock.elsewhere += wait
        return to_numpy(self, answer)  # type: ignore[arg-type]

    monkeypatch.setattr(Recorder, "to_numpy", look)

    row = inference.latency(make_job(), recorder(clock, [0.5] * 2000), data, source(), step_s=0.0)

    assert row["looked"] == pytest.approx([expected])
