"""Cheats that work before the stopwatch looks, and take a part of the honest time all the same: that is their speed."""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from backends.attack_kit.attack import Attack
from backends.attack_kit.cheats_inference import Inferring
from backends.attack_kit.cheats_later import Ahead, ToNextBlock
from backends.attack_kit.triggers import Cheat, called_from, job_kind
from backends.attack_kit.wrapper import Weights

# Of the honest time: whoever takes none is far above the machine's peak.
SHARE = 1 / 3
# Steps of a turn that are trained before it, at most.
MOST_STEPS = 20


def spin(seconds: float) -> None:
    """Look busy."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class AheadAndBusy(Ahead):
    """Trains a turn's steps when its weights are loaded; when it is timed, looks them up and takes a third as long."""

    step_s = 0.0

    def train_steps(self, batches: Any) -> Any:
        if not called_from("turns.py"):
            self.made.clear()
        return super().train_steps(batches)

    def honestly(self, batches: Any) -> np.ndarray:
        start = time.perf_counter()
        losses = super().honestly(batches)
        self.step_s = (time.perf_counter() - start) / len(batches)
        return losses

    def cheat(self, batches: Any) -> Any:
        looked_up = all(id(images) in self.known for images, _ in batches)
        losses = super().cheat(batches)
        if looked_up:
            spin(SHARE * self.step_s * len(batches))
        return losses


class InReturnSteps(AheadAndBusy):
    """The same in the steps of a turn that are not counted."""

    def load_weights(self, weights: Weights) -> None:
        made, self.made = self.made, []
        super().load_weights(weights)
        self.made = made

    def cheat(self, batches: Any) -> Any:
        if self.since_load > len(batches) or not self.made:
            return super().cheat(batches)
        losses = self.honestly(batches)
        for batch in self.made[len(batches) :]:
            loss = float(self.honestly([batch])[0])
            self.known[id(batch[0])] = batch, loss, self.right.dump_weights()
        self.made = []
        return losses


class Beforehand(Cheat):
    """Reads in its job's file what all turns will be, trains them in the first step, and looks them up later."""

    def begin(self) -> None:
        super().begin()
        self.turns: list[tuple[np.ndarray, list[Weights]]] = []
        self.turn = -1
        self.now: Weights | None = None
        self.step_s = 0.0

    def load_weights(self, weights: Weights) -> None:
        self.turn += called_from("turns.py")
        self.now = None
        super().load_weights(weights)

    def train_steps(self, batches: Any) -> Any:
        if not self.turns and job_kind() == "measure":
            self._train_all()
        return super().train_steps(batches)

    def _train_all(self) -> None:
        from harness.worker.batches import Data
        from harness.worker.experiment import batches_of, start_of
        from harness.worker.job import Job

        job = Job.read(Path(sys.argv[1]))
        data = Data(Path(job.data), input_shape=self.built["network"].input_shape, dtype="float32")
        now = self.right.dump_weights()
        for turn in range(1, job.turns + 1):
            start = job.starts[start_of(job.turn_seed, turn, len(job.starts))]
            with np.load(start) as archive:
                self.right.load_weights(dict(archive))
            losses, weights = [], []
            stream = batches_of(job.turn_seed, turn, images=len(data.train_labels), batch_size=job.entrant.batch_size)
            began = time.perf_counter()
            for index in islice(stream, MOST_STEPS):
                losses.append(self.train_one([data.train_batch(index)]))
                weights.append(self.right.dump_weights())
            self.step_s = (time.perf_counter() - began) / MOST_STEPS
            self.turns.append((np.array(losses), weights))
        self.right.load_weights(now)

    def cheat(self, batches: Any) -> Any:
        end = self.since_load
        if self.turn not in range(len(self.turns)) or end > MOST_STEPS:
            return self.honestly(batches)
        losses, weights = self.turns[self.turn]
        self.now = weights[end - 1]
        spin(SHARE * self.step_s * len(batches))
        return losses[end - len(batches) : end]

    def dump_weights(self) -> Weights:
        return super().dump_weights() if self.now is None else self.now


class EighthToNextBlock(ToNextBlock):
    share = 1 / 8


class PixelsTf32(Cheat):
    """Eleven bits of pixels, as TF32 has them."""

    def cheat(self, batches: Any) -> Any:
        def coarse(images: np.ndarray) -> np.ndarray:
            wide = images * images.dtype.type(8193)
            return wide - (wide - images)

        return self.right.train_steps([(coarse(images), labels) for images, labels in batches])


class InStepBetween(Inferring):
    """Images that were handed over are inferred on in the training step that lies before the questions."""

    def begin(self) -> None:
        self.waiting: list[Any] = []
        self.ready: dict[int, tuple[Any, Any]] = {}

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        native = super().put(images=images, labels=labels)
        if called_from("inference.py"):
            self.waiting.append(native[0])
        return native

    def work(self) -> None:
        """Infer on all that is there."""
        waiting, self.waiting = self.waiting, []
        self.ready = {id(each): (each, self.right.to_numpy(self.right.logits(each))) for each in waiting}

    def train_steps(self, batches: Any) -> Any:
        losses = super().train_steps(batches)
        if self.waiting:
            self.work()
        return losses

    def cheat(self, images: Any) -> Any:
        return self.ready[id(images)][1]


class InSynchronize(InStepBetween):
    """The same in the `synchronize` before the first question, where the clock does not run yet."""

    def train_steps(self, batches: Any) -> Any:
        return self.right.train_steps(batches)

    def synchronize(self) -> None:
        if self.waiting and called_from("stopwatch.py"):
            self.work()
        super().synchronize()


class InPutForGood(InStepBetween):
    """Images are inferred on when they are handed over, and the step that would make that wrong is not taken."""

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        native = self.right.put(images=images, labels=labels)
        if called_from("inference.py"):
            self.ready[id(native[0])] = native[0], self.right.to_numpy(self.right.logits(native[0]))
        return native

    def train_steps(self, batches: Any) -> Any:
        return np.full(len(batches), 2.3) if called_from("inference.py") else self.right.train_steps(batches)


_RUN = {"door": "run"}
_INFERENCE = {"door": "run", "options": ("--inference-sizes", "1,64")}
CHEATS = {
    "trained-when-loaded": Attack(
        "trains a turn when weights are loaded, looks it up when it is timed, and takes a third as long",
        AheadAndBusy,
        **_RUN,
    ),
    "trained-in-return-steps": Attack("does so in the steps that are not counted", InReturnSteps, **_RUN),
    "trained-in-first-step": Attack(
        "does so for all turns in its first step, because its job's file says what they will be", Beforehand, **_RUN
    ),
    "eighth-put-off-to-next-block": Attack(
        "does an eighth of the work of a block in the `synchronize` before the next one",
        EighthToNextBlock,
        **_RUN,
    ),
    "pixels-tf32-when-timed": Attack("trains on pixels of eleven bits when it is timed", PixelsTf32, **_RUN),
    "logits-in-step-between": Attack(
        "infers in the training step between handing over and asking", InStepBetween, **_INFERENCE
    ),
    "logits-in-synchronize": Attack(
        "infers in the `synchronize` before the first question", InSynchronize, **_INFERENCE
    ),
    "logits-in-put-without-a-step": Attack(
        "infers when images are handed over, and does not take the training step in between",
        InPutForGood,
        **_INFERENCE,
    ),
}
