"""The stopwatch and what is timed with it. Worker side: NumPy and psutil only.

Every timed interval is one call of `timed`: synchronise, read the clock, the call, synchronise, read the clock.
Preparing batches, choosing, counting and reporting happen between intervals.
"""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from harness.batches import Data
from harness.job import BLOCK_STEPS, EVALUATION_BATCH, LATENCY_QUERIES, Job

# Blocks of different batches that training cycles through while it is timed.
DISTINCT_BLOCKS = 5
# Warm-up has ended when the medians of the last five blocks and of the five before them agree this well.
STEADY_WINDOW = 5
STEADY_TOLERANCE = 0.03
LEAST_BLOCKS = 10
LATENCY_WARMUP = 64

Row = dict[str, Any]


def timed(call: Callable[..., Any], *arguments: Any, synchronize: Callable[[], None]) -> float:
    """Seconds that `call(*arguments)` takes, from an idle device to an idle device."""
    synchronize()
    start = time.perf_counter()
    call(*arguments)
    synchronize()
    return time.perf_counter() - start


def blocks(job: Job, data: Data) -> Iterator[Any]:
    """Endless blocks of BLOCK_STEPS full batches, all of them made before the first is handed out."""
    size = job.entrant.batch_size
    order = data.order(seed=job.seed, epoch=0, batch_size=size)
    full = [index for index in order if len(index) == size]
    # A small data set has fewer batches than a few blocks need: go round.
    source = cycle(full)
    wanted = [[next(source) for _ in range(BLOCK_STEPS)] for _ in range(DISTINCT_BLOCKS)]
    if job.entrant.feed == "device":
        return cycle([np.stack(block) for block in wanted])
    return cycle([[data.train_batch(index) for index in block] for block in wanted])


def training(job: Job, backend: Any, source: Iterator[Any]) -> Row:
    """Warm up until steady, then time blocks for at least `job.steady_s` seconds."""
    warmup, steady = _warm_up(job, backend, source)
    collect_garbage()
    seconds: list[float] = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    while len(seconds) < LEAST_BLOCKS or sum(seconds) < job.steady_s:
        seconds.append(timed(backend.train_steps, next(source), synchronize=backend.synchronize))
    used = resource.getrusage(resource.RUSAGE_SELF)
    steps = len(seconds) * BLOCK_STEPS
    step_us = np.array(seconds) / BLOCK_STEPS * 1e6
    median = float(np.median(step_us))
    return {
        "warmup_steps": warmup * BLOCK_STEPS,
        "steady": steady,
        "steady_steps": steps,
        "train_images_per_s": job.entrant.batch_size / median * 1e6,
        "step_us_median": median,
        "step_us_p95": float(np.percentile(step_us, 95)),
        "page_faults_per_step": (used.ru_minflt + used.ru_majflt - before.ru_minflt - before.ru_majflt) / steps,
        "context_switches_per_step": (used.ru_nvcsw + used.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw) / steps,
        "cpu_s_user": used.ru_utime - before.ru_utime,
        "cpu_s_system": used.ru_stime - before.ru_stime,
    }


def _warm_up(job: Job, backend: Any, source: Iterator[Any]) -> tuple[int, bool]:
    seconds: list[float] = []
    while sum(seconds) < job.warmup_limit_s:
        seconds.append(timed(backend.train_steps, next(source), synchronize=backend.synchronize))
        if is_steady(seconds):
            return len(seconds), True
    return len(seconds), False


def is_steady(seconds: Sequence[float]) -> bool:
    """Whether the last blocks took as long as those before them."""
    if len(seconds) < 2 * STEADY_WINDOW:
        return False
    last = statistics.median(seconds[-STEADY_WINDOW:])
    before = statistics.median(seconds[-2 * STEADY_WINDOW : -STEADY_WINDOW])
    return abs(last / before - 1) <= STEADY_TOLERANCE


def inference(backend: Any, data: Data) -> Row:
    """Throughput over the test half, images already on the device, in batches of EVALUATION_BATCH."""
    images = [native for native, _ in test_batches(backend, data)]
    for _ in range(2):
        timed(backend.logits, images[0], synchronize=backend.synchronize)
    collect_garbage()
    # One batch takes milliseconds; the median over two passes stands for all.
    seconds = [timed(backend.logits, batch, synchronize=backend.synchronize) for batch in images * 2]
    return {
        "inference_batch_size": EVALUATION_BATCH,
        "inference_images_per_s": EVALUATION_BATCH / statistics.median(seconds),
    }


def latency(backend: Any, data: Data) -> Row:
    """Milliseconds for one image, already on the device, over LATENCY_QUERIES queries (MLPerf single stream)."""
    queries = []
    for number in range(LATENCY_QUERIES):
        place = number % len(data.test_labels)
        images, labels = data.test_batch(slice(place, place + 1))
        queries.append(backend.put(images=images, labels=labels)[0])
    for image in queries[:LATENCY_WARMUP]:
        timed(backend.logits, image, synchronize=backend.synchronize)
    collect_garbage()
    milliseconds = [timed(backend.logits, image, synchronize=backend.synchronize) * 1e3 for image in queries]
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
    return {"latency_ms_p50": float(p50), "latency_ms_p95": float(p95), "latency_ms_p99": float(p99)}


def test_batches(backend: Any, data: Data) -> Iterator[tuple[Any, np.ndarray]]:
    """The test half on the device, in batches of EVALUATION_BATCH: native images and int32 labels."""
    for start in range(0, len(data.test_labels), EVALUATION_BATCH):
        images, labels = data.test_batch(slice(start, start + EVALUATION_BATCH))
        yield backend.put(images=images, labels=labels)[0], labels


def collect_garbage() -> None:
    """Collect now, and let later collections pass over what the harness holds: they belong to the framework."""
    gc.collect()
    gc.freeze()


def peak_rss_bytes() -> int:
    """Largest resident set of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
