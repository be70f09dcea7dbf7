"""What is measured of asynchrony, on a framework whose clock is made up; `test_problem` has real mutants."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend as Numpy
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker import asynchrony, stopwatch
from harness.worker.asynchrony import (
    IDEAL,
    INFERENCE_LEFT,
    LEAST_STEPS,
    MOST_TRIALS,
    TIME,
    TOLERANCES,
    TRAINING_LEFT,
    TRIALS,
)
from harness.worker.quantities import quantities

LENET = get_network("lenet5")
FORWARD_S, UPDATE_S, FETCH_S, DISPATCH_S = 0.002, 0.003, 0.001, 0.00001
UNSYNCHRONISED = ("unsynchronised", "unsynchronised_scan", "unsynchronised_update", "lazy")


class MadeUp:
    """A framework with a queue, whose calls take the seconds above on a clock of its own.

    Attributes:
        now: what the clock says.
        done: when the queue is empty.
        losses_done: when the last loss is there, before its update of the weights.
        first_done: when the first step is done.
        put_off: seconds of work that starts when somebody looks (lazy).
        once: seconds that every call of `train_steps` takes, whatever its steps.
        processor: share of all time that is this process's processor time.
        steps: of all calls of `train_steps`.
        delays: seconds by which other processes delay each fetch of trained weights.
        slowness: factors by which they slow each training.
    """

    def __init__(self, *, waits_for: str = "all", scan: bool = False, lazy: bool = False) -> None:
        self.waits_for, self.scan, self.lazy = waits_for, scan, lazy
        self.now = self.done = self.losses_done = self.first_done = self.put_off = 0.0
        self.once, self.step_s, self.processor = 0.0, FORWARD_S + UPDATE_S, 1.0
        self.steps: list[int] = []
        self.delays = self.slowness = repeat(0.0)
        self.trained = self.fetched = False

    def submit(self, seconds: float) -> None:
        if self.lazy:
            self.put_off += seconds
        else:
            self.done = max(self.now, self.done) + seconds

    def finish(self) -> None:
        self.now = max(self.now, self.done) + self.put_off
        self.put_off = 0.0

    def train_steps(self, batches: list[Any]) -> None:
        self.steps.append(len(batches))
        self.now += DISPATCH_S * (1 if self.scan else len(batches))
        self.submit((self.once + self.step_s * len(batches)) * (1 + next(self.slowness)))
        self.losses_done = self.done - UPDATE_S
        self.first_done = self.done - self.step_s * (len(batches) - 1)
        self.trained, self.fetched = True, False

    def logits(self, images: Any) -> None:
        self.now += DISPATCH_S
        self.submit(FORWARD_S)
        self.losses_done = self.first_done = self.done

    def synchronize(self) -> None:
        if self.waits_for == "all":
            self.now = max(self.now, self.done)
        elif self.waits_for == "losses":
            self.now = max(self.now, self.losses_done)
        elif self.waits_for == "first step":
            self.now = max(self.now, self.first_done)

    def load_weights(self, weights: Any) -> None:
        self.finish()
        self.trained = self.fetched = False

    def dump_weights(self) -> None:
        self.finish()
        # As in JAX, which keeps what was fetched.
        self.now += 0 if self.fetched else FETCH_S
        self.now += next(self.delays) if self.trained else 0
        self.fetched = True

    def put(self, *, images: Any, labels: Any) -> tuple[Any, Any]:
        return images, labels

    def to_numpy(self, value: Any) -> None:
        self.finish()
        self.now += FETCH_S


@pytest.fixture
def measure_made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[MadeUp], dict[str, float]]:
    """Return a function that measures a made-up framework by its own clock."""

    def run(framework: MadeUp) -> dict[str, float]:
        clock = SimpleNamespace(
            perf_counter=lambda: framework.now, process_time=lambda: framework.now * framework.processor
        )
        monkeypatch.setattr(asynchrony, "time", clock)
        monkeypatch.setattr(stopwatch, "time", clock)
        images, labels = np.zeros((3, 4, 1, 1, 1), np.float32), np.zeros((3, 4), np.int32)
        found = asynchrony.measure(framework, {}, images=images, labels=labels)
        assert all(value.shape == () and value.dtype == np.float64 for value in found.values())
        return {name: float(value) for name, value in found.items()}

    return run


def wrong(found: dict[str, float]) -> set[str]:
    return {name for name, error in asynchrony.errors(found).items() if not error <= TOLERANCES[name]}


def trials(framework: MadeUp) -> int:
    """How many trials were made after the one that warms up."""
    return framework.steps.count(1) - 1


def test_waiting_for_all_is_ideal(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """A framework that waits has a ratio of one and nothing left, after five trials of 1, k and 2k steps."""
    framework = MadeUp()

    found = measure_made_up(framework)

    assert found == pytest.approx(IDEAL, abs=1e-9)
    # 0.1 s over 5 ms and the fetch: after 2 + 2 steps that find that out.
    assert framework.steps == [2, 2] + [1, 19, 38] * (1 + TRIALS)


def test_queue_keeps_the_ratio_and_leaves_everything(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """Handing over 2k steps takes twice as long as k: only what is left afterwards shows that nobody waited."""
    found = measure_made_up(MadeUp(waits_for="nothing"))

    assert found[TIME] == pytest.approx(1)
    assert wrong(found) == {TRAINING_LEFT, INFERENCE_LEFT}
    assert min(found[TRAINING_LEFT], found[INFERENCE_LEFT]) > 0.99


def test_one_dispatch_for_all_steps_halves_the_ratio(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """Where k steps are one piece of work, handing over 2k takes as long as k."""
    found = measure_made_up(MadeUp(waits_for="nothing", scan=True))

    assert found[TIME] == pytest.approx(0.5)
    assert wrong(found) == {TIME, TRAINING_LEFT, INFERENCE_LEFT}


def test_waiting_for_the_losses_leaves_the_last_update(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """The update of the last step is 3 of its 5 ms, however little of k steps that is."""
    found = measure_made_up(MadeUp(waits_for="losses"))

    assert found[TRAINING_LEFT] == pytest.approx(0.6, abs=0.01)
    assert wrong(found) == {TRAINING_LEFT}


def test_waiting_for_the_first_step_leaves_the_others(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """After one step nothing is left, after 38 all but one are; and 2k steps take as long as k."""
    found = measure_made_up(MadeUp(waits_for="first step"))

    assert found[TRAINING_LEFT] == pytest.approx(37 / 38, abs=0.01)
    assert wrong(found) == {TIME, TRAINING_LEFT}


def test_work_put_off_is_work_left(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """A framework that computes when somebody looks leaves everything, also if its `synchronize` waits."""
    found = measure_made_up(MadeUp(lazy=True))

    assert wrong(found) == {TRAINING_LEFT, INFERENCE_LEFT}


def test_cost_that_does_not_grow_with_the_steps_shows(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """A second for each call, whatever it trains, leaves nothing and is no time of k steps."""
    framework = MadeUp()
    framework.once = 1.0

    assert wrong(measure_made_up(framework)) == {TIME}
    assert trials(framework) == MOST_TRIALS


@pytest.mark.parametrize(("disturbed", "made"), [(6, TRIALS), (9, 2 * TRIALS)])
def test_disturbed_fetches_are_outvoted(
    measure_made_up: Callable[[MadeUp], dict[str, float]], disturbed: int, made: int
) -> None:
    """Other processes delay all three fetches of two trials of five: outvoted; of three: five more trials are made."""
    framework = MadeUp()
    # Two fetches find k, three warm up.
    framework.delays = chain(repeat(0.0, 5), repeat(0.5, disturbed), repeat(0.0))

    assert measure_made_up(framework) == pytest.approx(IDEAL, abs=1e-9)
    assert trials(framework) == made


def test_disturbed_trainings_are_outvoted(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """Other processes slow 2k steps, not k, in five trials: more are made until most are good."""
    framework = MadeUp()
    framework.slowness = chain(repeat(0.0, 5), [0.0, 0.0, 1.0] * TRIALS, repeat(0.0))

    assert measure_made_up(framework)[TIME] == pytest.approx(1.0)
    assert trials(framework) == 3 * TRIALS


def test_what_is_left_every_time_needs_no_more_trials(measure_made_up: Callable[[MadeUp], dict[str, float]]) -> None:
    """If no single trial was good, the machine is not to blame, and five trials are enough."""
    framework = MadeUp(waits_for="nothing")

    measure_made_up(framework)

    assert trials(framework) == TRIALS


@pytest.mark.parametrize(("processor", "steps"), [(1.0, 19), (0.5, 37), (0.0, 73)])
def test_number_of_steps_is_that_of_an_idle_machine(
    measure_made_up: Callable[[MadeUp], dict[str, float]], processor: float, steps: int
) -> None:
    """If half of the time went to others, twice as many steps are taken; a device without processor: at most four."""
    framework = MadeUp()
    framework.processor = processor

    measure_made_up(framework)

    assert framework.steps[-3:] == [1, steps, 2 * steps]


@pytest.mark.parametrize(("step_s", "steps"), [(1.0, LEAST_STEPS), (1e-6, 50)])
def test_number_of_steps_has_limits(
    measure_made_up: Callable[[MadeUp], dict[str, float]], monkeypatch: pytest.MonkeyPatch, step_s: float, steps: int
) -> None:
    """A slow framework takes two steps and four, a fast one no more than is allowed."""
    monkeypatch.setattr(asynchrony, "MOST_STEPS", 50)
    framework = MadeUp()
    framework.step_s = step_s

    measure_made_up(framework)

    assert framework.steps[-3:] == [1, steps, 2 * steps]


def test_what_was_not_measured_is_not_right() -> None:
    """The error of what is missing is NaN, which is not within any tolerance."""
    found = asynchrony.errors({TIME: np.array(0.9)})

    assert found[TIME] == pytest.approx(0.1)
    assert np.isnan([found[TRAINING_LEFT], found[INFERENCE_LEFT]]).all()
    assert wrong({TIME: 0.9}) == {TRAINING_LEFT, INFERENCE_LEFT}


@pytest.mark.parametrize("name", UNSYNCHRONISED)
def test_mutants_compute_the_right_numbers(mutant_class: Callable[[str], Any], name: str) -> None:
    """Every number of a mutant that does not wait is NumPy's, bit by bit: only time can give it away."""
    random = np.random.default_rng(0)
    batches = {
        "images": random.random((101, 4, *LENET.input_shape), dtype=np.float32),
        "labels": random.integers(0, 10, (101, 4)).astype(np.int32),
    }
    options = {"mode": "eager", "feed": "host", "device": "cpu", "dtype": "float32", "threads": 1}
    backends = [each(network=LENET, recipe=LENET5, **options) for each in (Numpy, mutant_class(name))]

    weights = initial_weights(LENET, seed=0)
    right, found = (quantities(each, weights, **batches, learning_rate=LENET5.learning_rate) for each in backends)

    assert list(found) == list(right)
    for quantity, value in right.items():
        np.testing.assert_array_equal(found[quantity], value, err_msg=quantity)
