"""One process: steps of all parts of LeNet-5 in one mode of one framework, in turns. Prints seconds of a step as JSON.

Run by `benchmarks.layers` in the backend's environment, with its variables and on its CPUs; imports what a worker does.
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any

TURNS = 6
# Blocks before the first turn: compiled programs settle, and warm caches are alike for all.
WARM_UP = 3


def main() -> None:
    """Time what argv[1], a JSON object, asks for: backend, mode, threads, batch_size, cpus, steps, seed."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    os.sched_setaffinity(0, asked["cpus"])
    # Threads of libraries are counted when these are imported.
    from benchmarks.layers.networks import networks

    sides = {name: _Side(network, asked) for name, network in networks().items()}
    for side in sides.values():
        for _ in range(WARM_UP):
            side.block()
    order, found = random.Random(asked["seed"]), {name: [] for name in sides}  # type: ignore[var-annotated]
    for _ in range(TURNS):
        for name in order.sample(list(sides), len(sides)):
            # The others' buffers are in the caches, and this one's weights have learned those labels by heart.
            sides[name].start()
            found[name].append(sides[name].block() / asked["steps"])
    # The best, because whatever else runs only adds to it, and by no means the same to each.
    print(json.dumps({name: min(seconds) for name, seconds in found.items()}))


class _Side:
    """One network, ready to train blocks of the same batches."""

    def __init__(self, network: Any, asked: dict[str, Any]) -> None:
        import numpy as np

        from harness.spec.recipes import LENET5
        from harness.spec.start import initial_weights
        from harness.worker import catalogue

        self._backend = catalogue.backend_class(asked["backend"])(
            network=network, recipe=LENET5, mode=asked["mode"], feed="host", device="cpu", dtype="float32",
            threads=asked["threads"],
        )  # fmt: skip
        self._weights = initial_weights(network, seed=0)
        chosen, size = np.random.default_rng(0), asked["batch_size"]
        self._batches = [
            (chosen.random((size, *network.input_shape), np.float32), chosen.integers(0, 10, size).astype(np.int32))
            for _ in range(asked["steps"])
        ]
        self._backend.load_weights(self._weights)

    def start(self) -> None:
        """Begin anew from the initial weights, and warm up by a block."""
        self._backend.load_weights(self._weights)
        self.block()
        self._backend.load_weights(self._weights)
        self._backend.synchronize()

    def block(self) -> float:
        """Seconds of all steps."""
        from harness.worker.stopwatch import timed

        return timed(self._backend.train_steps, self._batches, synchronize=self._backend.synchronize)


if __name__ == "__main__":
    main()
