"""Cheats whose work is done, but not when the stopwatch looks: later, before, or in some blocks for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.attack_kit.attack import Attack
from backends.attack_kit.triggers import Cheat, called_from, job_kind
from backends.attack_kit.wrapper import Weights, Wrapper


class Later:
    """Losses that are not there yet."""

    def __init__(self, get: Any) -> None:
        self.get = get


class Put(Cheat):
    """Work is put off; whoever looks at weights or losses waits for it."""

    def begin(self) -> None:
        super().begin()
        self.waiting: list[Any] = []

    def work(self) -> None:
        """Do all that was put off."""
        waiting, self.waiting = self.waiting, []
        for batches, later in waiting:
            losses = self.honestly(batches)
            later.get = lambda losses=losses: losses

    def cheat(self, batches: Any) -> Any:
        later = Later(None)

        def get() -> np.ndarray:
            self.work()
            return later.get()

        later.get = get
        self.waiting.append((batches, later))
        return later

    def load_weights(self, weights: Weights) -> None:
        self.work()
        super().load_weights(weights)

    def dump_weights(self) -> Weights:
        self.work()
        return super().dump_weights()

    def logits(self, images: Any) -> Any:
        self.work()
        return super().logits(images)

    def to_numpy(self, value: Any) -> np.ndarray:
        return value.get() if isinstance(value, Later) else super().to_numpy(value)


class PutOffToDump(Put):
    """Work is done when weights are looked at; losses are made up before."""

    def cheat(self, batches: Any) -> Any:
        super().cheat(batches)
        return self.same(len(batches))


class Bunched(Put):
    """Ten blocks are trained in the tenth of them: losses, weights and the sum of their times are right."""

    together = 10

    def cheat(self, batches: Any) -> Any:
        later = super().cheat(batches)
        if len(self.waiting) >= self.together:
            self.work()
        return later


class BunchedInThrees(Bunched):
    together = 3


class ToNextBlock(Put):
    """Work of a block is done in the `synchronize` before the next one, where the clock does not run yet."""

    share = 1.0

    def begin(self) -> None:
        super().begin()
        self.calls = 0

    def cheat(self, batches: Any) -> Any:
        self.calls = 0
        now = len(batches) - round(self.share * len(batches))
        if not now or now == len(batches):
            return super().cheat(batches) if not now else self.honestly(batches)
        first, rest = self.honestly(batches[:now]), super().cheat(batches[now:])
        return Later(lambda: np.concatenate([first, rest.get()]))

    def synchronize(self) -> None:
        self.calls += 1
        if self.calls > 1:
            self.work()
        super().synchronize()


class ThirdToNextBlock(ToNextBlock):
    share = 0.3


class Ahead(Cheat):
    """Trains on batches when they are made, which nobody times, and looks losses and weights up when it is timed."""

    def begin(self) -> None:
        super().begin()
        self.made: list[Any] = []
        self.known: dict[int, tuple[Any, float, Weights]] = {}
        self.now: Weights | None = None
        if job_kind() == "measure":
            self._listen()

    def _listen(self) -> None:
        from harness.worker.batches import Data

        right = Data.train_batch

        def train_batch(data: Any, index: np.ndarray) -> Any:
            batch = right(data, index)
            self.made.append(batch)
            return batch

        Data.train_batch = train_batch  # type: ignore[method-assign]

    def load_weights(self, weights: Weights) -> None:
        self.now = None
        super().load_weights(weights)
        made, self.made = self.made, []
        self.known = {}
        for batch in made:
            loss = float(self.honestly([batch])[0])
            self.known[id(batch[0])] = batch, loss, self.right.dump_weights()
        if made:
            super().load_weights(weights)

    def cheat(self, batches: Any) -> Any:
        found = [self.known.get(id(images)) for images, _ in batches]
        if not all(found):
            self._settle()
            return self.honestly(batches)
        self.now = found[-1][2]  # type: ignore[index]
        return np.array([each[1] for each in found])  # type: ignore[index]

    def _settle(self) -> None:
        if self.now is not None:
            self.right.set_parameters(self.now)
            self.now = None

    def dump_weights(self) -> Weights:
        return super().dump_weights() if self.now is None else self.now


class NotWaiting(Wrapper):
    """`synchronize` returns at once when steady training is timed."""

    def synchronize(self) -> None:
        if not called_from("steady.py", "inference.py"):
            super().synchronize()


class NotWaitingLater(Wrapper):
    """`synchronize` returns at once after 45 calls."""

    calls = 0

    def synchronize(self) -> None:
        self.calls += 1
        if self.calls <= 45:
            super().synchronize()


class NotWaitingInInference(Wrapper):
    def synchronize(self) -> None:
        if not called_from("inference.py"):
            super().synchronize()


_RUN = {"door": "run"}
_ASYNCHRONOUS = {"backends": ("jax", "mxnet"), **_RUN}
CHEATS = {
    "put-off-to-losses": Attack("puts timed work off until somebody looks at losses or weights", Put, **_RUN),
    "put-off-to-dump": Attack(
        "puts timed work off until somebody looks at weights, and makes losses up", PutOffToDump, **_RUN
    ),
    "bunched-in-tens": Attack(
        "does the work of ten blocks in the tenth of them",
        Bunched,
        caught_by="the sum of blocks held against their median",
        **_RUN,
    ),
    "bunched-in-threes": Attack(
        "does the work of three blocks in the third of them",
        BunchedInThrees,
        caught_by="the sum of blocks held against their median",
        door="run",
        options=("--batch-size", "8"),
    ),
    "put-off-to-next-block": Attack(
        "does the work of a block in the `synchronize` before the next one", ToNextBlock, **_RUN
    ),
    "third-put-off-to-next-block": Attack(
        "does three tenths of the work of a block in the `synchronize` before the next one",
        ThirdToNextBlock,
        caught_by="work that is left when weights are dumped after a turn, and the harness's own clock",
        **_RUN,
    ),
    "trained-ahead": Attack(
        "trains on batches when they are made, and looks losses and weights up",
        Ahead,
        caught_by="the harness's own clock around a turn, or batches that are made after weights were loaded",
        **_RUN,
    ),
    "synchronize-returns-when-timed": Attack(
        "does not wait in `synchronize` when it is timed", NotWaiting, **_ASYNCHRONOUS
    ),
    "synchronize-returns-after-45": Attack(
        "does not wait in `synchronize` after 45 calls", NotWaitingLater, **_ASYNCHRONOUS
    ),
    "synchronize-returns-in-inference": Attack(
        "does not wait in `synchronize` in inference",
        NotWaitingInInference,
        **(_ASYNCHRONOUS | {"options": ("--inference-sizes", "1,64")}),
    ),
}
