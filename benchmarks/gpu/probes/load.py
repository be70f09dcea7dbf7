"""`load FRAMEWORK MODE DEVICE SECONDS`: train on resident images for so long; say when, how many steps, and memory."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

import numpy as np

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights

BATCH = {"gpu": 8192, "cpu": 256}
IMAGES = {"gpu": 60_000, "cpu": 2_000}
BLOCK = 4


def make(name: str, *, mode: str, device: str, feed: str = "device", dtype: str = "float32") -> Any:
    """A backend with lenet5 and initial weights, in this process, pinned as a launch is."""
    pin()
    made = importlib.import_module(f"backends.{name}.backend").Backend(
        network=get_network("lenet5"), recipe=LENET5, mode=mode, feed=feed, device=device, dtype=dtype, threads=1
    )
    made.load_weights(initial_weights(get_network("lenet5"), seed=0))
    return made


def pin() -> None:
    """Keep to the last of the CPUs, as many as the trial's launches have."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-int(os.environ.get("LENET_BENCH_TRIAL_THREADS", "1")) :])


def images_and_labels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images float32 (count, 1, 32, 32) and labels int32 (count,)."""
    random = np.random.default_rng(0)
    return random.random((count, 1, 32, 32), dtype=np.float32), random.integers(0, 10, count).astype(np.int32)


def main() -> None:
    """Warm up, train, say."""
    name, mode, device, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    backend = make(name, mode=mode, device=device)
    images, labels = images_and_labels(IMAGES[device])
    backend.use_dataset(backend.put(images=images, labels=labels))
    index = np.random.default_rng(1).integers(0, IMAGES[device], (BLOCK, BATCH[device]))
    for _ in range(3):
        backend.train_steps(index)
        backend.synchronize()
    begin, steps = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        backend.train_steps(index)
        backend.synchronize()
        steps += BLOCK
    used, who = backend.memory()
    print(
        json.dumps(
            {
                "begin": begin, "end": time.monotonic(), "steps": steps, "batch_size": BATCH[device],
                "framework_bytes": used or 0, "who": who,
            }
        ),
        flush=True,
    )  # fmt: skip
    # The card's figures are still being sampled: a second of quiet shows where the load ended.
    time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    main()
