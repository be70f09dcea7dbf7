"""What a worker says of its timing, held against what the harness saw by its own clock. What cannot be, is no result.

A worker times itself, because only it knows when a step begins. Around every turn it says so, and the harness, which
waits for its words, reads a clock of its own. The two clocks need not agree in milliseconds: a busy machine lets a word
wait. But blocks cannot take a small part of the time between the words, because hardly anything else happens there.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Collection, Sequence
from typing import Any

from harness.errors import WorkerFailed

# Blocks of a turn over the time between its words, median over turns: 0.99 to 1.00 in the five frameworks, batch 64,
# turns of 75 ms. A word that waits on a busy machine makes a turn longer or shorter, by some milliseconds. Of turns
# that are no longer than that, half is enough.
LEAST_SHARE, LEAST_OF_SHORT, SLACK_S = 0.8, 0.5, 0.008
# More of the turns than that may not lack time where nothing else had the CPUs; who lies in few of them changes no
# median.
MOST_LACKING = 0.25
# Share of a turn's time that work may go on after its last `synchronize`, median over turns. Fetching the weights takes
# 0.03 to 0.3 % of a turn longer than fetching weights that were just loaded, in the five frameworks.
MOST_LEFT = 0.03
# Share of a turn's time, median over turns, that the worker's threads ran or waited for a CPU that others had: 1.00 to
# 1.26 in the five frameworks with one thread (two threads of one framework may want its one CPU); that its children
# ran: 0.
LEAST_AT_WORK, MOST_OF_CHILDREN = 0.5, 0.1
# Median block of a turn over its mean one, median over turns: speeds are of median blocks.
LEAST_EVEN = 0.5
# Loading a turn's weights over the turn: up to 0.10 in the five frameworks and numba, on a busy machine. A step that is
# not counted over one that is: 0.77 to 1.07. Time from the training step to the last answer that is in no answer, but
# for two steps, over that which is: up to 0.22.
MOST_LOADING, MOST_RETURN, MOST_SPARE = 0.3, 1.5, 1.0
# Looking at an answer over answering.
MOST_LOOKED = 0.5
# Undisturbed turns decide. Where there are none, all do, within so many times the limits: four turns of 24 ms of an
# honest launch, which had to wait for a CPU in all of them, were at 1.5; who trains a turn in its first steps, at 8.9.
LIMIT_OF_DISTURBED = 2.0
# Of figures that are computed here once more from the blocks.
SAME = 1e-6
# Operations are counted as the layer table has them. Who skips products with zeros may be above the peak, but not far.
MOST_OF_PEAK = 2.0


def check(
    result: dict[str, Any],
    *,
    turns: int,
    batch_size: int,
    heard: Sequence[float],
    whole: bool = False,
    disturbed: Collection[int] = (),
) -> None:
    """Refuse a result whose parts contradict each other, or the harness's own clock.

    Args:
        result: as the worker gave it.
        turns: that it was let go on for; 0 where it timed all at once.
        batch_size: images of a step.
        heard: seconds between its words around each turn, by the harness's clock.
        whole: whether it hands over whole blocks: that which is not counted then comes before a turn's first word.
        disturbed: numbers of turns, from 1, in which something else had the CPUs: words may have waited there.

    Raises:
        WorkerFailed: with what was said and what was seen.
    """
    blocks = result.get("blocks", {})
    steady, returns = blocks.get("steady", []), blocks.get("return", [])
    if len(steady) != max(turns, 1) or len(heard) != len(steady):
        raise WorkerFailed(
            f"It says that it timed {len(steady)} turn(s), and told of {len(heard)}; it was let go on {max(turns, 1)} "
            "time(s)."
        )
    seconds = [second for turn in steady for second in turn]
    if not all(steady) or min(seconds) <= 0:
        raise WorkerFailed("It says that a block of steps took no time.")
    within = [] if whole else returns
    pairs = itertools.zip_longest(steady, within, fillvalue=())
    claimed = [sum(counted) + sum(before) for counted, before in pairs][: len(heard)]
    lacks = [_lacks(said, seen) for said, seen in zip(claimed, heard)]
    undisturbed = [lack for number, lack in enumerate(lacks, start=1) if number not in disturbed]
    too_many = sum(lack > 0 for lack in undisturbed) > max(1, MOST_LACKING * len(undisturbed))
    if too_many or not statistics.median(lacks) <= 0:
        raise WorkerFailed(
            f"Its clock cannot be right: it says that its blocks took {sum(claimed):.3f} s, and between its words for "
            f"the beginning and the end of its turns lay {sum(heard):.3f} s by the harness's clock."
        )
    even = statistics.median(statistics.median(turn) / statistics.mean(turn) for turn in steady)
    if not even >= LEAST_EVEN:
        raise WorkerFailed(
            f"Its blocks cannot be alike: the median block of a turn took {even:.0%} of the mean one. Is the work of "
            "several done in one of them?"
        )
    left = result.get("left_share") or 0.0
    if not left <= MOST_LEFT:
        raise WorkerFailed(
            f"`synchronize` returned before the work was done: it went on for {left:.0%} of the time of a turn."
        )
    speed = batch_size * result["block_steps"] / statistics.median(seconds)
    if not abs(result["train_images_per_s"] / speed - 1) <= SAME:
        raise WorkerFailed(
            f"Its blocks do not give its speed: it says {result['train_images_per_s']:,.0f} images/s, and its blocks "
            f"give {speed:,.0f}."
        )


def _lacks(said: float, seen: float) -> float:
    """How many seconds a turn's blocks lack of what they must have taken of those that were seen; 0 or less: none."""
    if not seen:
        return math.inf
    return max(LEAST_OF_SHORT * seen, min(LEAST_SHARE * seen, seen - SLACK_S)) - said


