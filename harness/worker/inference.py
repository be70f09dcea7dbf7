"""What is timed of inference: images per second by batch size, and the time for one image. Worker side.

Every timed interval is one call of `stopwatch.timed`; images are on the device before.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np

from harness.worker.batches import Data
from harness.worker.job import EVALUATION_BATCH, LATENCY_QUERIES, Job
from harness.worker.memory import collect_garbage
from harness.worker.stopwatch import timed

LATENCY_WARMUP = 64
# What a launch keeps of its queries' distribution.
PERCENTILES = (0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
# How long each batch size of the inference sweep is timed, and how many calls at least.
SWEEP_S = 0.2
SWEEP_CALLS = 5


Row = dict[str, Any]


def throughput(job: Job, backend: Any, data: Data) -> Row:
    """Throughput over the test half, images already on the device, for every size of the sweep.

    Returns:
        columns of launches.csv (of the largest size), and `inference`: (size, images per second), for inference.csv.
    """
    sweep = [(size, _throughput(backend, data, size)) for size in sorted(job.inference_sizes)]
    size, images_per_s = sweep[-1]
    return {"inference_batch_size": size, "inference_images_per_s": images_per_s, "inference": sweep}


def _throughput(backend: Any, data: Data, size: int) -> float:
    """Images per second in batches of one size: of the median call."""
    images = cycle([native for native, _ in evaluation_batches(backend, data, size=size, limit=2 * EVALUATION_BATCH)])
    for _ in range(2):
        timed(backend.logits, next(images), synchronize=backend.synchronize)
    collect_garbage()
    seconds: list[float] = []
    while len(seconds) < SWEEP_CALLS or sum(seconds) < SWEEP_S:
        seconds.append(timed(backend.logits, next(images), synchronize=backend.synchronize))
    return size / statistics.median(seconds)


def latency(backend: Any, data: Data) -> Row:
    """Milliseconds for one image, already on the device, over LATENCY_QUERIES queries (MLPerf single stream).

    Returns:
        columns of launches.csv, and `latency`: (percentile, milliseconds), for latency.csv.
    """
    queries = []
    for number in range(LATENCY_QUERIES):
        place = number % len(data.test_labels)
        images, labels = data.test_batch(slice(place, place + 1))
        queries.append(backend.put(images=images, labels=labels)[0])
    for image in queries[:LATENCY_WARMUP]:
        timed(backend.logits, image, synchronize=backend.synchronize)
    collect_garbage()
    milliseconds = [timed(backend.logits, image, synchronize=backend.synchronize) * 1e3 for image in queries]
    found = dict(zip(PERCENTILES, np.percentile(milliseconds, PERCENTILES).tolist()))
    return {f"latency_ms_p{each}": found[each] for each in (50, 95, 99)} | {"latency": list(found.items())}


def evaluation_batches(
    backend: Any, data: Data, *, size: int = EVALUATION_BATCH, limit: int | None = None
) -> Iterator[tuple[Any, np.ndarray]]:
    """The test half on the device, batch by batch: native images and int32 labels.

    Args:
        limit: only full batches, of so many images in all, but one batch at least.
    """
    count = len(data.test_labels)
    if limit is not None:
        count = max(1, min(count, limit) // size) * size
    for start in range(0, count, size):
        images, labels = data.test_batch(slice(start, start + size))
        yield backend.put(images=images, labels=labels)[0], labels
