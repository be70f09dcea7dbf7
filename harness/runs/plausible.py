"""What a worker says of its timing, held against what the harness saw by its own clock. What cannot be, is no result.

A worker times itself, because only it knows when a step begins. Around every turn it says so, and the harness, which
waits for its words, reads a clock of its own. The two clocks need not agree in microseconds; but blocks cannot take
longer than the time between the words, nor a small part of it, because hardly anything else happens there.
"""

from __future__ import annotations

import statistics
from typing import Any

from harness.errors import WorkerFailed

# Blocks over the time between the words, all turns of a launch together: 0.9875 to 0.9987 in the five frameworks, batch
# 64, turns of 75 ms. What is not blocks is a few milliseconds a turn, and what other processes take in between.
LEAST_SHARE = 0.8
MOST_SHARE = 1.01
BESIDE_S = 0.005
# Of figures that are computed here once more from the blocks.
SAME = 1e-6
# Operations are counted as the layer table has them. Who skips products with zeros may be above the peak, but not far.
MOST_OF_PEAK = 2.0


def check(result: dict[str, Any], *, turns: int, batch_size: int, heard_s: float, heard_turns: int) -> None:
    """Refuse a result whose parts contradict each other, or the harness's own clock.

    Args:
        result: as the worker gave it.
        turns: that it was let go on for; 0 where it timed all at once.
        batch_size: images of a step.
        heard_s: seconds between the words around steady training, all turns together.
        heard_turns: how often these words came.

    Raises:
        WorkerFailed: with what was said and what was seen.
    """
    blocks = result.get("blocks", {})
    steady, returns = blocks.get("steady", []), blocks.get("return", [])
    if len(steady) != max(turns, 1) or heard_turns != len(steady):
        raise WorkerFailed(
            f"It says that it timed {len(steady)} turn(s), and told of {heard_turns}; it was let go on {max(turns, 1)} "
            "time(s)."
        )
    seconds = [second for turn in steady for second in turn]
    if not seconds or min(seconds) <= 0:
        raise WorkerFailed("It says that a block of steps took no time.")
    claimed = sum(seconds) + sum(second for turn in returns for second in turn)
    if not LEAST_SHARE * heard_s - BESIDE_S * heard_turns <= claimed <= MOST_SHARE * heard_s:
        raise WorkerFailed(
            f"Its clock cannot be right: it says that its blocks took {claimed:.3f} s, and between its words for the "
            f"beginning and the end of its turns lay {heard_s:.3f} s by the harness's clock."
        )
    speed = batch_size * result["block_steps"] / statistics.median(seconds)
    if not abs(result["train_images_per_s"] / speed - 1) <= SAME:
        raise WorkerFailed(
            f"Its blocks do not give its speed: it says {result['train_images_per_s']:,.0f} images/s, and its blocks "
            f"give {speed:,.0f}."
        )


def check_peak(gflops: float, peak: float) -> None:
    """Refuse a speed that this machine's processor cannot have.

    Args:
        gflops: counted operations of training a second.
        peak: of matrix multiplication, measured in the same round on the same CPUs.

    Raises:
        WorkerFailed: it is far above the peak.
    """
    if not gflops <= MOST_OF_PEAK * peak:
        raise WorkerFailed(
            f"Its speed cannot be: {gflops:,.0f} GFLOP/s, where multiplying matrices reaches {peak:,.0f} on these "
            "CPUs. Are all steps computed?"
        )
