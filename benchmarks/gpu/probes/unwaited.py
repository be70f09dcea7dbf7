"""`unwaited FRAMEWORK DEVICE`: how much faster a block looks where nobody waits for its end."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.gpu.probes.load import make
from benchmarks.gpu.probes.steps import blocks

MODES = {"torch": ("eager", "cuda-graph"), "jax": ("jit",)}
BATCHES = {"gpu": (64, 8192), "cpu": (64,)}
STEPS, TRIALS = 8, 11


def main() -> None:
    """A line of JSON for each."""
    name, device = sys.argv[1:3]
    for mode in MODES[name][:1] if device == "cpu" else MODES[name]:
        for feed in ("host", "device"):
            backend = make(name, mode=mode, device=device, feed=feed)
            for batch in BATCHES[device]:
                batches = blocks(backend, feed, steps=STEPS, batch=batch)
                waited, unwaited = (_step_us(backend, batches, end) for end in (backend.synchronize, lambda: None))
                line = {"mode": mode, "feed": feed, "batch_size": batch, "step_us": waited, "unwaited_us": unwaited}
                print(json.dumps(line), flush=True)


def _step_us(backend: Any, batches: Any, end: Callable[[], None]) -> float:
    seconds = []
    for _ in range(3 + TRIALS):
        backend.synchronize()
        start = time.perf_counter()
        backend.train_steps(batches)
        end()
        seconds.append(time.perf_counter() - start)
    backend.synchronize()
    return statistics.median(seconds[3:]) / STEPS * 1e6


if __name__ == "__main__":
    main()