def check_beside(
    result: dict[str, Any], *, start: Sequence[float], heard: Sequence[float], disturbed: Collection[int] = ()
) -> None:
    """Refuse a launch that was at work where nothing is counted: what it does there is missing where it is.

    Args:
        result: as the worker gave it.
        start: seconds that loading each turn's weights took, by the harness's clock.
        heard: as `check`.
        disturbed: numbers of turns, from 1, in which something else had the CPUs: a step that had to wait for one is
            no longer than others by the launch's own doing.

    Raises:
        WorkerFailed: with what was seen.
    """
    if len(start) != len(heard):
        raise WorkerFailed(f"It said of {len(start)} of its {len(heard)} turns when it began to load their weights.")
    clean = [number not in disturbed for number in range(1, len(heard) + 1)]
    if any(clean):
        _check_turns(result, start, heard, clean, limit=1.0)
    else:
        _check_turns(result, start, heard, [True] * len(heard), limit=LIMIT_OF_DISTURBED)
    spare = _beyond(result.get("spare", ()), MOST_SPARE)
    if spare is not None:
        raise WorkerFailed(
            f"Before it was asked for answers it was at work for {spare:.1f} times as long as with them. Are they "
            "computed before?"
        )
    looked = _beyond(result.get("looked", ()), MOST_LOOKED)
    if looked is not None:
        raise WorkerFailed(
            f"Looking at an answer took it {looked:.1f} times as long as answering. Is it computed when somebody looks?"
        )


def _beyond(values: Sequence[float], most: float) -> float | None:
    """The first of these that is more than it may be, or no number."""
    return next((value for value in values if not value <= most), None)


def _check_turns(
    result: dict[str, Any], start: Sequence[float], heard: Sequence[float], counts: Sequence[bool], *, limit: float
) -> None:
    """The part of `check_beside` that is about turns: those that count, within so many times the limits."""
    shares = ((before - SLACK_S) / within for before, within in zip(start, heard, strict=True))
    loading = statistics.median(itertools.compress(shares, counts))
    if not loading <= limit * MOST_LOADING:
        raise WorkerFailed(
            f"Loading weights took it {loading:.0%} of the time of a turn. Does it train before its turn begins?"
        )
    steps = result.get("return_steps")
    if steps:
        pairs = itertools.compress(zip(result["blocks"]["return"], result["blocks"]["steady"]), counts)
        ratio = statistics.median(
            sum(before) / steps / (statistics.median(turn) / result["block_steps"]) for before, turn in pairs
        )
        if not ratio <= limit * MOST_RETURN:
            raise WorkerFailed(
                f"Its first steps of a turn, which are not counted, took {ratio:.1f} times as long as the others. Is "
                "the work of these done there?"
            )


def check_at_work(shares: Sequence[tuple[float | None, float]]) -> dict[str, Any]:
    """Refuse a launch whose work another process does; its column of launches.csv.

    Args:
        shares: of every turn's time that its threads were at work, and that its children were.

    Raises:
        WorkerFailed: with what was seen.
    """
    own = [share for share, _ in shares if share is not None]
    children = statistics.median(share for _, share in shares) if shares else 0.0
    if own and not statistics.median(own) >= LEAST_AT_WORK:
        raise WorkerFailed(
            "Who does its work? In its turns it ran, or waited for a CPU, for "
            f"{statistics.median(own):.0%} of the time only."
        )
    if not children <= MOST_OF_CHILDREN:
        raise WorkerFailed(
            f"Processes that it started work for it: for {children:.0%} of the time of its turns. What they do is no "
            "speed of its own."
        )
    return {"at_work_share": statistics.median(own) if own else None}


def check_peak(gflops: float, peak: float) -> None:
    """Refuse a speed that this machine's processor cannot have.

    Args:
        gflops: counted operations of training a second.
        peak: of the machine, measured in the same round on the same CPUs.

    Raises:
        WorkerFailed: it is far above the peak.
    """
    if not gflops <= MOST_OF_PEAK * peak:
        raise WorkerFailed(
            f"Its speed cannot be: {gflops:,.0f} GFLOP/s, where multiply-adds reach {peak:,.0f} on these "
            "CPUs. Are all steps computed?"
        )
