"""What the probes of launches share: which modes and feeds, an untraced time, one line of JSON for each."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.probes.load import images_and_labels, make
from harness import catalogue

STEPS = 20
BATCH = 64
RESIDENT = 4096
TIMED_BLOCKS = 15
# Uncompiled, a step has hundreds of launches: it says nothing about a card.
LEFT_OUT = {"jax": ("eager",), "torch": ()}
REHEARSED = {"jax": ("jit",), "torch": ("eager",)}


def traced(name: str, device: str, trace: Callable[[Callable[[], Any]], dict[str, Any]]) -> None:
    """Trace blocks of every mode and feed; print a line of JSON for each.

    Args:
        trace: calls what it is given, waits for it, and returns `kernels`, `copies`, `calls` and `card_us`, all of one
            call.
    """
    modes = REHEARSED[name] if device == "cpu" else catalogue.modes(name, device)
    for mode in modes:
        for feed in () if mode in LEFT_OUT[name] else ("host", "device"):
            backend = make(name, mode=mode, device=device, feed=feed)
            batches = blocks(backend, feed)
            step_us = untraced_us(backend, batches)
            found = trace(lambda: (backend.train_steps(batches), backend.synchronize()))  # noqa: B023
            of_step = {key: value / STEPS for key, value in found.items()}
            line = {"mode": mode, "feed": feed, "batch_size": BATCH, "step_us": step_us} | of_step
            print(json.dumps(line), flush=True)


def blocks(backend: Any, feed: str) -> Any:
    """A block of batches, as `train_steps` takes them with this feed."""
    if feed == "device":
        images, labels = images_and_labels(RESIDENT)
        backend.use_dataset(backend.put(images=images, labels=labels))
        return np.random.default_rng(1).integers(0, RESIDENT, (STEPS, BATCH))
    images, labels = images_and_labels(STEPS * BATCH)
    return [(images[k * BATCH :][:BATCH], labels[k * BATCH :][:BATCH]) for k in range(STEPS)]


def untraced_us(backend: Any, batches: Any) -> float:
    """Microseconds of a step: the median block, after some."""
    seconds = []
    for _ in range(3 + TIMED_BLOCKS):
        backend.synchronize()
        start = time.perf_counter()
        backend.train_steps(batches)
        backend.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:]) / STEPS * 1e6
