"""The turns of steady training: each starts from known weights, is timed block by block, and can be done over.

Worker side. Nothing of this runs inside a timed interval; weights are loaded and dumped around a turn, batches are
gathered before it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.spec.networks import get_network
from harness.spec.start import Weights
from harness.worker.catalogue import blockwise, steps_of
from harness.worker.counters import Counters
from harness.worker.experiment import WARM_UP, Source
from harness.worker.job import Job
from harness.worker.memory import collect_garbage
from harness.worker.stopwatch import timed_with_result

# Steps at the start of a turn that are not counted, because others have had the caches. Three processes of PyTorch in
# turns, medians of 60 turns each: the first step took 17 to 21 % longer, the second 3 to 4, the third 1.5, the fourth
# and those after it nothing.
RETURN_STEPS = 4
# What is gathered for a turn, at most; a turn that is over before it has lasted as long as it should is a short one.
MOST_BYTES, MOST_BLOCKS = 256 << 20, 64
Row = dict[str, Any]


def _counters(job: Job, backend: Any) -> Counters:
    """Of this process, and of those that are its replicas."""
    crew = getattr(backend, "crew", None)
    if crew is None:
        return Counters(device=job.entrant.device)
    return Counters(sorted(cpu for each in crew.cpus for cpu in each), device=job.entrant.device, usage=crew.usage)


class Turns:
    """Steady training, turn by turn.

    Attributes:
        seconds: of the blocks of each turn.
        returns: of the steps before them, which are not counted.
        return_steps: how many these are.
        counted: steps, seconds and counters of each turn.
        left: share of each turn's seconds for which work went on between its blocks, and after its last `synchronize`.
    """

    def __init__(self, job: Job, backend: Any, source: Source, tell: Callable[..., None], *, block_s: float) -> None:
        """Begin.

        Args:
            block_s: how long a block is known to take, about.
        """
        self.job, self.backend, self.source, self.tell = job, backend, source, tell
        self.seconds: list[list[float]] = []
        self.returns: list[list[float]] = []
        self.counted: list[tuple[int, float, Row]] = []
        self.left: list[float] = []
        self.counters = _counters(job, backend)
        # A shorter block of a mode that compiles blocks would be another program.
        self._whole = job.entrant.mode in blockwise(job.entrant.backend)
        self.return_steps = steps_of(job.entrant) if self._whole else RETURN_STEPS
        self._block_s = block_s
        self._steps_seen = 0
        self._native: list[tuple[int, Any]] = []

    def take(self, least_s: float, *, least_blocks: int = 1) -> str:
        """Time blocks for so many seconds at least; return the SHA-256 of what was written of them, if anything."""
        turn, length = len(self.seconds) + 1, steps_of(self.job.entrant)
        spare = self.source.take(WARM_UP, length) if self._whole and self.job.turns else None
        first = self.source.take(turn, RETURN_STEPS) if self.job.turns and not self._whole else None
        stock = [self.source.take(turn, length) for _ in range(self._wanted(least_s, least_blocks))]
        collect_garbage()
        returns, unaudited = [], 0
        if spare is not None:
            returns, unaudited = [self._steps(spare)], length
        self.tell("phase", name="start")
        idle_s = self._start(turn)
        self.tell("phase", name="steady")
        if first is not None:
            returns = [self._steps(first)]
        seconds: list[float] = []
        self.counters.start()
        start = time.perf_counter()
        for block in stock:
            seconds.append(self._steps(block))
            if len(seconds) >= least_blocks and sum(seconds) >= least_s:
                break
        between_s = time.perf_counter() - start - sum(seconds)
        self.counted.append((len(seconds) * length, sum(seconds), self.counters.stop(steps=len(seconds) * length)))
        weights, dump_s = self._dump()
        self.tell("phase", name="steady ended")
        self.left.append((max(0.0, between_s) + max(0.0, dump_s - idle_s)) / sum(seconds))
        self.returns.append(returns)
        self.seconds.append(seconds)
        return self._keep(turn, self._losses()[unaudited:], weights)

    def _wanted(self, least_s: float, least_blocks: int) -> int:
        """How many blocks to gather: as many as may be needed, if their images find room."""
        entrant = self.job.entrant
        image = get_network(entrant.network).input_shape if entrant.feed == "host" else (2,)
        room = MOST_BYTES // (4 * math.prod(image) * entrant.batch_size * steps_of(entrant))
        return max(least_blocks, min(math.ceil(1.2 * least_s / self._block_s), room, MOST_BLOCKS), 1)

    def _start(self, turn: int) -> float:
        """Load the turn's start; return how long weights take to be fetched where there is nothing to wait for."""
        self.backend.load_weights(self.source.start(turn))
        self.backend.synchronize()
        return self._dump()[1]

    def _dump(self) -> tuple[Weights, float]:
        start = time.perf_counter()
        weights = self.backend.dump_weights()
        return weights, time.perf_counter() - start

    def _steps(self, batches: Any) -> float:
        seconds, losses = timed_with_result(self.backend.train_steps, batches, synchronize=self.backend.synchronize)
        self._native.append((len(batches), losses))
        return seconds

    def _losses(self) -> np.ndarray:
        """The losses of a turn, once it is over, float64 (steps,).

        Raises:
            RuntimeError: a step has none.
            FloatingPointError: one is no longer a finite number: whatever speed that had, nothing was trained.
        """
        losses: list[np.ndarray] = []
        for steps, native in self._native:
            found = np.asarray(self.backend.to_numpy(native))
            if found.shape != (steps,):
                raise RuntimeError(f"A block of {steps} steps gave back losses of shape {found.shape}, not ({steps},).")
            wrong = ~np.isfinite(found)
            if wrong.any():
                number = self._steps_seen + int(wrong.argmax()) + 1
                raise FloatingPointError(
                    f"The training diverged: its loss became {found[wrong][0]} in step {number} of those timed."
                )
            self._steps_seen += steps
            losses.append(found.astype(np.float64))
        self._native.clear()
        return np.concatenate(losses)

    def _keep(self, turn: int, losses: np.ndarray, weights: Weights) -> str:
        """Write what came of a turn, before the harness draws the turns that it does over; return its digest."""
        if not self.job.output:
            return ""
        path = Path(self.job.output) / f"turn-{turn}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, losses=losses, **weights)  # type: ignore[arg-type]
        return hashlib.sha256(path.read_bytes()).hexdigest()
