"""Epochs: every image once, accuracy after each, evaluation outside the clock. Worker side.

A part of the answers that an accuracy was made of, drawn afterwards, is kept for the harness with the weights that they
were made with: it holds them against the reference (harness/proof/audit.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from random import SystemRandom
from typing import Any

import numpy as np

from harness.spec.recipe import Recipe
from harness.worker.batches import Data
from harness.worker.catalogue import steps_of
from harness.worker.job import EVALUATION_BATCH, EVALUATION_FILE, Job
from harness.worker.memory import collect_garbage
from harness.worker.stopwatch import timed

Row = dict[str, Any]
# What an outsider cannot foresee.
_draw = SystemRandom()


def train_epochs(job: Job, backend: Any, data: Data, weights: dict[str, np.ndarray], tell: Callable[..., None]) -> Row:
    """Train from the initial weights; tell of every epoch; return how many they were and the last accuracy.

    Ends before `job.epochs` with the first epoch that reaches `job.until`.

    Raises:
        FloatingPointError: the loss is no longer a finite number.
    """
    recipe = Recipe(**job.recipe)  # type: ignore[arg-type]
    tell("phase", name="shapes")
    _warm_up_shapes(job, backend, data)
    backend.load_weights(weights)
    tell("phase", name="epochs")
    row: Row = {}
    for epoch in range(job.epochs):
        backend.set_learning_rate(recipe.learning_rate_of(epoch))
        row = {"epoch": epoch + 1, **_train_epoch(job, backend, data, epoch, tell)}
        start = time.perf_counter()
        logits = answers(backend, data)
        row["test_accuracy"] = int((logits.argmax(axis=1) == data.test_labels).sum()) / len(data.test_labels)
        row["evaluate_s"] = time.perf_counter() - start
        tell("epoch", **row)
        if not np.isfinite(row["train_loss"]):
            raise FloatingPointError(f"The training loss became {row['train_loss']} in epoch {epoch + 1}.")
        # One epoch of all, each with the same chance, whose number nobody knows before.
        if job.output and _draw.random() < 1 / (epoch + 1):
            _keep(Path(job.output), backend, logits)
        if job.until and row["test_accuracy"] >= job.until:
            break
    return {"epochs": row.get("epoch", 0), "test_accuracy": row.get("test_accuracy")}


def answers(backend: Any, data: Data) -> np.ndarray:
    """The logits of all test images, in their order, (n, classes)."""
    return np.concatenate([backend.to_numpy(backend.logits(images)) for images in _evaluation_batches(backend, data)])


def _evaluation_batches(backend: Any, data: Data) -> Iterator[Any]:
    """The images of the test half on the device, batch by batch."""
    for start in range(0, len(data.test_labels), EVALUATION_BATCH):
        images, labels = data.test_batch(slice(start, start + EVALUATION_BATCH))
        yield backend.put(images=images, labels=labels)[0]


def _keep(folder: Path, backend: Any, logits: np.ndarray) -> None:
    """Write what is to be looked at, for the harness: as many answers as a batch has, from all batches."""
    drawn = np.array(sorted(_draw.sample(range(len(logits)), min(EVALUATION_BATCH, len(logits)))))
    folder.mkdir(exist_ok=True)
    np.savez(folder / EVALUATION_FILE, images=drawn, logits=logits[drawn], **backend.dump_weights())


def _warm_up_shapes(job: Job, backend: Any, data: Data) -> None:
    """Train once on every shape that an epoch has, so that no epoch pays for compiling them.

    These are batches of two sizes, and, because some modes compile a loop over steps, blocks of several lengths.
    """
    shapes = {(len(chunk), len(chunk[0])): chunk for chunk in _chunks(job, data, 0)}
    for chunk in shapes.values():
        backend.to_numpy(backend.train_steps(_batches(job, data, chunk)))


def _chunks(job: Job, data: Data, epoch: int) -> list[list[np.ndarray]]:
    """The batches of an epoch in pieces that are prepared, and then trained on in one timed call: blocks as the
    timed ones, not a whole epoch, which would be a gigabyte of some data sets."""
    order = _order(job, data, epoch)
    size = steps_of(job.entrant)
    # Blocks hold batches of one size: a smaller one comes alone.
    alike = (list(group) for _, group in groupby(order, key=len))
    return [group[start : start + size] for group in alike for start in range(0, len(group), size)]


def _order(job: Job, data: Data, epoch: int) -> list[np.ndarray]:
    """The batches of an epoch: every image once, or as many steps as the recipe says, going on where the last ended."""
    steps = Recipe(**job.recipe).epoch_steps  # type: ignore[arg-type]
    size = job.entrant.batch_size
    if not steps:
        return data.order(seed=job.seed, epoch=epoch, batch_size=size)
    in_all = -(-len(data.train_labels) // size)
    wanted = range(epoch * steps, (epoch + 1) * steps)
    orders = {
        number: data.order(seed=job.seed, epoch=number, batch_size=size) for number in {s // in_all for s in wanted}
    }
    return [orders[step // in_all][step % in_all] for step in wanted]


def _train_epoch(job: Job, backend: Any, data: Data, epoch: int, tell: Callable[..., None]) -> Row:
    chunks = _chunks(job, data, epoch)
    if job.train_accuracy:
        # The logits that a training accuracy is made from are those before each step.
        chunks = [[index] for chunk in chunks for index in chunk]
    seconds, loss_sum, right = 0.0, 0.0, 0
    collect_garbage()
    for number, chunk in enumerate(chunks):
        batches = _batches(job, data, chunk)
        if job.train_accuracy:
            right += _right(backend, *data.train_batch(chunk[0]))
        losses: list[Any] = []
        seconds += timed(lambda: losses.append(backend.train_steps(batches)), synchronize=backend.synchronize)  # noqa: B023
        loss_sum += float(np.sum(backend.to_numpy(losses[0]), dtype=np.float64)) * len(chunk[0])
        tell("progress", epoch=epoch + 1, done=(number + 1) / len(chunks))
    images = sum(len(index) for chunk in chunks for index in chunk)
    row = {"train_s": seconds, "train_loss": loss_sum / images}
    return row | ({"train_accuracy": right / images} if job.train_accuracy else {})


def _right(backend: Any, images: np.ndarray, labels: np.ndarray) -> int:
    logits = backend.to_numpy(backend.logits(backend.put(images=images, labels=labels)[0]))
    return int((logits.argmax(axis=1) == labels).sum())


def _batches(job: Job, data: Data, chunk: list[np.ndarray]) -> Any:
    if job.entrant.feed == "device":
        return np.stack(chunk)
    return [data.train_batch(index) for index in chunk]
