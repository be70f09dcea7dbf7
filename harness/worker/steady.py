"""What is timed of training: blocks of steps, once they are steady, turn by turn. Worker side.

Every timed interval is one call of `stopwatch.timed`. Preparing batches, choosing, counting and reporting happen
between intervals. A turn is an experiment that can be done over (`harness.worker.experiment`); what it came to is kept
for the harness, which draws afterwards the turns that it does over.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.worker.catalogue import steps_of
from harness.worker.counters import combine
from harness.worker.experiment import WARM_UP, Source
from harness.worker.job import Job
from harness.worker.stopwatch import timed
from harness.worker.turns import Turns

# Warm-up has ended when the medians of the last five blocks and of the five before them agree this well; three, where
# blocks are so long that ten of them take longer than all that is timed of a launch.
STEADY_WINDOW, LONG_WINDOW, LONG_BLOCK_S = 5, 3, 0.1
STEADY_TOLERANCE = 0.03
# Of what is timed all at once, without turns.
LEAST_BLOCKS = 10
MOST_BLOCKS = 1000
# Clocks of processors and graphics cards take a while to rise; blocks may be over in milliseconds.
LEAST_WARMUP_S = 0.5
Row = dict[str, Any]
Tell = Callable[..., None]


def training(job: Job, backend: Any, source: Source, tell: Tell, take_turn: Callable[[], int | None]) -> Row:
    """Warm up until steady, then time blocks for at least `job.steady_s` seconds, all at once or in turns.

    Returns:
        columns of launches.csv, and `blocks`: the seconds of every block, for blocks.csv.
    """
    warmup, steady = _warm_up(job, backend, source)
    block_s = statistics.median(warmup)
    turns = Turns(job, backend, source, tell, block_s=block_s)
    if job.turns:
        tell("ready", block_s=block_s)
        while (seed := take_turn()) is not None:
            source.seed = seed
            tell("turn ended", sha256=turns.take(job.steady_s / job.turns))
    else:
        turns.take(job.steady_s, least_blocks=LEAST_BLOCKS)
    count = steps_of(job.entrant)
    seconds = [second for turn in turns.seconds for second in turn]
    return (
        {
            "block_steps": count,
            "warmup_steps": len(warmup) * count,
            "warmup_s": sum(warmup),
            "steady": steady,
            "steady_steps": len(seconds) * count,
            "turns": len(turns.seconds),
            "turn_step_us": " ".join(f"{statistics.median(turn) / count * 1e6:.3f}" for turn in turns.seconds),
            "return_steps": turns.return_steps if job.turns else None,
            "left_share": statistics.median(turns.left),
            "blocks": {"warmup": [warmup], "return": turns.returns, "steady": turns.seconds},
        }
        | speed(seconds, steps=count, batch_size=job.entrant.batch_size)
        | _counted(job, turns)
    )


def _counted(job: Job, turns: Turns) -> Row:
    found = combine(turns.counted)
    if job.entrant.device == "gpu" and job.entrant.replicas > 1:
        # Of several cards, the first one's energy would be a wrong number.
        found |= {"energy_j": None, "energy_source": None}
    return found


def speed(seconds: Sequence[float], *, steps: int, batch_size: int) -> Row:
    """Columns of launches.csv that are made of timed blocks of so many steps each."""
    step_us = np.array(seconds) / steps * 1e6
    median = float(np.median(step_us))
    return {
        "steady_drift": drift(seconds),
        "train_images_per_s": batch_size / median * 1e6,
        "step_us_median": median,
        "step_us_p95": float(np.percentile(step_us, 95)),
    }


def _warm_up(job: Job, backend: Any, source: Source) -> tuple[list[float], bool]:
    """Return the seconds of every block, and whether they became steady within the limit."""
    seconds: list[float] = []
    while len(seconds) < 2 * _window(seconds) or (sum(seconds) < job.warmup_limit_s and len(seconds) < MOST_BLOCKS):
        block = source.take(WARM_UP, steps_of(job.entrant))
        seconds.append(timed(backend.train_steps, block, synchronize=backend.synchronize))
        if is_steady(seconds) and sum(seconds) >= LEAST_WARMUP_S:
            return seconds, True
    return seconds, False


def is_steady(seconds: Sequence[float]) -> bool:
    """Whether the last blocks took as long as those before them."""
    window = _window(seconds)
    if len(seconds) < 2 * window:
        return False
    last = statistics.median(seconds[-window:])
    before = statistics.median(seconds[-2 * window : -window])
    return abs(last / before - 1) <= STEADY_TOLERANCE


def _window(seconds: Sequence[float]) -> int:
    return LONG_WINDOW if seconds and statistics.median(seconds) >= LONG_BLOCK_S else STEADY_WINDOW


def drift(seconds: Sequence[float]) -> float:
    """Median of the second half of the blocks over that of the first, less one: 0.01 is 1 % slower at the end."""
    half = len(seconds) // 2
    return statistics.median(seconds[half:]) / statistics.median(seconds[:half]) - 1


def cold_start(row: Row, *, images: float, batch_size: int) -> Row:
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
