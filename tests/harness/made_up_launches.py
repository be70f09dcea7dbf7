"""Workers that answer at once: runs whose speeds, failures and clock a test decides."""

from __future__ import annotations

import math
import platform
import random
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.errors import WorkerFailed
from harness.runs.interpreters import Installed
from harness.spec.start import weights_digest
from harness.worker.job import Job


class MadeUpLaunches:
    """Stands in for `run_job` and `WorkerProcess`: answers at once, with speeds made up, while its own clock goes on.

    Attributes:
        jobs: that were launched, in their order.
        interpreters: that were to run them.
        steps: `ready`, `move` and `turn` with the label of the entrant, in their order.
        now: what the clock says, s.
        launch_s: that a launch takes, without its epochs of 5 s each, and its turns.
        turn_s: that a turn takes; with more than none, launches say what each came to, which differs by 3 %.
        speeds: label of an entrant -> images per second, 1,000 where it is not named.
        spread: standard deviation of a launch, as a share of its speed.
        failing: label of an entrant, or `peak` -> which of its launches fails, counted from 1.
        installed: beside every interpreter.
        interrupted: before which launch Ctrl-C is pressed, counted from 1 over all entrants; 0 for never.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.interpreters: list[str] = []
        self.steps: list[tuple[str, str]] = []
        self.now = 0.0
        self.launch_s = 10.0
        self.turn_s = 0.0
        self.block_s = 0.0
        self.speeds: dict[str, float] = {}
        self.spread = 0.0005
        self.failing: dict[str, int] = {}
        self.interrupted = 0
        self.installed = Installed(["made-up==1.0"], "0" * 64, platform.python_version())

    @property
    def launched(self) -> list[str]:
        """Labels of the entrants that were launched, in their order."""
        return [job.entrant.label for job in self.jobs if job.kind != "peak"]

    @property
    def peaks(self) -> list[tuple[int, str]]:
        """Threads and precision of the peaks that were measured, in their order."""
        return [(job.entrant.threads, job.entrant.dtype) for job in self.jobs if job.kind == "peak"]

    def worker(self, job: Job, *, interpreter: str, **_: Any) -> SimpleNamespace:
        """Answer as `harness.runs.worker_process.WorkerProcess` does."""
        turns: list[float] = []

        def turn(listen: Any) -> dict[str, str]:
            self.steps.append(("turn", job.entrant.label))
            self.now += self.turn_s
            turns.append(random.Random(f"{job.entrant.label}/{len(self.jobs)}/{len(turns)}").gauss(0, 0.03))
            return {"sha256": ""}

        def result(listen: Any) -> dict[str, Any]:
            found = self.launch(job, interpreter=interpreter, listen=listen)
            if self.turn_s:
                step_us = 1e6 * job.entrant.batch_size / found["train_images_per_s"]
                found["turn_step_us"] = " ".join(f"{step_us * math.exp(each):.3f}" for each in turns)
            return found

        return SimpleNamespace(
            ready=lambda listen: self.steps.append(("ready", job.entrant.label)) or {"block_s": self.block_s},
            turn=turn,
            result=result,
            move=lambda cpus: self.steps.append(("move", job.entrant.label)),
            close=lambda: None,
            shares=[],
            seen=[],
        )

    def launch(self, job: Job, *, interpreter: str, listen: Any, **_: Any) -> dict[str, Any]:
        """Answer as `harness.runs.worker_process.run_job` does."""
        self.jobs.append(job)
        self.interpreters.append(interpreter)
        if job.kind == "peak":
            if len(self.peaks) == self.failing.get("peak"):
                raise WorkerFailed("no BLAS today")
            return {"peak_gflops": 100.0 + len(self.peaks), "peak_source": "made up"}
        if len(self.launched) == self.interrupted:
            raise KeyboardInterrupt
        self.now += self.launch_s
        label = job.entrant.label
        number = self.launched.count(label)
        if number == self.failing.get(label):
            raise WorkerFailed(f"{label} has had enough")
        for epoch in range(1, job.epochs + 1):
            self.now += 5
            listen({"event": "epoch", "epoch": epoch, "train_s": 4.0, "train_loss": 1 / epoch, "test_accuracy": 0.9,
                    "evaluate_s": 1.0})  # fmt: skip
        noise = random.Random(f"{label}/{number}").gauss(0, self.spread)
        return self._result(job, self.speeds.get(label, 1000.0) * math.exp(noise))

    def _result(self, job: Job, speed: float) -> dict[str, Any]:
        with np.load(job.weights) as archive:
            digest = weights_digest(dict(archive))
        result: dict[str, Any] = {
            "packages": list(self.installed.packages),
            "python_version": self.installed.python,
            "weights_sha256": digest,
            "batches_sha256": "bb",
        }
        if job.kind == "measure":
            result |= dict.fromkeys(("import_s", "build_s", "first_step_s", "start_up_s", "first_epoch_s"), 0.5)
            result |= {"steady": True, "steady_steps": 100, "train_images_per_s": speed, "block_steps": 20}
            result |= {"blocks": {"warmup": [[0.02] * 2], "steady": [[0.01] * 3]}}
            result |= {"rss_import_bytes": 1 << 20, "peak_rss_bytes": 2 << 20}
        if job.kind == "measure" and job.inference_sizes:
            result |= {"inference": [(size, 1e4) for size in job.inference_sizes], "inference_images_per_s": 1e4}
            result |= {"inference_batch_size": job.inference_sizes[-1], "latency_ms_p50": 0.1}
        return result | ({"epochs": job.epochs, "test_accuracy": 0.9} if job.epochs else {})
