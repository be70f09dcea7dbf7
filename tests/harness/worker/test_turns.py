"""Turns: what each is given, what is kept of it, and when the harness hears of that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.spec.networks import get_network
from harness.spec.start import initial_weights
from harness.worker.batches import Data, prepare
from harness.worker.experiment import Source, batches_of, start_of, told
from harness.worker.job import Job
from harness.worker.turns import Turns
from tests.harness.worker.made_up_backend import Blocks, Clock, Recorder

WEIGHTS = {"weight": np.zeros(3, np.float32)}


def silent(event: str, **values: Any) -> None:
    """Tell nobody."""


def test_batches_follow_from_the_seed() -> None:
    """The same for the same seed and turn, others for any other; full ones; every image once before any comes again."""
    first = [next(stream) for stream in [batches_of(7, 1, images=650, batch_size=64)] for _ in range(10)]
    again = [next(stream) for stream in [batches_of(7, 1, images=650, batch_size=64)] for _ in range(10)]

    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == 640
    for seed, turn in ((7, 2), (8, 1)):
        other = next(batches_of(seed, turn, images=650, batch_size=64))
        assert not np.array_equal(other, first[0])


def test_a_turn_is_told_when_it_begins(make_job: Callable[..., Job], data: Data, tmp_path: Path) -> None:
    """What is told is another number for every turn and round; a job's file has nothing of it."""
    assert len({told(seed, turn) for seed in range(30) for turn in range(30)}) == 900
    make_job(turn_seed=5).write(tmp_path / "job.json")
    job = Job.read(tmp_path / "job.json")
    assert job.turn_seed == 0
    source = Source(job, data, [WEIGHTS])
    for turn in (1, 2):
        source.seed = told(5, turn)
        labels = source.take(turn, 1)[0][1]
        np.testing.assert_array_equal(
            labels, data.train_labels[next(batches_of(told(5, turn), turn, images=650, batch_size=64))]
        )


@pytest.mark.parametrize("feed", ["host", "device"])
def test_steps_that_nobody_foresees(make_job: Callable[..., Job], data: Data, feed: str) -> None:
    """From any start, on images that are drawn, each once; from either feed."""
    starts = [{"weight": np.full(3, number, np.float32)} for number in range(2)]
    source = Source(make_job(feed=feed), data, starts)

    steps = [source.unforeseen() for _ in range(30)]

    assert {step.number for step in steps} == {0, 1}
    for step in steps:
        assert step.start is starts[step.number]
        assert len(np.unique(step.index)) == 64
        labels = data.train_labels[step.batches[0]] if feed == "device" else step.batches[0][1]
        np.testing.assert_array_equal(labels, data.train_labels[step.index])
    assert len({step.index.tobytes() for step in steps}) == 30


def test_turns_start_from_either_start() -> None:
    """Both starts come about as often, by turn and by seed; a single one always."""
    by_turn = [start_of(7, turn, 2) for turn in range(1, 201)]
    by_seed = [start_of(seed, 1, 2) for seed in range(200)]

    assert 70 < sum(by_turn) < 130
    assert 70 < sum(by_seed) < 130
    assert {start_of(7, turn, 1) for turn in range(50)} == {0}


@pytest.mark.parametrize("feed", ["host", "device"])
def test_source_gathers_what_the_indices_say(make_job: Callable[..., Job], data: Data, feed: str) -> None:
    """Fresh arrays every time, also where a small data set goes round."""
    source = Source(make_job(feed=feed, turn_seed=5), data, [WEIGHTS])
    expected = batches_of(5, 3, images=650, batch_size=64)

    for steps in (4, 20, 20):
        for batch in source.take(3, steps):
            index = next(expected)
            if feed == "device":
                np.testing.assert_array_equal(batch, index)
            else:
                np.testing.assert_array_equal(batch[0], prepare(data.train_images[index], (1, 32, 32), "float32"))
                np.testing.assert_array_equal(batch[1], data.train_labels[index])


def test_every_turn_loads_its_start(clock: Clock, make_job: Callable[..., Job], data: Data) -> None:
    """Before its first step, also before those that are not counted."""
    starts = [initial_weights(get_network("lenet5"), seed=seed) for seed in (0, 1)]
    job = make_job(turns=8, turn_seed=11)
    source = Source(job, data, starts)
    backend = Recorder(clock, iter([1.0] * 100))
    turns = Turns(job, backend, source, silent, block_s=1.0)

    for _ in range(8):
        turns.take(0.5)

    wanted = [start_of(11, turn, 2) for turn in range(1, 9)]
    assert [next(i for i, each in enumerate(starts) if each is loaded) for loaded in backend.loaded] == wanted
    assert set(wanted) == {0, 1}


def test_what_a_turn_came_to_is_kept(clock: Clock, make_job: Callable[..., Job], tmp_path: Path) -> None:
    """Losses of its steps and the weights behind them, with the digest that the harness is told."""
    job = make_job(turns=2, output=str(tmp_path / "turns"))
    turns = Turns(job, Recorder(clock, iter([1.0] * 100)), Blocks(iter([[0] * 8] * 100)), silent, block_s=1.0)

    said = [turns.take(1.5), turns.take(1.5)]

    for number, digest in enumerate(said, start=1):
        file = tmp_path / "turns" / f"turn-{number}.npz"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
        with np.load(file) as archive:
            assert archive["losses"].tolist() == [0.5] * (4 + 8 + 8)
            assert archive["weight"].tolist() == [0, 0, 0]


def test_work_that_goes_on_is_seen(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Weights that take longer to be fetched after the last step than after loading: something was still at work."""

    class Lazy(Recorder):
        def synchronize(self) -> None:
            """Does not wait."""

        def dump_weights(self) -> dict[str, np.ndarray]:
            super().synchronize()
            return super().dump_weights()

        def train_steps(self, batches: Any) -> list[float]:
            self.clock.now += 0.25
            return super().train_steps(batches)

    job = make_job(turns=1)
    lazy = Turns(job, Lazy(clock, iter([0.75] * 100)), Blocks(iter([[0] * 8] * 100)), silent, block_s=1.0)
    lazy.take(0.1)
    right = Turns(job, Recorder(clock, iter([0.75] * 100)), Blocks(iter([[0] * 8] * 100)), silent, block_s=1.0)
    right.take(0.1)

    assert lazy.left[0] > 3
    assert right.left == [0.0]


def test_work_between_blocks_is_seen(clock: Clock, make_job: Callable[..., Job]) -> None:
    """Work that is done in the `synchronize` before a block is in no block."""

    class Before(Recorder):
        """A block leaves a quarter of a second to the next call of `synchronize` but one."""

        left = 0.0

        def synchronize(self) -> None:
            super().synchronize()
            self.pending, self.left = self.left, 0.0

        def train_steps(self, batches: Any) -> list[float]:
            self.left = 0.25
            return super().train_steps(batches)

    turns = Turns(
        make_job(turns=1), Before(clock, iter([0.75] * 100)), Blocks(iter([[0] * 8] * 100)), silent, block_s=1.0
    )
    turns.take(3.0)

    assert turns.seconds == [[0.75] * 4]
    assert turns.left[0] >= 0.25 * 4 / 3
