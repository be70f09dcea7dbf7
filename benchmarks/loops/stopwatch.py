"""What the hand-written loops share: the arrays, and a clock around blocks of steps. No harness in here.

A loop is run as `python benchmarks/loops/torch_loop.py MODE ARRAYS.npz THREADS RETURN_STEPS`, pinned and with its
variables set by the caller. Once it is warm it prints `ready`; for each line on its standard input it trains
RETURN_STEPS steps, which bring the caches back, and then a block, and prints the seconds of the block.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

WARMUP_BLOCKS = 12
WARMUP_S = 0.5

Batch = tuple[np.ndarray, np.ndarray]
Train = Callable[[Sequence[Batch]], Any]


def main(setup: Callable[[str, int], tuple[Train, Callable[[], None]]]) -> None:
    """Time a loop, block by block.

    Args:
        setup: called with the mode and the number of threads after the process was pinned; returns a function that
            trains on a sequence of (images float32 (b, 1, 32, 32), labels int32 (b,)), and one that waits for all work.
    """
    mode, arrays, threads, return_steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    # Frameworks print as they like; answers go where nobody else writes.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with np.load(arrays, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    # (blocks, steps, batch, ...): a block is what the harness times too.
    source = cycle([list(zip(*block, strict=True)) for block in zip(images, labels, strict=True)])
    # Just written, as batches are that the harness has gathered.
    blocks = ([(np.array(batch), np.array(truth)) for batch, truth in block] for block in source)
    train, synchronize = setup(mode, threads)

    def timed(block: list[Batch]) -> float:
        synchronize()
        start = time.perf_counter()
        train(block)
        synchronize()
        return time.perf_counter() - start

    warm: list[float] = []
    while len(warm) < WARMUP_BLOCKS or sum(warm) < WARMUP_S:
        warm.append(timed(next(blocks)))
    print("ready", file=answers)
    for _ in sys.stdin:
        timed(next(blocks)[:return_steps])
        print(timed(next(blocks)), file=answers)
    os._exit(0)
