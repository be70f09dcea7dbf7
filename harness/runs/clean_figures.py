"""A launch's own figures, made of its undisturbed turns: the worker cannot know which these are."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from harness.analysis.disturbed import kept, text_of
from harness.runs.disturbance import Seen
from harness.worker.steady import drift

Row = dict[str, Any]


def of(result: Row, disturbed: frozenset[int] | None, seen: Sequence[Seen | None], *, batch_size: int) -> Row:
    """Columns of launches.csv that are to be other than the worker says, and those of which it knows nothing.

    Args:
        result: as the worker gave it, with the seconds of all its blocks.
        disturbed: numbers of its round's turns in which something else had the CPUs; None where nobody could see.
        seen: what its own turns had of the CPUs.
    """
    if disturbed is None:
        return {}
    waited = [each.waited for each in seen if each is not None]
    row: Row = {"disturbed_turns": text_of(disturbed), "cpu_wait_share": statistics.fmean(waited) if waited else None}
    turns = result["blocks"]["steady"]
    clean = kept(len(turns), disturbed)
    return row if clean.all() else row | _figures(result, list(compress(turns, clean)), batch_size)


def _figures(result: Row, turns: list[list[float]], batch_size: int) -> Row:
    """What the worker makes of the blocks of all turns (`harness.worker.steady`), of these alone."""
    count, seconds = result["block_steps"], [second for turn in turns for second in turn]
    step_us = np.array(seconds) / count * 1e6
    median = float(np.median(step_us))
    row: Row = {
        "train_images_per_s": batch_size / median * 1e6,
        "step_us_median": median,
        "step_us_p95": float(np.percentile(step_us, 95)),
        "steady_drift": drift(seconds),
    }
    return row | _start_up(result, median / 1e6)


def _start_up(result: Row, step_s: float) -> Row:
    """Start-up and first epoch are what they are beyond steps at the steady median (`worker.steady.cold_start`)."""
    needed = ("import_s", "build_s", "first_step_s", "warmup_s", "warmup_steps", "start_up_s", "first_epoch_s")
    before_s = (result.get("step_us_median") or 0) / 1e6
    if not before_s or any(result.get(name) is None for name in needed):
        return {}
    beyond = max(0.0, result["first_step_s"] - step_s) + max(0.0, result["warmup_s"] - result["warmup_steps"] * step_s)
    start_up = result["import_s"] + result["build_s"] + beyond
    epoch_s = (result["first_epoch_s"] - result["start_up_s"]) * step_s / before_s
    return {"start_up_s": start_up, "first_epoch_s": start_up + epoch_s}
