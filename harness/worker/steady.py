"""What is timed of training: blocks of steps, once they are steady, turn by turn. Worker side.

Every timed interval is one call of `stopwatch.timed`. Preparing batches, choosing, counting and reporting happen
between intervals.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from harness.worker.batches import Data
from harness.worker.catalogue import blockwise, steps_of
from harness.worker.counters import Counters, combine
from harness.worker.job import Job
from harness.worker.memory import collect_garbage
from harness.worker.stopwatch import timed, timed_with_result

# Blocks of different batches that training cycles through while it is timed.
DISTINCT_BLOCKS = 5
# Warm-up has ended when the medians of the last five blocks and of the five before them agree this well.
STEADY_WINDOW = 5
STEADY_TOLERANCE = 0.03
LEAST_BLOCKS = 10
# Clocks of processors and graphics cards take a while to rise; blocks may be over in milliseconds.
LEAST_WARMUP_S = 0.5
# Steps at the start of a turn that are not counted, because others have had the caches. Three processes of PyTorch in
# turns, medians of 60 turns each: the first step took 17 to 21 % longer, the second 3 to 4, the third 1.5, the fourth
# and those after it nothing.
RETURN_STEPS = 4
Row = dict[str, Any]
Tell = Callable[..., None]


def blocks(job: Job, data: Data) -> Iterator[Any]:
    """Endless blocks of full batches, all of them made before the first is handed out."""
    size = job.entrant.batch_size
    order = data.order(seed=job.seed, epoch=0, batch_size=size)
    full = [index for index in order if len(index) == size]
    wanted = DISTINCT_BLOCKS * steps_of(job.entrant)
    batches: list[Any] = full[:wanted]
    if job.entrant.feed == "host":
        batches = [data.train_batch(index) for index in batches]
    # A small data set, or a large batch, has fewer batches than a few blocks need: go round.
    source = cycle(batches)
    made = [[next(source) for _ in range(steps_of(job.entrant))] for _ in range(DISTINCT_BLOCKS)]
    return cycle([np.stack(block) for block in made] if job.entrant.feed == "device" else made)


def training(job: Job, backend: Any, source: Iterator[Any], tell: Tell, take_turn: Callable[[], bool]) -> Row:
    """Warm up until steady, then time blocks for at least `job.steady_s` seconds, all at once or in turns.

    Returns:
        columns of launches.csv, and `blocks`: the seconds of every block, for blocks.csv.
    """
    warmup, steady = _warm_up(job, backend, source)
    turns = Turns(job, backend, source, tell)
    if job.turns:
        tell("ready")
        while take_turn():
            turns.take(job.steady_s / job.turns)
            tell("turn ended")
    else:
        turns.take(job.steady_s)
    count = steps_of(job.entrant)
    seconds = [second for turn in turns.seconds for second in turn]
    step_us = np.array(seconds) / count * 1e6
    median = float(np.median(step_us))
    return {
        "block_steps": count,
        "warmup_steps": len(warmup) * count,
        "warmup_s": sum(warmup),
        "steady": steady,
        "steady_steps": len(seconds) * count,
        "steady_drift": drift(seconds),
        "turns": len(turns.seconds),
        "turn_step_us": " ".join(f"{statistics.median(turn) / count * 1e6:.3f}" for turn in turns.seconds),
        "train_images_per_s": job.entrant.batch_size / median * 1e6,
        "step_us_median": median,
        "step_us_p95": float(np.percentile(step_us, 95)),
        "return_steps": turns.return_steps if job.turns else None,
        "blocks": {"warmup": [warmup], "return": turns.returns, "steady": turns.seconds},
    } | combine(turns.counted)


class Turns:
    """Steady training, turn by turn.

    Attributes:
        seconds: of the blocks of each turn.
        returns: of the steps before them, which are not counted.
        return_steps: how many these are.
        counted: steps, seconds and counters of each turn.
    """

    def __init__(self, job: Job, backend: Any, source: Iterator[Any], tell: Tell) -> None:
        self.job, self.backend, self.source, self.tell = job, backend, source, tell
        self.seconds: list[list[float]] = []
        self.returns: list[list[float]] = []
        self.counted: list[tuple[int, float, Row]] = []
        self._losses: list[tuple[int, Any]] = []
        self._steps_seen = 0
        self.counters = Counters(device=job.entrant.device)
        # A shorter block of a mode that compiles blocks would be another program.
        whole = job.entrant.mode in blockwise(job.entrant.backend)
        self.return_steps = steps_of(job.entrant) if whole else RETURN_STEPS

    def take(self, least_s: float) -> None:
        """Time blocks for so many seconds at least."""
        collect_garbage()
        self.tell("phase", name="steady")
        self.returns.append([self._steps(next(self.source)[: self.return_steps])] if self.job.turns else [])
        least = 1 if self.job.turns else LEAST_BLOCKS
        seconds: list[float] = []
        self.counters.start()
        while len(seconds) < least or sum(seconds) < least_s:
            seconds.append(self._steps(next(self.source)))
        steps = len(seconds) * steps_of(self.job.entrant)
        self.counted.append((steps, sum(seconds), self.counters.stop(steps=steps)))
        self.tell("phase", name="steady ended")
        self.seconds.append(seconds)
        self._check_losses()

    def _steps(self, batches: Any) -> float:
        seconds, losses = timed_with_result(self.backend.train_steps, batches, synchronize=self.backend.synchronize)
        self._losses.append((len(batches), losses))
        return seconds

    def _check_losses(self) -> None:
        """Look at the losses of a turn, once it is over.

        Raises:
            RuntimeError: a step has none.
            FloatingPointError: one is no longer a finite number: whatever speed that had, nothing was trained.
        """
        for steps, losses in self._losses:
            found = np.asarray(self.backend.to_numpy(losses))
            if found.shape != (steps,):
                raise RuntimeError(f"A block of {steps} steps gave back losses of shape {found.shape}, not ({steps},).")
            wrong = ~np.isfinite(found)
            if wrong.any():
                number = self._steps_seen + int(wrong.argmax()) + 1
                raise FloatingPointError(
                    f"The training diverged: its loss became {found[wrong][0]} in step {number} of those timed."
                )
            self._steps_seen += steps
        self._losses.clear()


def _warm_up(job: Job, backend: Any, source: Iterator[Any]) -> tuple[list[float], bool]:
    """Return the seconds of every block, and whether they became steady within the limit."""
    seconds: list[float] = []
    while len(seconds) < LEAST_BLOCKS or sum(seconds) < job.warmup_limit_s:
        seconds.append(timed(backend.train_steps, next(source), synchronize=backend.synchronize))
        if is_steady(seconds) and sum(seconds) >= LEAST_WARMUP_S:
            return seconds, True
    return seconds, False


def is_steady(seconds: Sequence[float]) -> bool:
    """Whether the last blocks took as long as those before them."""
    if len(seconds) < 2 * STEADY_WINDOW:
        return False
    last = statistics.median(seconds[-STEADY_WINDOW:])
    before = statistics.median(seconds[-2 * STEADY_WINDOW : -STEADY_WINDOW])
    return abs(last / before - 1) <= STEADY_TOLERANCE


def drift(seconds: Sequence[float]) -> float:
    """Median of the second half of the blocks over that of the first, less one: 0.01 is 1 % slower at the end."""
    half = len(seconds) // 2
    return statistics.median(seconds[half:]) / statistics.median(seconds[:half]) - 1


def cold_start(row: Row, *, images: int, batch_size: int) -> Row:
    """What starting costs, and how long the first epoch takes from the import of the framework on, in seconds.

    Start-up is import, build, and whatever the first step and the warm-up took beyond their steps at the steady
    median (compilation, caches that fill); the epoch is that and all its images at the steady median. Evaluation is
    in neither.
    """
    step_s = row["step_us_median"] / 1e6
    compiling = max(0.0, row["first_step_s"] - step_s)
    warming = max(0.0, row["warmup_s"] - row["warmup_steps"] * step_s)
    start_up = row["import_s"] + row["build_s"] + compiling + warming
    return {"start_up_s": start_up, "first_epoch_s": start_up + images / batch_size * step_s}
