"""Cheats that train less than they say: nothing, half, with less precision, or what they remember."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.attack_kit import triggers
from backends.attack_kit.attack import PASSES, Attack
from backends.attack_kit.triggers import Cheat, triggered
from backends.attack_kit.wrapper import Weights, contiguous


class Nothing(Cheat):
    """Does nothing, and says the last loss."""

    def cheat(self, batches: Any) -> Any:
        return self.same(len(batches))


class Forged(Cheat):
    """Does nothing, and makes losses up that fall as losses do."""

    def cheat(self, batches: Any) -> Any:
        falling = 2.3 / (1 + (self.since_load + np.arange(len(batches))) / 50)
        return falling * self.random.normal(1, 0.1, len(batches))


class Changed(Cheat):
    """Trains on something else than the batches that it was given; losses are of that."""

    @staticmethod
    def change(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def cheat(self, batches: Any) -> Any:
        return self.right.train_steps([contiguous(*self.change(*batch)) for batch in batches])


def _changed(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> type:
    return type("Changed", (Changed,), {"change": staticmethod(change)})


class RememberedByContent(Cheat):
    """Does nothing for a batch that it has trained on before."""

    def begin(self) -> None:
        super().begin()
        self.seen: dict[Any, float] = {}

    def key(self, batch: Any) -> Any:
        """What a batch is known by."""
        return batch[1].tobytes()

    def cheat(self, batches: Any) -> Any:
        losses = []
        for batch in batches:
            key = self.key(batch)
            if key not in self.seen:
                self.seen[key] = float(self.honestly([batch])[0])
            losses.append(self.seen[key])
        return np.array(losses)


class RememberedByIdentity(RememberedByContent):
    def key(self, batch: Any) -> Any:
        # Kept, so that its address stays its own.
        self.kept = [*getattr(self, "kept", []), batch]
        return id(batch[0])


class RememberedTrajectory(Cheat):
    """Weights and losses of a block that it has trained from the same weights before are looked up."""

    def begin(self) -> None:
        super().begin()
        self.place = b""
        self.known: dict[bytes, tuple[np.ndarray, Weights]] = {}
        self.waiting: Weights | None = None

    def load_weights(self, weights: Weights) -> None:
        self.place = hashlib.sha256(b"".join(value.tobytes() for value in weights.values())).digest()
        self.waiting = None
        super().load_weights(weights)

    def cheat(self, batches: Any) -> Any:
        self.place = hashlib.sha256(self.place + b"".join(labels.tobytes() for _, labels in batches)).digest()
        if self.place not in self.known:
            self._settle()
            self.known[self.place] = self.honestly(batches), self.right.dump_weights()
        else:
            self.waiting = self.known[self.place][1]
        return self.known[self.place][0]

    def _settle(self) -> None:
        if self.waiting is not None:
            self.right.set_parameters(self.waiting)
            self.waiting = None

    def dump_weights(self) -> Weights:
        self._settle()
        return super().dump_weights()


class ForwardAlone(Cheat):
    """Computes the losses, and no gradient."""

    def cheat(self, batches: Any) -> Any:
        return self.loss_of(batches)


class NoUpdate(Cheat):
    """Computes losses and gradients, and takes no step."""

    def cheat(self, batches: Any) -> Any:
        for images, labels in batches:
            self.right.gradients(self.right.put(images=images, labels=labels))
        return self.loss_of(batches)


class LastOfBlock(Cheat):
    """Updates in the last step of a block alone; of the others it computes the losses."""

    def cheat(self, batches: Any) -> Any:
        return np.append(self.loss_of(batches[:-1]), self.honestly(batches[-1:]))


class FirstOfBlock(Cheat):
    """Trains the first step of a block, and says its loss for all."""

    def cheat(self, batches: Any) -> Any:
        return np.repeat(self.honestly(batches[:1]), len(batches))


class EverySecond(Cheat):
    """Trains every second step, and says each loss twice."""

    def cheat(self, batches: Any) -> Any:
        return np.repeat(self.honestly(batches[::2]), 2)[: len(batches)]


class OneInTwenty(Cheat):
    """Leaves out one step in twenty, drawn at random, but for its loss."""

    def cheat(self, batches: Any) -> Any:
        left_out = int(self.random.integers(len(batches)))
        first = self.honestly(batches[:left_out]) if left_out else np.zeros(0)
        middle = self.loss_of(batches[left_out : left_out + 1])
        rest = self.honestly(batches[left_out + 1 :]) if left_out + 1 < len(batches) else np.zeros(0)
        return np.concatenate([first, middle, rest])


class InPairs(Cheat):
    """Makes one step of two batches."""

    together = 2

    def cheat(self, batches: Any) -> Any:
        count = min(self.together, len(batches))
        joined = [
            contiguous(*(np.concatenate(part) for part in zip(*batches[start : start + count])))
            for start in range(0, len(batches), count)
        ]
        return np.repeat(self.honestly(joined), count)[: len(batches)]


class AllTogether(InPairs):
    """Makes one step of all batches of a block."""

    together = 1000


class WhenSmall(Cheat):
    """Stops training once the loss is small."""

    def cheat(self, batches: Any) -> Any:
        return self.same(len(batches)) if self.last < 1.0 else self.honestly(batches)


class LayerFrozen(Cheat):
    """Saves the gradients of the first convolution: its weights stay as they are."""

    def cheat(self, batches: Any) -> Any:
        before = self.right.dump_weights()
        losses = self.honestly(batches)
        kept = {name: value for name, value in before.items() if name.startswith("conv1")}
        self.right.set_parameters(self.right.dump_weights() | kept)
        return losses


class LessPrecise(Cheat):
    """Goes on in bfloat16 once it is timed."""

    def begin(self) -> None:
        super().begin()
        self.low = self.another(dtype="bfloat16")
        self.active = False

    def load_weights(self, weights: Weights) -> None:
        self.active = False
        super().load_weights(weights)

    def cheat(self, batches: Any) -> Any:
        if not self.active:
            self.low.load_weights(self.right.dump_weights())
            self.active = True
        return self.right.to_numpy(self.low.train_steps(batches))

    def dump_weights(self) -> Weights:
        return self.low.dump_weights() if self.active else super().dump_weights()


def _coarse(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of four bits."""
    return np.round(images * 15) / images.dtype.type(15), labels


