"""Is the work done when `synchronize` returns? The stopwatch stands on that. Worker side: NumPy only.

A framework may queue work, or put it off until somebody looks. Where `synchronize` does not wait for all of it, the
stopwatch (`harness.worker.stopwatch.timed`) stops too early, while every number is right, because whoever fetches a
number waits for it. Two things give that away, and both are measured with the very stopwatch that results are:

- 2k steps do not take twice as long as k. That alone is not enough: handing k steps to a queue takes a time
  that is proportional to k, too.
- Fetching results takes longer right after `synchronize` than it does where there is nothing to wait for. Of one
  step this shows what is left of the last, of many what is left of a queue.

A busy machine makes single trials anything. So the two times that are held against each other are always taken one
right after the other, the median over trials counts, and as long as it is not good enough, more trials are made.
The shortest of each would be worse than the median: with two busy processes on two CPUs the shortest k of five trials
was at times undisturbed where the shortest 2k was not, and their ratio came out between 0.47 and 1.37, the median of
the ratios between 0.87 and 1.25.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.worker.stopwatch import timed

TIME = "time of 2k steps over twice k"
TRAINING_LEFT = "training left after synchronize"
INFERENCE_LEFT = "inference left after synchronize"

# What an honest backend has: a ratio of one, and of the time until the results are here no share left.
IDEAL = {TIME: 1.0, TRAINING_LEFT: 0.0, INFERENCE_LEFT: 0.0}
# Measured on two virtual CPUs, float32, one thread, five to ten trials, the five frameworks and NumPy:
#                                             ratio         training left   inference left
#   as they are, machine nearly idle          0.92 .. 1.13  0 .. 0.065      0 .. 0.019
#   as they are, two to four others running   0.74 .. 1.28  0 .. 0.075      0 .. 0.019
#   JAX without `synchronize`                 0.5  .. 3.1   0.98 .. 1.00    0.85 .. 1.00
#   MXNet without `synchronize`               0.94 .. 1.30  0.57 .. 0.85    0.79 .. 0.97
#   NumPy, all k steps queued at once         0.44 .. 0.59  1.00            1.00
#   NumPy, the last update not waited for     1.04 .. 1.27  0.70 .. 0.92    0
# A fifth of a step that nobody saw would be a fortieth of a block of 8, the shortest that is timed; work that is left
# behind a turn is looked for there as well (`harness.worker.turns`).
TOLERANCES = {TIME: 0.3, TRAINING_LEFT: 0.2, INFERENCE_LEFT: 0.2}
LEFT = (TRAINING_LEFT, INFERENCE_LEFT)

# k steps take about this long: many turns of the scheduler, so that a busy machine slows k and 2k alike. A process that
# has waited may run undisturbed for a while: with k of 18 ms, MXNet beside two busy processes came out at 2.4.
SECONDS = 0.1
LEAST_STEPS = 2
MOST_STEPS = 256
# One inference is over before the operating system lets another thread go first: several are not.
INFERENCES = 8
TRIALS = 5
MOST_TRIALS = 25

Batches = list[tuple[np.ndarray, np.ndarray]]


def measure(
    backend: Any,
    weights: dict[str, np.ndarray],
    *,
    images: np.ndarray,
    labels: np.ndarray,
    least_steps: int = LEAST_STEPS,
) -> dict[str, np.ndarray]:
    """Time k and 2k steps, and how much of training and of inference is left after `synchronize`.

    Args:
        backend: built with feed=host; its weights and its optimizer's state are used up.
        images: the backend's dtype, (steps, batch, c, h, w).
        labels: int32 (steps, batch).
        least_steps: k is no less: a block, where the time of a step depends on how many a call has.

    Returns:
        float64 scalars by the names in IDEAL, medians over trials.
    """
    backend.load_weights(weights)
    count = max(_steps_that_fill(SECONDS, backend, (images[0], labels[0])), least_steps)
    batches = [(images[step % len(images)], labels[step % len(labels)]) for step in range(2 * count)]
    # Where a program is compiled for each number of steps, this is when.
    _trial(backend, weights, batches)
    trials: list[dict[str, float]] = []
    while len(trials) < MOST_TRIALS:
        trials += [_trial(backend, weights, batches) for _ in range(TRIALS)]
        found = {name: np.median([trial[name] for trial in trials]) for name in IDEAL}
        # What is left in every single trial is not the machine's doing.
        always_left = any(min(trial[name] for trial in trials) > TOLERANCES[name] for name in LEFT)
        if always_left or all(error <= TOLERANCES[name] for name, error in errors(found).items()):
            break
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def errors(found: dict[str, Any]) -> dict[str, float]:
    """How far each is from the ideal; NaN for what was not measured."""
    return {name: abs(float(found.get(name, np.nan)) - ideal) for name, ideal in IDEAL.items()}


def _steps_that_fill(seconds: float, backend: Any, batch: tuple[np.ndarray, np.ndarray]) -> int:
    """How many steps take so long where nothing disturbs them."""
    for _ in range(2):  # the first compiles
        start = time.perf_counter(), time.process_time()
        backend.train_steps([batch] * LEAST_STEPS)
        # Waits for all of it, whatever `synchronize` does.
        backend.dump_weights()
        wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    # A busy machine stretches the wall clock, and a device that works alone leaves the processor idle.
    return min(max(math.ceil(seconds * LEAST_STEPS / max(processor, wall / 4)), LEAST_STEPS), MOST_STEPS)


def _trial(backend: Any, weights: dict[str, np.ndarray], batches: Batches) -> dict[str, float]:
    """The ratio, the largest share left of 1, k and 2k steps, the share left of inference; the same start each time.

    What fetching takes when nothing is left is not measured by fetching again: JAX keeps the host's copy of an
    array that was fetched, so the second time is free. It is measured on weights and images just handed over.
    """
    backend.load_weights(weights)
    backend.synchronize()
    idle = _seconds(backend.dump_weights)
    took, left = [], []
    for steps in (1, len(batches) // 2, len(batches)):
        took.append(timed(backend.train_steps, batches[:steps], synchronize=backend.synchronize))
        left.append(_share(_seconds(backend.dump_weights) - idle, took[-1]))
    ratio = took[2] / (2 * took[1])
    return {TIME: ratio, TRAINING_LEFT: max(left), INFERENCE_LEFT: _inference_left(backend, *batches[0])}


def _inference_left(backend: Any, images: np.ndarray, labels: np.ndarray) -> float:
    def put(count: int) -> list[Any]:
        return [backend.put(images=images[:count], labels=labels[:count])[0] for _ in range(INFERENCES)]

    def fetch(values: list[Any]) -> None:
        for value in values:
            backend.to_numpy(value)

    def infer() -> None:
        logits.extend(backend.logits(each) for each in handed_over)

    logits: list[Any] = []
    # An image is about as large as the logits of a batch.
    handed_over, of_that_size = put(len(images)), put(1)
    backend.synchronize()
    idle = _seconds(fetch, of_that_size)
    took = timed(infer, synchronize=backend.synchronize)
    return _share(_seconds(fetch, logits) - idle, took)


def _share(left: float, took: float) -> float:
    """The share of all seconds that was left when the stopwatch stopped."""
    left = max(left, 0.0)
    return left / (took + left)


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of a call that waits for its result by itself; `timed` would wait before it starts."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start
