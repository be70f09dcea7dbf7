"""A launch's own figures, made of its undisturbed turns: the worker cannot know which these are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import compress
from operator import add
from typing import Any

from harness.analysis.disturbed import kept, text_of
from harness.analysis.summary import STARTS
from harness.runs.disturbance import Seen
from harness.worker import steady

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
    known = [each for each in seen if each is not None]
    waited = reduce(add, known).waited if known else None
    row: Row = {"disturbed_turns": text_of(disturbed), "cpu_wait_share": waited}
    turns = result["blocks"]["steady"]
    clean = kept(len(turns), disturbed)
    if clean.all():
        return row
    seconds = [second for turn in compress(turns, clean) for second in turn]
    row |= steady.speed(seconds, steps=result["block_steps"], batch_size=batch_size)
    return row | _start_up(result, row, batch_size)


def started_beside(cpus: Sequence[int]) -> Row:
    """Columns of a launch that started beside others, which takes longer, and on another CPU than it was timed on.

    Args:
        cpus: that it was timed on.
    """
    return dict.fromkeys(STARTS) | {"cpus_found": " ".join(map(str, cpus))}


def _start_up(result: Row, row: Row, batch_size: int) -> Row:
    """Start-up and first epoch beyond steps at the median of `row`; none where the worker had none."""
    before_us, start_up_s = result.get("step_us_median"), result.get("start_up_s")
    if not before_us or start_up_s is None:
        return {}
    images = (result["first_epoch_s"] - start_up_s) / before_us * 1e6 * batch_size
    return steady.cold_start(result | row, images=images, batch_size=batch_size)