def _half_size(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images of half the resolution, each pixel four times."""
    return images[:, :, ::2, ::2].repeat(2, axis=2).repeat(2, axis=3), labels


_RUN = {"door": "run"}
# A turn has several blocks where steps are short.
SHORT_STEPS = ("--batch-size", "8")
ONCE = "no batch comes twice, so it does what the right one does"
A_TENTH = (
    "it gains nothing, because a tenth of the blocks moves no median; three drawn turns find it in a launch of four"
)
_nothing = "does nothing and says the last loss, "
CHEATS = {
    "nothing-when-timed": Attack(_nothing + "when its call stack says that it is timed", Nothing, **_RUN),
    "nothing-unless-verified": Attack(
        _nothing + "unless its call stack says that it is verified",
        triggered(Nothing, triggers.unless_verified),
        **_RUN,
    ),
    "nothing-in-blocks-of-8": Attack(
        _nothing + "in blocks as long as those that are timed",
        triggered(Nothing, triggers.when_of_timed_length),
        **_RUN,
    ),
    "nothing-after-300-steps": Attack(_nothing + "after 300 steps", triggered(Nothing, triggers.after(300)), **_RUN),
    "nothing-after-1000-steps": Attack(
        _nothing + "after 1,000 steps",
        triggered(Nothing, triggers.after(1000)),
        # Others take fewer in these seconds.
        backends=("torch", "tensorflow", "numpy"),
        door="run",
        options=("--steady-s", "6"),
    ),
    "nothing-in-jobs-that-measure": Attack(
        _nothing + "when its job's file says that it is measured", triggered(Nothing, triggers.when_measured), **_RUN
    ),
    "nothing-after-four-loads": Attack(
        _nothing + "once weights were loaded four times",
        triggered(Nothing, triggers.after_loads(4)),
        caught_by="turns that begin with weights that are loaded, each of which may be replayed",
        **_RUN,
    ),
    "nothing-late-in-turns": Attack(
        _nothing + "from the second block of a turn on",
        triggered(Nothing, triggers.late_in_turn),
        door="run",
        options=SHORT_STEPS,
    ),
    "nothing-in-half": Attack(
        _nothing + "in one timed block of two, drawn at random",
        triggered(Nothing, triggers.at_random(0.5)),
        door="run",
        options=("--rounds", "3"),
    ),
    "nothing-in-a-tenth": Attack(
        _nothing + "in one timed block of ten, drawn at random",
        triggered(Nothing, triggers.at_random(0.1)),
        expected=PASSES,
        reason=A_TENTH,
        **_RUN,
    ),
    "nothing-with-forged-losses": Attack(
        "does nothing when it is timed, and makes up losses that fall", Forged, **_RUN
    ),
    "remembered-by-content": Attack(
        "does nothing for batches that it has trained on before",
        RememberedByContent,
        expected=PASSES,
        reason=ONCE,
        **_RUN,
    ),
    "remembered-by-identity": Attack(
        "does nothing for arrays that it has been handed before",
        RememberedByIdentity,
        expected=PASSES,
        reason=ONCE,
        **_RUN,
    ),
    "remembered-trajectory": Attack(
        "looks up losses and weights of blocks that it has trained from the same weights",
        RememberedTrajectory,
        expected=PASSES,
        reason=ONCE,
        **_RUN,
    ),
    "half-batch": Attack(
        "trains on half of every batch when it is timed", _changed(lambda x, y: (x[::2], y[::2])), **_RUN
    ),
    "half-batch-if-measured": Attack(
        "trains on half of every batch in jobs that measure",
        triggered(_changed(lambda x, y: (x[::2], y[::2])), triggers.when_measured),
        **_RUN,
    ),
    "four-images": Attack(
        "trains on four images of every batch when it is timed", _changed(lambda x, y: (x[:4], y[:4])), **_RUN
    ),
    "labels-reversed": Attack(
        "trains on labels from the last to the first when it is timed", _changed(lambda x, y: (x, y[::-1])), **_RUN
    ),
    "coarse-pixels": Attack("trains on pixels of four bits when it is timed", _changed(_coarse), **_RUN),
    "half-resolution": Attack("trains on images of half the resolution when it is timed", _changed(_half_size), **_RUN),
    "no-backward": Attack("computes losses alone when it is timed", ForwardAlone, **_RUN),
    "no-backward-in-a-tenth": Attack(
        "computes losses alone in one timed block of ten",
        triggered(ForwardAlone, triggers.at_random(0.1)),
        expected=PASSES,
        reason=A_TENTH,
        **_RUN,
    ),
    "no-update": Attack("computes losses and gradients and takes no step when it is timed", NoUpdate, **_RUN),
    "update-in-last-of-block": Attack("updates in the last step of a block alone", LastOfBlock, **_RUN),
    "losses-copied": Attack("trains the first step of a block and copies its loss", FirstOfBlock, **_RUN),
    "every-second-step": Attack("trains every second step and says each loss twice", EverySecond, **_RUN),
    "one-in-twenty-left-out": Attack("leaves out one update in twenty", OneInTwenty, **_RUN),
    "batches-in-pairs": Attack("makes one step of two batches", InPairs, **_RUN),
    "block-as-one-batch": Attack("makes one step of all batches of a block", AllTogether, **_RUN),
    "stops-when-small": Attack("stops training once its loss is under 1", WhenSmall, **_RUN),
    "first-layer-frozen": Attack("does not train its first layer when it is timed", LayerFrozen, **_RUN),
    "bfloat16-when-timed": Attack(
        "goes on in bfloat16 when it is timed", LessPrecise, backends=("torch", "tensorflow", "jax", "numpy"), **_RUN
    ),
}
