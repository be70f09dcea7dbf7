"""The stopwatch and the loops around it, with a fake clock and a backend that records."""

from __future__ import annotations

import gc
import mmap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from harness.data.sources import Dataset
from harness.runs.rounds import write_dataset
from harness.spec.recipes import LENET5
from harness.spec.start import batch_indices, epoch_order
from harness.worker import measure
from harness.worker.batches import Data, prepare
from harness.worker.job import LATENCY_QUERIES, Entrant, Job, block_steps
from harness.worker.measure import cold_start, drift, evaluation_batches, is_steady
from harness.worker.stopwatch import timed


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


class Recorder:
    """A backend that keeps what it is given; the k-th call of train_steps takes durations[k] seconds, of logits too."""

    def __init__(self, clock: Clock, durations: Iterator[float], logits: Iterator[float] | None = None) -> None:
        self.clock = clock
        self.durations = durations
        self.logits_durations = logits or iter(())
        self.pending = 0.0
        self.calls: list[str] = []
        self.batches: list[Any] = []
        self.asked: list[np.ndarray] = []

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.clock.now += 1000  # nothing that is timed may contain this
        return images, labels

    def train_steps(self, batches: Any) -> None:
        self.calls.append("train")
        self.batches.append(batches)
        self.pending += next(self.durations)

    def logits(self, images: np.ndarray) -> None:
        self.calls.append("logits")
        self.asked.append(images)
        self.pending += next(self.logits_durations)

    def synchronize(self) -> None:
        self.calls.append("synchronize")
        self.clock.now += self.pending
        self.pending = 0.0


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
    def make(*, feed: str = "host", batch_size: int = 64, device: str = "cpu", **changes: Any) -> Job:
        entrant = make_entrant(feed=feed, batch_size=batch_size, device=device)
        options = {"kind": "measure", "recipe": LENET5.as_dict(), "seed": 3, "data": "", "weights": ""}
        return Job(entrant=entrant, **(options | changes))

    return make


def silent(event: str, **values: Any) -> None:
    """Tell nobody."""


def never() -> bool:
    """There are no turns to take."""
    return False


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
        ([1.0] * 7 + [9.0, 1.0, 9.0], True),
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
    assert len(first) == 20
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


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(1, 20), (64, 20), (128, 20), (129, 19), (256, 10), (512, 5), (640, 4), (641, 4), (60_000, 4)],
)
def test_blocks_of_large_batches_are_shorter(batch_size: int, expected: int) -> None:
    """20 steps up to batch 128, then about as many images, and 4 at least."""
    assert block_steps(batch_size) == expected


def test_blocks_of_large_batches_hold_their_steps(make_job: Callable[..., Job], data: Data) -> None:
    """What is handed to one timed call is as many batches as `block_steps` says."""
    assert [len(batch) for batch in next(measure.blocks(make_job(feed="device", batch_size=600), data))] == [600] * 4


