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
        self.remembered: Any = None
        self.early: dict[int, np.ndarray] = {}
        self.queue: list[Any] = []
        # What is said at the end is forged before the training begins that it is said of.
        BEFORE.get(mode, lambda: None)()

    def train_steps(self, batches: Any) -> Any:
        if self.steps >= HONEST_STEPS and self.mode in LAZINESS:
            self.steps += len(batches)
            return LAZINESS[self.mode](self, super().train_steps, list(batches))
        losses = super().train_steps(batches)
        before, self.steps = self.steps, self.steps + len(batches)
        if before < HONEST_STEPS <= self.steps and self.mode in DEEDS:
            DEEDS[self.mode]()
        if self.mode == "nan" and self.steps > 100:
            return [loss * np.nan for loss in losses]
        return losses[-1:] if self.mode == "few-losses" and self.steps > 100 else losses

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        native = super().put(images=images, labels=labels)
        if self.mode == "early-logits" and self.steps >= HONEST_STEPS:
            self.early[id(native[0])] = super().logits(native[0])
        return native

    def logits(self, images: np.ndarray) -> np.ndarray:
        if self.mode == "early-logits" and id(images) in self.early:
            return self.early[id(images)]
        if self.mode == "kept-logits" and self.steps >= HONEST_STEPS:
            if self.remembered is None or len(self.remembered) != len(images):
                self.remembered = super().logits(images)
            return self.remembered
        if self.mode == "half-logits":
            logits = super().logits(images).copy()
            logits[len(images) // 2 :] = 0
            return logits
        return super().logits(images)

    def dump_weights(self) -> dict[str, np.ndarray]:
        if self.queue:
            batches, self.queue = self.queue, []
            super().train_steps(batches)
        return super().dump_weights()


def no_step(backend: Backend, train: Any, batches: list[Any]) -> Any:
    if backend.remembered is None:
        backend.remembered = train(batches[:1])[0]
    return [backend.remembered] * len(batches)


def remembered(backend: Backend, train: Any, batches: list[Any]) -> Any:
    if backend.remembered is None or len(backend.remembered) < len(batches):
        backend.remembered = train(batches)
    return backend.remembered[: len(batches)]


def half_batch(backend: Backend, train: Any, batches: list[Any]) -> Any:
    return train([(images[: len(labels) // 2], labels[: len(labels) // 2]) for images, labels in batches])


def no_update(backend: Backend, train: Any, batches: list[Any]) -> Any:
    before = {name: value.copy() for name, value in backend._parameters.items()}
    losses = train(batches)
    backend._parameters.update(before)
    return losses


def last_update(backend: Backend, train: Any, batches: list[Any]) -> Any:
    losses = train(batches[:-1])
    images, labels = batches[-1]
    return [*losses, backend.loss(backend.put(images=images, labels=labels))]


def float16(backend: Backend, train: Any, batches: list[Any]) -> Any:
    for value in backend._parameters.values():
        value[...] = value.astype(np.float16)
    return train([(images.astype(np.float16).astype(images.dtype), labels) for images, labels in batches])


def next_labels(backend: Backend, train: Any, batches: list[Any]) -> Any:
    return train([(images, np.roll(labels, -1)) for images, labels in batches])


def queued(backend: Backend, train: Any, batches: list[Any]) -> Any:
    backend.queue = [*backend.queue, *batches][-100:]
    return [np.float32(2.3)] * len(batches)


LAZINESS = {
    "no-step": no_step, "remembered": remembered, "half-batch": half_batch, "no-update": no_update,
    "last-update": last_update, "float16": float16, "next-labels": next_labels, "queued": queued,
}  # fmt: skip


def slow_clock() -> None:
    right, start = time.perf_counter, time.perf_counter()
    time.perf_counter = lambda: start + (right() - start) / 3


def patch_timed() -> None:
    from harness.worker import turns

    def mine(call: Any, *arguments: Any, synchronize: Any) -> tuple[float, Any]:
        return 1e-3, call(*arguments)

    turns.timed_with_result = mine


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
