"""The stopwatch and the loops of training around it, with a clock of their own and a backend that records."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from harness.worker import steady, turns
from harness.worker.job import LONG_BLOCK, Job, block_steps
from harness.worker.steady import cold_start, drift, is_steady
from harness.worker.stopwatch import timed
from tests.harness.worker.made_up_backend import Blocks, Clock, Recorder

STEPS = block_steps(64)


def silent(event: str, **values: Any) -> None:
    """Tell nobody."""


def never() -> None:
    """There are no turns to take."""


@pytest.fixture(autouse=True)
def _windows_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks last a second or so here, and are warmed up as short ones are, but where a test says otherwise."""
    monkeypatch.setattr(steady, "LONG_BLOCK_S", math.inf)


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


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([0.1] * 5, False),
        ([0.1] * 6, True),
        ([0.099] * 9, False),
        ([0.099] * 10, True),
        ([0.2] * 3 + [0.1] * 3, False),
        ([9.0, 0.3, 0.3, 0.3, 0.3, 9.0, 0.3], True),
        ([0.3] * 3 + [0.31] * 3, False),
        ([0.3] * 3 + [0.308] * 3, True),
    ],
)
def test_windows_of_long_blocks_are_three(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], expected: bool
) -> None:
    """From a tenth of a second on: ten blocks of a third of a second take longer than what is timed of a launch."""
    monkeypatch.undo()

    assert is_steady(seconds) is expected


@pytest.mark.parametrize(
    ("batch_size", "expected"), [(1, 8), (64, 8), (128, 8), (129, 7), (200, 5), (256, 4), (257, 4), (60_000, 4)]
)
def test_blocks_of_large_batches_are_shorter(batch_size: int, expected: int) -> None:
    """8 steps up to batch 128, then about as many images, and 4 at least."""
    assert block_steps(batch_size) == expected


@pytest.mark.parametrize(
    ("batch_size", "expected"), [(1, 20), (64, 20), (128, 20), (129, 19), (256, 10), (512, 5), (640, 4), (60_000, 4)]
)
def test_long_blocks_of_large_batches_are_shorter(batch_size: int, expected: int) -> None:
    """Those of a GPU, and of modes that compile blocks: 20 steps up to batch 128, then as above."""
    assert block_steps(batch_size, most=LONG_BLOCK) == expected


