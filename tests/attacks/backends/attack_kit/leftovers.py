"""Mistakes in what a call leaves behind: memory that two share, modes that stay on, state that a block forgets."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.attack_kit.attack import Attack
from backends.attack_kit.hooks import Hooks
from backends.attack_kit.state import VelocityKept
from backends.attack_kit.wrapper import Weights, Wrapper


class LoadedInPlace(Wrapper):
    """Weights are taken without a copy, and training goes on in the caller's memory."""

    loaded: Weights = {}

    def load_weights(self, weights: Weights) -> None:
        self.loaded = weights
        super().load_weights(weights)

    def train_steps(self, batches: Any) -> Any:
        losses = super().train_steps(batches)
        for name, value in self.right.dump_weights().items():
            if self.loaded[name].flags.writeable:
                self.loaded[name][...] = value
        return losses


class DumpedInPlace(Wrapper):
    """Weights are given back without a copy, and training goes on in them."""

    def begin(self) -> None:
        self.dumped: list[Weights] = []

    def dump_weights(self) -> Weights:
        self.dumped.append({name: value.copy() for name, value in super().dump_weights().items()})
        return self.dumped[-1]

    def train_steps(self, batches: Any) -> Any:
        losses = super().train_steps(batches)
        for name, value in self.right.dump_weights().items():
            for each in self.dumped:
                each[name][...] = value
        return losses


class GradientsStep(Wrapper):
    """Whoever asks for gradients trains a step."""

    def gradients(self, batch: Any) -> Weights:
        found = super().gradients(batch)
        images, labels = (self.right.to_numpy(each) for each in batch)
        if self.feed == "host":
            self.right.train_steps([(images, labels.astype(np.int32))])
        return found


class VelocityPerBlock(Wrapper):
    """Every call has a new optimizer."""

    rate: float | None = None

    def load_weights(self, weights: Weights) -> None:
        self.rate = None
        super().load_weights(weights)

    def set_learning_rate(self, value: float) -> None:
        self.rate = value
        super().set_learning_rate(value)

    def train_steps(self, batches: Any) -> Any:
        losses = super().train_steps(batches)
        self.right.load_weights(self.right.dump_weights())
        if self.rate is not None:
            self.right.set_learning_rate(self.rate)
        return losses


class RatePerBlock(Wrapper):
    """A learning rate counts for one block, and the recipe's own is back in the next."""

    def train_steps(self, batches: Any) -> Any:
        losses = super().train_steps(batches)
        self.right.set_learning_rate(self.recipe.learning_rate)
        return losses


class LoadedInFloat16(Wrapper):
    """Weights come from a file in float16."""

    def load_weights(self, weights: Weights) -> None:
        super().load_weights({name: np.float32(np.float16(value)) for name, value in weights.items()})


def _inferring(most: int) -> type:
    """Infers on so many images of a batch, and says zeros of the others."""

    class Most(Wrapper):
        def logits(self, images: Any) -> Any:
            logits = self.right.to_numpy(super().logits(images)).copy()
            logits[most:] = 0
            return logits

    return Most


class PaddedToEight(Wrapper):
    """Batches are filled up to a multiple of eight images for inference, and what is too much is cut off."""

    def logits(self, images: Any) -> Any:
        whole = self.right.to_numpy(images)
        more = -len(whole) % 8
        padded = np.ascontiguousarray(np.concatenate([whole, np.repeat(whole[-1:], more, axis=0)]))
        native = self.right.put(images=padded, labels=np.zeros(len(padded), np.int32))[0]
        return self.right.to_numpy(self.right.logits(native))[: len(whole)]


class BiasesWithoutDecay(Wrapper):
    """Biases are left out of the decay, as many guides advise."""

    def train_steps(self, batches: Any) -> Any:
        losses = []
        for one in self.one_by_one(batches):
            before = self.right.dump_weights()
            losses.append(self.train_one(one))
            after = self.right.dump_weights()
            share = np.float32(self.recipe.learning_rate * self.recipe.weight_decay)
            for name in (name for name in after if name.endswith("bias")):
                after[name] = after[name] + share * before[name]
            self.right.set_parameters(after)
        return np.array(losses)


class InferenceSwitches(Wrapper):
    """`model.eval()` before inference, and nobody says `model.train()` behind it."""

    inferring = False

    def begin(self) -> None:
        InferenceSwitches.inferring = False

    def logits(self, images: Any) -> Any:
        InferenceSwitches.inferring = True
        return super().logits(images)


def _dropout(ops: Any, x: Any, dropped: Any) -> Any:
    return x if InferenceSwitches.inferring else dropped


MISTAKES = {
    "moments-kept": Attack(
        "keeps the moments of Adam when weights are loaded", VelocityKept, options=("--optimizer", "adam")
    ),
    "loaded-in-place": Attack("trains in the arrays that it was given to load", LoadedInPlace),
    "dumped-in-place": Attack("goes on training in the arrays that it gave back", DumpedInPlace),
    "gradients-take-a-step": Attack(
        "takes a step whenever it is asked for gradients",
        GradientsStep,
        backends=("torch", "numpy"),
        expected="passes",
        reason="only verification asks for gradients, and loads weights behind it",
    ),
    "velocity-per-block": Attack("forgets its velocity with every call", VelocityPerBlock),
    "rate-per-block": Attack("goes back to the first learning rate with every call", RatePerBlock),
    "loaded-in-float16": Attack("takes weights in float16", LoadedInFloat16),
    "logits-of-256": Attack(
        "infers on 256 images of a batch at most",
        _inferring(256),
        door="run",
        options=("--inference-sizes", "1,500"),
    ),
    "logits-of-256-in-epochs": Attack(
        "infers on 256 images of a batch at most, where no inference is timed",
        _inferring(256),
        door="run",
        options=("--epochs", "1"),
    ),
    "inference-padded": Attack(
        "fills batches up to a multiple of eight for inference, and cuts that off",
        PaddedToEight,
        expected="passes",
        reason="images do not see each other in inference: it is the same",
    ),
    "biases-without-decay": Attack(
        "does not decay biases", BiasesWithoutDecay, options=("--optimizer", "decay"), backends=("torch", "numpy")
    ),
    "dropout-off-after-inference": Attack(
        "drops nothing any more once it has inferred",
        InferenceSwitches,
        hooks=Hooks(dropout=_dropout),
        options=("--network", "convnet-tf1"),
        backends=("torch", "paddle"),
    ),
}
