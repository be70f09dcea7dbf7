"""What the probes of launches share: which modes and feeds, an untraced time, one line of JSON for each."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.probes.load import images_and_labels, make

STEPS = {"gpu": 20, "cpu": 4}
BATCH = 64
RESIDENT = 16_384
TIMED_BLOCKS = {"gpu": 15, "cpu": 4}
# By value, first with batches handed over, which the goal is about. Of JAX the key modes: each is compiled for long.
MODES = {"torch": ("eager", "cuda-graph", "compiled", "channels-last"), "jax": ("epoch", "jit")}
REHEARSED = {"torch": ("eager",), "jax": ("jit",)}


def traced(name: str, device: str, trace: Callable[[Callable[[], Any], str], dict[str, Any]]) -> None:
    """Trace blocks of the modes, with both feeds; print a line of JSON for each.

    Args:
        trace: calls what it is given, waits for it, keeps the profile under the name that it is given, and returns
            `kernels`, `copies`, `calls` and `card_us`, all of one call.
    """
    steps = STEPS[device]
    for feed in ("host", "device"):
        for mode in (REHEARSED if device == "cpu" else MODES)[name]:
            backend = make(name, mode=mode, device=device, feed=feed)
            batches = blocks(backend, feed, steps=steps, batch=BATCH)
            step_us = untraced_us(backend, batches, steps, TIMED_BLOCKS[device])
            block = lambda: (backend.train_steps(batches), backend.synchronize())  # noqa: B023, E731
            found = trace(block, f"{name}-{mode}-{feed}")
            of_step = {key: value / steps for key, value in found.items()}
            line = {"mode": mode, "feed": feed, "batch_size": BATCH, "step_us": step_us} | of_step
            print(json.dumps(line), flush=True)


def blocks(backend: Any, feed: str, *, steps: int, batch: int) -> Any:
    """A block of batches, as `train_steps` takes them with this feed."""
    if feed == "device":
        images, labels = images_and_labels(RESIDENT)
        backend.use_dataset(backend.put(images=images, labels=labels))
        return np.random.default_rng(1).integers(0, RESIDENT, (steps, batch))
    images, labels = images_and_labels(steps * batch)
    return [(images[k * batch :][:batch], labels[k * batch :][:batch]) for k in range(steps)]


def untraced_us(backend: Any, batches: Any, steps: int, count: int) -> float:
    """Microseconds of a step: the median of so many blocks, after some."""
    seconds = []
    for _ in range(3 + count):
        backend.synchronize()
        start = time.perf_counter()
        backend.train_steps(batches)
        backend.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:]) / steps * 1e6
