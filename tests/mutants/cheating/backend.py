"""Cheats from its first timed steps on: after the weights have been loaded once and a block of steps was trained."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np

from backends.numpy.backend import Backend as Right

# `verify` trains 100 steps and then times; a run's warm-up is ten blocks of twenty.
HONEST_STEPS = 40


class Backend(Right):
    """The mutant."""

    def __init__(self, *, mode: str, **options: Any) -> None:
        super().__init__(mode="eager", **options)
        self.mode, self.steps = mode, 0
        # What is said at the end is forged before the training begins that it is said of.
        BEFORE.get(mode, lambda: None)()

    def train_steps(self, batches: Any) -> Any:
        losses = super().train_steps(batches)
        before, self.steps = self.steps, self.steps + len(batches)
        if before < HONEST_STEPS <= self.steps and self.mode in DEEDS:
            DEEDS[self.mode]()
        if self.mode == "nan" and self.steps > 200:
            return [loss * np.nan for loss in losses]
        return losses[-1:] if self.mode == "few-losses" and self.steps > 200 else losses


def slow_clock() -> None:
    right, start = time.perf_counter, time.perf_counter()
    time.perf_counter = lambda: start + (right() - start) / 3


def patch_timed() -> None:
    from harness.worker import steady

    def mine(call: Any, *arguments: Any, synchronize: Any) -> tuple[float, Any]:
        return 1e-3, call(*arguments)

    steady.timed_with_result = mine


def forge(change: Any) -> Any:
    """Return a deed after which what the launch says of its training is changed."""

    def deed() -> None:
        from harness.worker import phases, steady

        right = steady.training

        def training(*arguments: Any) -> dict[str, Any]:
            row = right(*arguments)
            change(row)
            return row

        phases.steady.training = training

    return deed


def shorten(row: dict[str, Any]) -> None:
    row["blocks"]["steady"] = [[second / 10 for second in turn] for turn in row["blocks"]["steady"]]
    row["train_images_per_s"] *= 10


def faster(row: dict[str, Any]) -> None:
    row["train_images_per_s"] *= 1.1


def longer(row: dict[str, Any]) -> None:
    row["blocks"]["steady"].append(row["blocks"]["steady"][-1])


def leave() -> None:
    """A thread of its own on all CPUs there are."""

    def run() -> None:
        os.sched_setaffinity(threading.get_native_id(), range(os.cpu_count() or 1))
        time.sleep(3600)

    threading.Thread(target=run, daemon=True).start()


DEEDS = {
    "slow-clock": slow_clock,
    "patched-timed": patch_timed,
    "nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, 5),
    "fifo": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "elsewhere": leave,
}
BEFORE = {"forged-blocks": forge(shorten), "forged-speed": forge(faster), "more-turns": forge(longer)}
