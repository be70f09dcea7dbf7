"""What the hand-written loops share: the arrays, and a clock around blocks of steps. No harness in here.

A loop is run as `python benchmarks/loops/torch_loop.py MODE ARRAYS.npz THREADS SECONDS`, pinned and with its variables
set by the caller, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

WARMUP_BLOCKS = 12

Batch = tuple[np.ndarray, np.ndarray]
Train = Callable[[Sequence[Batch]], Any]


def main(setup: Callable[[str, int], tuple[Train, Callable[[], None]]]) -> None:
    """Time a loop.

    Args:
        setup: called with the mode and the number of threads after the process was pinned; returns a function that
            trains on a sequence of (images float32 (b, 1, 32, 32), labels int32 (b,)), and one that waits for all work.
    """
    mode, arrays, threads, least_seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    with np.load(arrays, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    # (blocks, steps, batch, ...): a block is what the harness times too.
    blocks = [list(zip(*block, strict=True)) for block in zip(images, labels, strict=True)]
    train, synchronize = setup(mode, threads)
    seconds: list[float] = []
    number = 0
    while number < WARMUP_BLOCKS or sum(seconds) < least_seconds:
        block = blocks[number % len(blocks)]
        synchronize()
        start = time.perf_counter()
        train(block)
        synchronize()
        took = time.perf_counter() - start
        number += 1
        if number > WARMUP_BLOCKS:
            seconds.append(took)
    speed = images.shape[1] * images.shape[2] / statistics.median(seconds)
    print(json.dumps({"train_images_per_s": speed, "blocks": len(seconds)}), flush=True)
    os._exit(0)
