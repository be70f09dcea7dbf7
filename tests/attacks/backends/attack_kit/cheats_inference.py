"""Cheats in inference: logits that were computed before, for other images, with other weights, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.attack_kit.attack import Attack
from backends.attack_kit.triggers import called_from
from backends.attack_kit.wrapper import Weights, Wrapper

CLASSES = 10


class Inferring(Wrapper):
    """Infers as it should, but where inference is timed."""

    def logits(self, images: Any) -> Any:
        return self.cheat(images) if called_from("inference.py") else self.right.logits(images)

    def cheat(self, images: Any) -> Any:
        """What it does in place of inference."""
        raise NotImplementedError

    def count(self, images: Any) -> int:
        """How many images there are."""
        return int(images.shape[0])


class ByIdentity(Inferring):
    """Logits of images that were inferred on before are looked up by where these lie."""

    def begin(self) -> None:
        self.known: dict[int, tuple[Any, Any]] = {}

    def cheat(self, images: Any) -> Any:
        if id(images) not in self.known:
            self.known[id(images)] = images, self.right.logits(images)
        return self.known[id(images)][1]


class ByContent(Inferring):
    """The same by a few of their pixels."""

    def begin(self) -> None:
        self.known: dict[bytes, Any] = {}

    def cheat(self, images: Any) -> Any:
        key = self.right.to_numpy(images).ravel()[::7].tobytes()
        if key not in self.known:
            self.known[key] = self.right.logits(images)
        return self.known[key]


class InPut(Inferring):
    """Logits are computed when images are handed over, which nobody times."""

    def begin(self) -> None:
        self.ready: dict[int, tuple[Any, Any]] = {}

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Any:
        native = super().put(images=images, labels=labels)
        if called_from("inference.py"):
            self.ready[id(native[0])] = native[0], self.right.to_numpy(self.right.logits(native[0]))
        return native

    def cheat(self, images: Any) -> Any:
        kept = self.ready.get(id(images))
        return kept[1] if kept else self.right.logits(images)


class InPutWhenIdle(InPut):
    """The same, and forgotten with the next training step, so that logits are always of the weights of now."""

    def train_steps(self, batches: Any) -> Any:
        self.ready.clear()
        return super().train_steps(batches)


class Stale(Inferring):
    """Infers with the weights that were loaded, for which a program was folded."""

    def begin(self) -> None:
        self.folded = self.another()

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        self.folded.load_weights(self.right.dump_weights())

    def cheat(self, images: Any) -> Any:
        return self.folded.logits(images)


class FirstForAll(Inferring):
    """Infers on the first image of a batch, and says its logits for all."""

    def cheat(self, images: Any) -> Any:
        return np.repeat(self.right.to_numpy(self.right.logits(images[:1])), self.count(images), axis=0)


class HalfOfBatch(Inferring):
    """Infers on the first half of a batch, and says its logits twice."""

    def cheat(self, images: Any) -> Any:
        half = self.right.to_numpy(self.right.logits(images[: (self.count(images) + 1) // 2]))
        return np.concatenate([half, half])[: self.count(images)]


class Zeros(Inferring):
    """Says zeros."""

    def cheat(self, images: Any) -> Any:
        return np.zeros((self.count(images), CLASSES), np.float32)


class Lazy(Inferring):
    """Infers when somebody looks."""

    def cheat(self, images: Any) -> Any:
        return Promise(images)

    def to_numpy(self, value: Any) -> np.ndarray:
        return super().to_numpy(self.right.logits(value.images) if isinstance(value, Promise) else value)


class Promise:
    """Logits that are not computed yet."""

    def __init__(self, images: Any) -> None:
        self.images = images


class LessPrecise(Inferring):
    """Infers in bfloat16."""

    def begin(self) -> None:
        self.low = self.another(dtype="bfloat16")
        self.fresh = False

    def load_weights(self, weights: Weights) -> None:
        self.fresh = False
        super().load_weights(weights)

    def train_steps(self, batches: Any) -> Any:
        self.fresh = False
        return super().train_steps(batches)

    def cheat(self, images: Any) -> Any:
        if not self.fresh:
            self.low.load_weights(self.right.dump_weights())
            self.fresh = True
        return self.low.logits(images)


_INFERENCE: dict[str, Any] = {"door": "run", "options": ("--inference-sizes", "1,64")}
CHEATS = {
    "logits-by-identity": Attack(
        "looks up logits of arrays that it has inferred on",
        ByIdentity,
        expected="passes",
        reason="no array is asked about twice, so it does what the right one does",
        **_INFERENCE,
    ),
    "logits-by-content": Attack("looks up logits of images that it has inferred on", ByContent, **_INFERENCE),
    "logits-in-put": Attack("infers when images are handed over", InPut, **_INFERENCE),
    "logits-in-put-until-trained": Attack(
        "infers when images are handed over, and forgets that with the next step",
        InPutWhenIdle,
        expected="passes",
        reason="nothing is won: between handing over and asking lies a step, so all is inferred when it is asked for",
        **_INFERENCE,
    ),
    "logits-of-loaded-weights": Attack("infers with the weights that were loaded", Stale, **_INFERENCE),
    "logits-of-first-image": Attack("infers on the first image of a batch", FirstForAll, **_INFERENCE),
    "logits-of-half": Attack("infers on the first half of a batch", HalfOfBatch, **_INFERENCE),
    "logits-zero": Attack("says zeros in place of logits", Zeros, **_INFERENCE),
    "logits-when-looked-at": Attack("infers when somebody looks at the logits", Lazy, **_INFERENCE),
    "logits-bfloat16": Attack(
        "infers in bfloat16 when it is timed",
        LessPrecise,
        backends=("torch", "tensorflow", "jax", "numpy"),
        **_INFERENCE,
    ),
}