def test_training_figures(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Warm-up is not counted; median, 95th percentile and images a second come from the blocks after it."""
    warmup = [10.0] * 5 + [1.0] * 8  # five ones, and before them a window with three
    counted = [0.2 * number for number in range(1, 11)]
    backend = Recorder(clock, iter(warmup + counted))
    numbers = [[(None, [number])] for number in range(23)]

    row = steady.training(make_job(steady_s=3.0, warmup_limit_s=1000), backend, Blocks(iter(numbers)), silent, never)

    assert row["steady"] is True
    assert row["block_steps"] == STEPS
    assert row["warmup_steps"] == 13 * STEPS
    assert row["warmup_s"] == pytest.approx(58.0)
    assert row["steady_steps"] == 10 * STEPS
    assert row["steady_drift"] == pytest.approx(1.6 / 0.6 - 1)
    assert row["step_us_median"] == pytest.approx(1.1 / STEPS * 1e6)
    assert row["step_us_p95"] == pytest.approx(np.percentile(counted, 95) / STEPS * 1e6)
    assert row["train_images_per_s"] == pytest.approx(64 * STEPS / 1.1)
    assert row["blocks"] == {"warmup": [pytest.approx(warmup)], "return": [[]], "steady": [pytest.approx(counted)]}
    assert (row["turns"], row["turn_step_us"]) == (1, "137500.000")
    assert backend.batches == numbers


def test_training_figures_of_large_batches(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Steps are those of the blocks that the batch size has, in every figure: 4 of 512 images."""
    backend = Recorder(clock, iter([1.0] * 100))

    row = steady.training(make_job(batch_size=512, steady_s=12.0), backend, Blocks(iter([[]] * 100)), silent, never)

    assert (row["block_steps"], row["warmup_steps"], row["steady_steps"]) == (4, 10 * 4, 12 * 4)
    assert row["step_us_median"] == pytest.approx(0.25e6)
    assert row["step_us_p95"] == pytest.approx(0.25e6)
    assert row["train_images_per_s"] == pytest.approx(2048)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_counters_and_phases_enclose_steady_training(
    clock: Clock, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """The phase is told, then counting starts; it ends after the last block, with its steps; energy is the device's."""
    events: list[Any] = []

    class Noting(Recorder):
        def train_steps(self, batches: Any) -> list[float]:
            events.append("train")
            return super().train_steps(batches)

    counters = Mock()
    counters().start.side_effect = lambda: events.append("start")
    counters().stop.side_effect = lambda steps: events.append(steps) or {"energy_j": 7.5, "cpu_periods": []}
    monkeypatch.setattr(turns, "Counters", counters)

    row = steady.training(
        make_job(steady_s=12.0, device=device),
        Noting(clock, iter([1.0] * 100)),
        Blocks(iter([[]] * 100)),
        lambda event, **values: events.append(f"{event} {values.get('name', '')}".strip()),
        never,
    )

    warmup, timed_blocks, steps = ["train"] * 10, ["train"] * 12, STEPS if device == "cpu" else LONG_BLOCK
    assert events == [*warmup, "phase start", "phase steady", "start", *timed_blocks, 12 * steps, "phase steady ended"]
    assert row["energy_j"] == 7.5
    assert counters.call_args.kwargs.get("device", "cpu") == device


def test_turns_wait_for_the_harness(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Warm, the launch says so; each turn waits for its word, drops the first steps after it, and tells its end."""
    events: list[str] = []
    said: dict[str, Any] = {}
    words = iter([11, 0, 13, None])

    def take_turn() -> int | None:
        events.append("waits")
        clock.now += 500  # while others have their turns
        return next(words)

    def tell(event: str, **values: Any) -> None:
        events.append(values.get("name", event))
        said.update(values)

    durations = [1.0] * 10 + [9.0, 1.0, 1.0] + [9.0, 4.0] + [9.0, 1.0, 3.0]
    backend = Recorder(clock, iter(durations))
    job = make_job(turns=3, steady_s=6.0)

    blocks = Blocks(iter([[0] * STEPS] * 100))
    row = steady.training(job, backend, blocks, tell, take_turn)

    turn = ["waits", "start", "steady", "steady ended", "turn ended"]
    assert events == ["ready", *turn, *turn, *turn, "waits"]
    assert said["block_s"] == 1.0
    assert row["blocks"]["return"] == [[9.0], [9.0], [9.0]]
    assert row["blocks"]["steady"] == [[1.0, 1.0], [4.0], [1.0, 3.0]]
    assert [len(batches) for batches in backend.batches[10:]] == [4, STEPS, STEPS, 4, STEPS, 4, STEPS, STEPS]
    assert (row["turns"], row["steady_steps"], row["return_steps"]) == (3, 5 * STEPS, 4)
    assert blocks.seeds == [11, 0, 13]
    assert row["turn_step_us"] == "125000.000 500000.000 250000.000"
    assert row["train_images_per_s"] == pytest.approx(64 * STEPS / 1.0)


def test_modes_that_compile_blocks_return_with_a_whole_one(clock: Clock, make_job: Callable[..., Job]) -> None:
    """A shorter block would be another program, and would be compiled in the middle of a run."""
    words = iter([1, 2, None])
    job = make_job(turns=2, steady_s=2.0)
    job = replace(job, entrant=replace(job.entrant, backend="jax", mode="epoch"))
    backend = Recorder(clock, iter([1.0] * 100))

    row = steady.training(job, backend, Blocks(iter([[0] * 20] * 100)), silent, lambda: next(words))

    assert {len(batches) for batches in backend.batches} == {20}
    assert row["return_steps"] == 20


def test_turns_last_their_share(clock: Clock, make_job: Callable[..., Job]) -> None:
    """A turn goes on for its share of the steady seconds, and has one block at the least."""
    words = iter([1, 2, None])
    backend = Recorder(clock, iter([1.0] * 100))

    row = steady.training(
        make_job(turns=2, steady_s=10.0), backend, Blocks(iter([[]] * 100)), silent, lambda: next(words)
    )

    assert [len(turn) for turn in row["blocks"]["steady"]] == [5, 5]


def test_counters_are_columns(clock: Clock, make_job: Callable[..., Job]) -> None:
    """What the machine's own counters found in steady training stands in the row."""
    row = steady.training(make_job(), Recorder(clock, iter([1.0] * 100)), Blocks(iter([[]] * 100)), silent, never)

    assert row["cpu_s_user"] >= 0
    assert {"preemptions_per_step", "steal_share", "other_load", "energy_j", "energy_source"} <= set(row)


def test_training_lasts_as_long_as_asked(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Blocks are timed until the asked seconds are over, and there are ten at least."""
    long = steady.training(
        make_job(steady_s=30.0), Recorder(clock, iter([1.0] * 100)), Blocks(iter([[]] * 100)), silent, never
    )

    assert long["steady_steps"] == 30 * STEPS


@pytest.mark.parametrize(("block_s", "expected"), [(1 / 4, 10), (1 / 16, 10), (1 / 32, 16), (1 / 64, 32)])
def test_warm_up_lasts_half_a_second(clock: Clock, make_job: Callable[..., Job], block_s: float, expected: int) -> None:
    """Short blocks that are alike from the first on are warmed up for half a second; there are ten at least."""
    row = steady.training(make_job(), Recorder(clock, iter([block_s] * 1000)), Blocks(iter([[]] * 1000)), silent, never)

    assert row["steady"] is True
    assert row["warmup_steps"] == expected * STEPS
    assert row["warmup_s"] == pytest.approx(expected * block_s)


def test_warm_up_gives_up(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Training that never becomes steady is measured all the same, and marked."""
    durations = iter([1.5**number for number in range(60)])

    row = steady.training(
        make_job(steady_s=0.1, warmup_limit_s=5.0), Recorder(clock, durations), Blocks(iter([[]] * 60)), silent, never
    )

    assert row["steady"] is False
    assert (row["warmup_steps"], row["steady_steps"]) == (10 * STEPS, 10 * STEPS)


def test_warm_up_goes_on_to_its_limit(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Blocks that slow down by a tenth each are tried until the limit is over, and no longer."""
    durations = [0.125 * 1.1**number for number in range(60)]
    last = next(count for count in range(60) if sum(durations[:count]) >= 8.0)

    row = steady.training(
        make_job(warmup_limit_s=8.0), Recorder(clock, iter(durations)), Blocks(iter([[]] * 60)), silent, never
    )

    assert last > 10
    assert (row["steady"], row["warmup_steps"]) == (False, last * STEPS)


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
