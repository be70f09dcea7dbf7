"""Trials: short trainings that show what the first hundred steps from initial weights do not.

There gradients and losses are small, batches are of one size and handed over by the host. So a backend is also tried

- on large gradients: from trained weights whose last layer was made stronger, on a batch that is labelled wrongly, one
  half of which is, and one that is not, with a learning rate of a 64th. What clips gradients, caps losses or logits,
  passes over bad batches, or keeps a learning rate from becoming small, acts there;
- in its own configuration: one block as it will be timed, from trained weights: its feed, its batch size, its threads,
  its number of steps.

The reference does them in float64 and in other orders (`harness.proof.replay`), which says what rounding allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from harness.data.sources import Dataset
from harness.proof import posing
from harness.proof.problem import Check
from harness.proof.replay import LOSSES, Replay, Steps, replay
from harness.proof.rounding import reference
from harness.spec.network import Network
from harness.spec.precision import array_dtype
from harness.spec.recipe import Recipe
from harness.spec.start import Weights, epoch_order
from harness.worker import catalogue
from harness.worker.batches import prepare
from harness.worker.job import Entrant
from harness.worker.quantities import Quantities

LARGE_GRADIENTS, OWN = "large gradients", "own configuration"
NAMES = (LARGE_GRADIENTS, OWN)
# A power of two, so that the rate is a float32 number like the recipe's; a floor under it shows.
RATE = 1 / 64
# The last layer is doubled until a wrong label costs so much on average, if none then costs more than the most:
# PaddlePaddle's loss of an image ends at 64 (harness.proof.posing).
LEAST_LOSS, MOST_LOSS = 10.0, 40.0
MOST_DOUBLINGS = 6


@dataclass(frozen=True)
class Trial:
    """One training: from where, on which images of the archive, call by call int64 (steps, batch), at which rate."""

    name: str
    start: Weights
    calls: tuple[np.ndarray, ...]
    rate: float
    done_over: Replay


@dataclass(frozen=True)
class Trials:
    """What one entrant is tried on, with what the reference came to.

    Attributes:
        images: float32 (n, c, h, w), in no order.
        labels: int32 (n,), some of them wrong on purpose.
    """

    images: np.ndarray
    labels: np.ndarray
    trials: tuple[Trial, ...]

    def write(self, path: Path, dtype: str) -> None:
        """For the worker."""
        arrays = {"images": self.images.astype(array_dtype(dtype)), "labels": self.labels}
        for trial in self.trials:
            arrays |= {f"{trial.name}/rate": np.array(trial.rate), f"{trial.name}/calls": np.array(len(trial.calls))}
            arrays |= {f"{trial.name}/call {number}": call for number, call in enumerate(trial.calls)}
            arrays |= {f"{trial.name}/start/{name}": value for name, value in trial.start.items()}
        np.savez(path, **arrays)  # type: ignore[arg-type]

    def check(self, found: Quantities, *, patient: bool = True) -> list[Check]:
        """A check of the losses and one of each parameter, of every trial.

        Args:
            patient: as `Replay.shares`.
        """
        return [check for trial in self.trials for check in _checks(trial, found, patient=patient)]


def pose(
    network: Network,
    recipe: Recipe,
    dataset: Dataset,
    entrant: Entrant,
    trained: Weights,
    *,
    inexact: Mapping[str, float] = MappingProxyType({}),
) -> Trials:
    """Pose the trials of an entrant.

    Args:
        network: without dropout.
        trained: as `harness.proof.starts.trained` gives them.
        inexact: as `harness.proof.rounding.measure`.
    """
    few = posing.BATCH if network.multiply_adds < posing.LARGE else posing.SMALL_BATCH
    steps, size = catalogue.steps_of(entrant), entrant.batch_size
    count = 3 * few + steps * size
    order = np.resize(epoch_order(len(dataset.train_labels), seed=1, epoch=0), count)
    images = prepare(dataset.train_images[order], network.input_shape, "float32")
    labels = dataset.train_labels[order].astype(np.int32)
    wrong = np.r_[0:few, few : few + few // 2]
    labels[wrong] = (labels[wrong] + 1) % network.classes
    # Where an image lies in the archive says nothing of when it is trained on.
    place = np.random.default_rng(0).permutation(count)
    hard, own = place[: 3 * few].reshape(3, 1, few), place[3 * few :].reshape(1, steps, size)
    shuffled = np.argsort(place)
    images, labels = images[shuffled], labels[shuffled]
    strong = strengthened(network, recipe, trained, images[hard[0, 0]], labels[hard[0, 0]])
    trials = []
    for name, start, calls, share in ((LARGE_GRADIENTS, strong, hard, RATE), (OWN, trained, own, 1.0)):
        slower = replace(recipe, learning_rate=recipe.learning_rate * share)
        batches = [(images[index], labels[index]) for call in calls for index in call]
        done_over = replay(network, slower, start, batches, dtype=entrant.dtype, inexact=inexact)
        trials.append(Trial(name, start, tuple(calls), slower.learning_rate, done_over))
    return Trials(images, labels, tuple(trials))


def strengthened(network: Network, recipe: Recipe, trained: Weights, images: np.ndarray, labels: np.ndarray) -> Weights:
    """The weights, the last layer doubled until wrong labels cost enough, or halved until none costs too much.

    Args:
        images, labels: a batch with wrong labels.
    """
    exact = reference(network, recipe, "float64")
    exact.load_weights(trained)
    logits = exact.logits(images.astype(float))
    last = list(trained)[-1].rpartition(".")[0]
    times = 1.0
    while posing.losses_of(logits * times, labels).max() > MOST_LOSS:
        times /= 2
    for _ in range(MOST_DOUBLINGS):
        losses = posing.losses_of(logits * times, labels)
        if losses.mean() >= LEAST_LOSS or posing.losses_of(logits * times * 2, labels).max() > MOST_LOSS:
            break
        times *= 2
    factor = np.float32(times)
    return {name: value * factor if name.startswith(f"{last}.") else value for name, value in trained.items()}


def _checks(trial: Trial, found: Quantities, *, patient: bool) -> list[Check]:
    """Losses: of the step that needs most of what is allowed, both over the largest loss. Weights: of the movement."""
    done_over, wanted = trial.done_over, trial.done_over.expected.losses
    losses = found.get(f"{trial.name}: {LOSSES}", np.empty(0))
    weights = {name: found[key] for name in trial.start if (key := f"{trial.name}: {name}") in found}
    shares = done_over.shares(Steps(losses, weights), patient=patient)
    scale = np.abs(wanted).max()
    step = 0 if np.isnan(shares[LOSSES]) else int((np.abs(losses - wanted) / done_over.losses).argmax())
    tolerances = {LOSSES: float(done_over.losses[step] / scale), **done_over.weights}
    return [Check(f"{trial.name}: {name}", shares[name] * tolerances[name], tolerances[name]) for name in tolerances]