def test_training_figures(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Warm-up is not counted; median, 95th percentile and images a second come from the blocks after it."""
    warmup = [10.0] * 5 + [1.0] * 8  # five ones, and before them a window with three
    steady = [0.2 * number for number in range(1, 11)]
    backend = Recorder(clock, iter(warmup + steady))
    numbers = [[(None, [number])] for number in range(23)]

    row = measure.training(make_job(steady_s=3.0, warmup_limit_s=1000), backend, iter(numbers), silent, never)

    assert row["steady"] is True
    assert row["block_steps"] == 20
    assert row["warmup_steps"] == 13 * 20
    assert row["warmup_s"] == pytest.approx(58.0)
    assert row["steady_steps"] == 10 * 20
    assert row["steady_drift"] == pytest.approx(1.6 / 0.6 - 1)
    assert row["step_us_median"] == pytest.approx(1.1 / 20 * 1e6)
    assert row["step_us_p95"] == pytest.approx(np.percentile(steady, 95) / 20 * 1e6)
    assert row["train_images_per_s"] == pytest.approx(64 * 20 / 1.1)
    assert row["blocks"] == {"warmup": [pytest.approx(warmup)], "return": [[]], "steady": [pytest.approx(steady)]}
    assert (row["turns"], row["turn_step_us"]) == (1, "55000.000")
    assert backend.batches == numbers


def test_training_figures_of_large_batches(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Steps are those of the blocks that the batch size has, in every figure: 5 of 512 images."""
    backend = Recorder(clock, iter([1.0] * 100))

    row = measure.training(make_job(batch_size=512, steady_s=12.0), backend, iter([[]] * 100), silent, never)

    assert (row["block_steps"], row["warmup_steps"], row["steady_steps"]) == (5, 10 * 5, 12 * 5)
    assert row["step_us_median"] == pytest.approx(0.2e6)
    assert row["step_us_p95"] == pytest.approx(0.2e6)
    assert row["train_images_per_s"] == pytest.approx(2560)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_counters_and_phases_enclose_steady_training(
    clock: Clock, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """The phase is told, then counting starts; it ends after the last block, with its steps; energy is the device's."""
    events: list[Any] = []

    class Noting(Recorder):
        def train_steps(self, batches: Any) -> None:
            events.append("train")
            super().train_steps(batches)

    counters = Mock()
    counters().start.side_effect = lambda: events.append("start")
    counters().stop.side_effect = lambda steps: events.append(steps) or {"energy_j": 7.5}
    monkeypatch.setattr(measure, "Counters", counters)

    row = measure.training(
        make_job(steady_s=12.0, device=device),
        Noting(clock, iter([1.0] * 100)),
        iter([[]] * 100),
        lambda event, name: events.append(f"{event} {name}"),
        never,
    )

    warmup, steady = ["train"] * 10, ["train"] * 12
    assert events == [*warmup, "phase steady", "start", *steady, 12 * 20, "phase steady ended"]
    assert row["energy_j"] == 7.5
    assert counters.call_args.kwargs.get("device", "cpu") == device


def test_turns_wait_for_the_harness(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Warm, the launch says so; each turn waits for its word, drops the first steps after it, and tells its end."""
    events: list[str] = []
    words = iter([True, True, True, False])

    def take_turn() -> bool:
        events.append("waits")
        clock.now += 500  # while others have their turns
        return next(words)

    durations = [1.0] * 10 + [9.0, 1.0, 1.0] + [9.0, 4.0] + [9.0, 1.0, 3.0]
    backend = Recorder(clock, iter(durations))
    job = make_job(turns=3, steady_s=6.0)

    row = measure.training(
        job, backend, iter([[0] * 20] * 100), lambda event, **v: events.append(v.get("name", event)), take_turn
    )

    turn = ["waits", "steady", "steady ended", "turn ended"]
    assert events == ["ready", *turn, *turn, *turn, "waits"]
    assert row["blocks"]["return"] == [[9.0], [9.0], [9.0]]
    assert row["blocks"]["steady"] == [[1.0, 1.0], [4.0], [1.0, 3.0]]
    assert [len(batches) for batches in backend.batches[10:]] == [4, 20, 20, 4, 20, 4, 20, 20]
    assert (row["turns"], row["steady_steps"], row["return_steps"]) == (3, 5 * 20, 4)
    assert row["turn_step_us"] == "50000.000 200000.000 100000.000"
    assert row["train_images_per_s"] == pytest.approx(64 * 20 / 1.0)


def test_modes_that_compile_blocks_return_with_a_whole_one(clock: Clock, make_job: Callable[..., Job]) -> None:
    """A shorter block would be another program, and would be compiled in the middle of a run."""
    words = iter([True, True, False])
    job = make_job(turns=2, steady_s=2.0)
    job = replace(job, entrant=replace(job.entrant, backend="jax", mode="epoch"))
    backend = Recorder(clock, iter([1.0] * 100))

    row = measure.training(job, backend, iter([[0] * 20] * 100), silent, lambda: next(words))

    assert {len(batches) for batches in backend.batches} == {20}
    assert row["return_steps"] == 20


def test_turns_last_their_share(clock: Clock, make_job: Callable[..., Job]) -> None:
    """A turn goes on for its share of the steady seconds, and has one block at the least."""
    words = iter([True, True, False])
    backend = Recorder(clock, iter([1.0] * 100))

    row = measure.training(make_job(turns=2, steady_s=10.0), backend, iter([[]] * 100), silent, lambda: next(words))

    assert [len(turn) for turn in row["blocks"]["steady"]] == [5, 5]


def test_counters_are_columns(clock: Clock, make_job: Callable[..., Job]) -> None:
    """What the machine's own counters found in steady training stands in the row."""
    row = measure.training(make_job(), Recorder(clock, iter([1.0] * 100)), iter([[]] * 100), silent, never)

    assert row["cpu_s_user"] >= 0
    assert {"preemptions_per_step", "steal_share", "other_load", "energy_j", "energy_source"} <= set(row)


def test_training_lasts_as_long_as_asked(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Blocks are timed until the asked seconds are over, and there are ten at least."""
    long = measure.training(
        make_job(steady_s=30.0), Recorder(clock, iter([1.0] * 100)), iter([[]] * 100), silent, never
    )

    assert long["steady_steps"] == 30 * 20


@pytest.mark.parametrize(("block_s", "expected"), [(1 / 4, 10), (1 / 16, 10), (1 / 32, 16), (1 / 64, 32)])
def test_warm_up_lasts_half_a_second(clock: Clock, make_job: Callable[..., Job], block_s: float, expected: int) -> None:
    """Short blocks that are alike from the first on are warmed up for half a second; there are ten at least."""
    row = measure.training(make_job(), Recorder(clock, iter([block_s] * 1000)), iter([[]] * 1000), silent, never)

    assert row["steady"] is True
    assert row["warmup_steps"] == expected * 20
    assert row["warmup_s"] == pytest.approx(expected * block_s)


def test_warm_up_gives_up(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Training that never becomes steady is measured all the same, and marked."""
    durations = iter([1.5**number for number in range(60)])

    row = measure.training(
        make_job(steady_s=0.1, warmup_limit_s=5.0), Recorder(clock, durations), iter([[]] * 60), silent, never
    )

    assert row["steady"] is False
    assert (row["warmup_steps"], row["steady_steps"]) == (200, 200)


def test_warm_up_goes_on_to_its_limit(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Blocks that slow down by a tenth each are tried until the limit is over, and no longer."""
    durations = [0.125 * 1.1**number for number in range(60)]
    last = next(count for count in range(60) if sum(durations[:count]) >= 8.0)

    row = measure.training(
        make_job(warmup_limit_s=8.0), Recorder(clock, iter(durations)), iter([[]] * 60), silent, never
    )

    assert last > 10
    assert (row["steady"], row["warmup_steps"]) == (False, last * 20)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1.0] * 10, 0.0),
        ([1.0] * 5 + [1.01] * 5, 0.01),
        ([2.0] * 5 + [1.0] * 5, -0.5),
        ([1.0, 1.0, 1.0, 9.0, 1.0, 2.0, 2.0, 2.0, 9.0, 2.0], 1.0),
        ([1.0] * 5 + [1.5] * 6, 0.5),
        ([1.0] * 6 + [1.5] * 5, 0.5),
    ],
    ids=["none", "slower", "faster", "outliers", "odd", "odd, other way"],
)
def test_drift_compares_halves(seconds: list[float], expected: float) -> None:
    """The median of the second half over that of the first, less one: single blocks do not show."""
    assert drift(seconds) == pytest.approx(expected)


START = {
    "import_s": 2.0, "build_s": 0.5, "first_step_s": 0.3, "step_us_median": 10_000.0,
    "warmup_steps": 100, "warmup_s": 1.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "start_up_s"),
    [
        ({}, 2.0 + 0.5 + (0.3 - 0.01) + (1.5 - 100 * 0.01)),
        ({"first_step_s": 0.009}, 2.0 + 0.5 + 0.5),
        ({"warmup_s": 0.9}, 2.0 + 0.5 + 0.29),
        ({"first_step_s": 0.009, "warmup_s": 0.9}, 2.0 + 0.5),
    ],
    ids=["all four", "quick first step", "quick warm-up", "both quick"],
)
def test_start_up_is_what_starting_adds(changes: dict[str, float], start_up_s: float) -> None:
    """Import, build, and what first step and warm-up took beyond the steady median; neither is ever negative."""
    row = cold_start(START | changes, images=650, batch_size=64)

    assert row["start_up_s"] == pytest.approx(start_up_s)
    # 650 images in batches of 64 are 10.15625 steps of 10 ms.
    assert row["first_epoch_s"] == pytest.approx(start_up_s + 0.1015625)


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
    kept = dict(row["latency"])
    assert (kept[0], kept[100]) == (pytest.approx(0.001, rel=1e-5), pytest.approx(1.024))
    assert [kept[50], kept[95], kept[99]] == [row[f"latency_ms_p{each}"] for each in (50, 95, 99)]


def test_inference_is_of_the_median_call(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Each size in ascending order, two calls that are not counted and five that are; the largest size is the row's."""
    of_64, of_500 = [9.0, 9.0, 5.0, 1.0, 3.0, 2.0, 4.0], [9.0, 9.0, 0.5, 0.25, 1.0, 2.0, 4.0]
    backend = Recorder(clock, iter(()), iter(of_64 + of_500))

    row = measure.inference(make_job(inference_sizes=(500, 64)), backend, data)

    assert [len(images) for images in backend.asked] == [64] * 7 + [500] * 7
    assert row["inference"] == [(64, pytest.approx(64 / 3)), (500, pytest.approx(500 / 1))]
    assert row["inference_batch_size"] == 500
    assert row["inference_images_per_s"] == pytest.approx(500)


def test_inference_of_small_batches_lasts_long_enough(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Short calls are repeated for 0.2 s, over different images, and going round them where they are few."""
    backend = Recorder(clock, iter(()), iter([1 / 32] * 100))

    measure.inference(make_job(inference_sizes=(1, 200)), backend, data)

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


def test_resident_set_is_of_now_and_in_bytes() -> None:
    """64 MiB that are written to are found, and are gone again; the largest so far has them still."""
    size = 64 * 2**20
    before = measure.rss_bytes()
    with mmap.mmap(-1, size) as memory:
        memory.write(b"1" * size)
        during, peak = measure.rss_bytes(), measure.peak_rss_bytes()

    assert during - before == pytest.approx(size, rel=0.1)
    assert measure.rss_bytes() - before < size / 2
    assert measure.peak_rss_bytes() >= peak > before + 0.9 * size
