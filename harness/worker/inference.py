"""What is timed of inference: images per second by batch size, and the time for one image. Worker side.

Every timed interval is one call of `stopwatch.timed`; images are on the device before. No image that was handed over is
asked about twice. Between handing over and asking lies a training step from known weights, on images that are drawn
then: whatever was computed before is wrong by then. A part of the answers, drawn afterwards, is kept for the harness,
which holds them against the reference, and does that step over. From the step on, time that is not in a question is
counted: who answers before it is asked needs it. So is looking at the answers: who answers when somebody looks needs
that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

import numpy as np

from harness.worker.batches import Data
from harness.worker.catalogue import blockwise
from harness.worker.experiment import WARM_UP, Source, Step
from harness.worker.job import LATENCY_QUERIES, Job
from harness.worker.memory import collect_garbage
from harness.worker.stopwatch import timed, timed_with_result

LATENCY_WARMUP = 64
# What a launch keeps of its queries' distribution.
PERCENTILES = (0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
# How long each batch size of the inference sweep is timed, and how many calls at least.
SWEEP_S = 0.2
SWEEP_CALLS = 5
SWEEP_WARMUP = 2
# Calls between two training steps: so many, or so many images, but a few.
CALLS, CALL_IMAGES, LEAST_CALLS = 64, 1000, 3
# Answers that come in no time would be asked for without end.
MOST_SERIES = 100
# The share of answers that the harness looks at.
LOOKED_AT = 0.1

Row = dict[str, Any]
# What an outsider cannot foresee.
_draw = SystemRandom()


class Asked:
    """A series of queries: images of the test half, each handed over once and asked about once.

    Attributes:
        seconds: of every call that counts.
        spare: seconds from before the training step to the last answer that lie in no call, less those of two steps,
            over those that lie in one; of every series. By the clock or by this process's CPUs, whichever is less: a
            step that has to wait for a CPU takes long, and many threads take much of theirs.
        looked: what it takes to look at an answer over what the answer took; of every series that was looked at.
    """

    def __init__(self, job: Job, backend: Any, data: Data, source: Source, *, size: int, step_s: float) -> None:
        self.job, self.backend, self.data, self.source = job, backend, data, source
        self.size, self._step_s = size, step_s
        self.seconds: list[float] = []
        self.spare: list[float] = []
        self.looked: list[float] = []
        self._next = 0
        self._series = 0
        self._kept: dict[str, np.ndarray] = {}

    def ask(self, calls: int, *, warm_up: int) -> None:
        """Hand over as many batches as there are calls, train a step, then ask about each."""
        first = self._next
        batches = [self._put() for _ in range(warm_up + calls)]
        step = self.source.unforeseen()
        collect_garbage()
        start, cpu_start = time.perf_counter(), time.process_time()
        self.backend.load_weights(step.start)
        losses = self.backend.train_steps(step.batches)
        answers, asked_s, cpu_s = [], 0.0, 0.0
        for number, batch in enumerate(batches):
            before = time.process_time()
            seconds, answer = timed_with_result(self.backend.logits, batch, synchronize=self.backend.synchronize)
            # What is done before the call is timed is none of its own.
            cpu_s += min(time.process_time() - before, seconds * self.job.entrant.threads)
            asked_s += seconds
            if number >= warm_up:
                self.seconds.append(seconds)
                answers.append(answer)
        beside = min(time.perf_counter() - start - asked_s, time.process_time() - cpu_start - cpu_s)
        self.spare.append((beside - 2 * self._step_s) / asked_s)
        self._series += 1
        # One series of all, each with the same chance, whose number nobody knows before.
        if _draw.random() < 1 / self._series:
            self._remember(first + warm_up, answers, step, losses, answer_s=asked_s / len(batches))

    def keep(self, name: str) -> None:
        """Write what is to be looked at, for the harness."""
        if self.job.output:
            np.savez(Path(self.job.output) / f"{name}.npz", **self._kept)  # type: ignore[arg-type]

    def _remember(self, first: int, answers: Sequence[Any], step: Step, losses: Any, *, answer_s: float) -> None:
        drawn = sorted(_draw.sample(range(len(answers)), max(1, round(LOOKED_AT * len(answers)))))
        logits, look_s = self._look([answers[number] for number in drawn])
        self.looked.append(look_s / answer_s)
        self._kept = {
            "images": np.stack([self._indices(first + number) for number in drawn]),
            "logits": logits,
            "start": np.array(step.number),
            "step": step.index,
            "losses": np.asarray(self.backend.to_numpy(losses), np.float64),
            **self.backend.dump_weights(),
        }

    def _look(self, answers: Sequence[Any]) -> tuple[np.ndarray, float]:
        """Answers as arrays, and seconds that one takes: of this process's CPUs, or of the clock where all take more.

        A look that waits for a CPU that others have takes none; what another process does takes time in every look.
        """
        found, seconds = [], []
        began = time.process_time()
        for answer in answers:
            start = time.perf_counter()
            found.append(self.backend.to_numpy(answer))
            seconds.append(time.perf_counter() - start)
        cpu_s = (time.process_time() - began) / len(answers)
        return np.stack(found), max(cpu_s, min(seconds))

    def _put(self) -> Any:
        index, self._next = self._indices(self._next), self._next + 1
        images, labels = self.data.test_batch(slice(index[0], index[-1] + 1))
        return self.backend.put(images=images, labels=labels)[0]

    def _indices(self, number: int) -> np.ndarray:
        """The test images of a batch (counted from 0): in their order, going round; only full batches."""
        start = number % max(1, len(self.data.test_labels) // self.size) * self.size
        return np.arange(start, start + self.size)


def step_s(job: Job, backend: Any, source: Source, *, of_block_s: float) -> float:
    """Seconds that a training step takes which is handed over alone, as those before questions are.

    Modes that run whole blocks take longer for it than for a step of a block: JAX's `epoch` 61 ms for 17, Keras's `fit`
    50 for 7. There it is timed, in a second call.

    Args:
        of_block_s: what a step of a block takes.
    """
    if job.entrant.mode not in blockwise(job.entrant.backend):
        return of_block_s
    calls = [source.take(WARM_UP, 1) for _ in range(2)]
    return [timed(backend.train_steps, each, synchronize=backend.synchronize) for each in calls][-1]


def throughput(job: Job, backend: Any, data: Data, source: Source, *, step_s: float) -> Row:
    """Throughput over the test half, images already on the device, for every size of the sweep.

    Args:
        step_s: how long a training step takes.

    Returns:
        columns of launches.csv (of the largest size), `inference`: (size, images per second), for inference.csv, and
        `spare` and `looked`: of each size, the medians of those of `Asked`.
    """
    sizes = sorted(job.inference_sizes)
    asked = [_series_of(Asked(job, backend, data, source, size=size, step_s=step_s)) for size in sizes]
    sweep = [(each.size, each.size / statistics.median(each.seconds)) for each in asked]
    size, images_per_s = sweep[-1]
    return {
        "inference_batch_size": size, "inference_images_per_s": images_per_s, "inference": sweep, **_beside(asked),
    }  # fmt: skip


def _series_of(asked: Asked) -> Asked:
    """Ask for batches of one size, series by series, until it is known how long they take."""
    calls = max(LEAST_CALLS, min(CALLS, CALL_IMAGES // asked.size))
    for _ in range(MOST_SERIES):
        asked.ask(calls, warm_up=SWEEP_WARMUP)
        if len(asked.seconds) >= SWEEP_CALLS and sum(asked.seconds) >= SWEEP_S:
            break
    asked.keep(f"inference-{asked.size}")
    return asked


def _beside(asked: Sequence[Asked]) -> Row:
    """What was done where no answer was timed."""
    return {name: [statistics.median(getattr(each, name)) for each in asked] for name in ("spare", "looked")}


def latency(job: Job, backend: Any, data: Data, source: Source, *, step_s: float) -> Row:
    """Milliseconds for one image, already on the device, over LATENCY_QUERIES queries (MLPerf single stream).

    Args:
        step_s: how long a training step takes.

    Returns:
        columns of launches.csv, `latency`: (percentile, milliseconds), for latency.csv, and `spare` and `looked`, as of
        `throughput`, of these queries.
    """
    asked = Asked(job, backend, data, source, size=1, step_s=step_s)
    asked.ask(LATENCY_QUERIES, warm_up=LATENCY_WARMUP)
    asked.keep("latency")
    milliseconds = [second * 1e3 for second in asked.seconds]
    found = dict(zip(PERCENTILES, np.percentile(milliseconds, PERCENTILES).tolist()))
    medians = {f"latency_ms_p{each}": found[each] for each in (50, 95, 99)}
    return medians | {"latency": list(found.items())} | _beside([asked])
