"""The audit: launches that were timed, held against the reference afterwards.

What `verify` proves is a launch of its own. A backend could be right there and do something else where the clock runs,
by mistake or on purpose. So every timed turn starts from weights that the harness knows, on batches that follow from a
number which it drew for the round (`harness.worker.experiment`), and the launch says before anything is drawn what came
of it. Then turns are drawn, the reference does them over, and the losses of their steps and the weights behind them
must be the reference's, but for rounding. Of inference a tenth of the answers is drawn and held against it, and some
of those that the accuracy after an epoch is made of.

All launches of a round have the same turns, so the reference does each of them once for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import SystemRandom
from typing import Any

import numpy as np

from harness.data.sources import Dataset
from harness.errors import WorkerFailed
from harness.proof.arrays import read_arrays, read_content
from harness.proof.problem import relative_error
from harness.proof.replay import LOSSES, Replay, Steps, infer, replay
from harness.proof.rounding import declared_errors
from harness.proof.starts import steps_of, trained
from harness.runs.display import Display
from harness.runs.plan import Plan
from harness.spec.network import Network
from harness.spec.networks import get_network
from harness.spec.recipe import Recipe
from harness.spec.start import Weights
from harness.worker import catalogue
from harness.worker.batches import prepare
from harness.worker.experiment import batches_of, start_of, told
from harness.worker.job import EVALUATION_FILE, Entrant, Job
from harness.worker.turns import RETURN_STEPS

# Turns of a round that are done over.
DRAWN = 3
# What is done over of a turn at most: four steps and five blocks; fewer where they have more multiplications and
# additions than so many steps of 64 images of LeNet-5.
MOST_STEPS, LEAST_STEPS = 44, 2
MOST_WORK = MOST_STEPS * 64 * 416_520
# Losses of two launches that differ by more than this share of the largest are looked at; those of the five frameworks
# were within 1.1e-6 of the reference (135 turns of LeNet-5, float32). So many turns of a launch, no more: it is only
# time that honest launches would lose.
ALIKE, MOST_LOOKED_AT = 1e-3, 3
_draw = SystemRandom()


def fields_of(plan: Plan, dataset: Dataset, display: Display) -> dict[str, Any]:
    """The fields of `Run` by which it is audited, as every run is of what was verified."""
    if not plan.verified:
        return {}
    auditor = auditor_of(plan, dataset)
    if not plan.timing:
        return {"auditor": auditor}
    network = get_network(plan.entrants[0].network)
    display.start(steps_of(network), "training the audit's second start, in float64")
    second = trained(network, plan.recipe, dataset, tick=display.advance)
    display.start(0)
    return {"auditor": auditor, "trained": second}


def auditor_of(plan: Plan, dataset: Dataset) -> Audit:
    """The auditor of a plan's launches."""
    return Audit(get_network(plan.entrants[0].network), plan.recipe, dataset)


@dataclass(frozen=True)
class Turn:
    """What is done over, and for whom."""

    seed: int
    number: int
    batch_size: int
    steps: int
    dtype: str
    inexact: tuple[tuple[str, float], ...]


class Audit:
    """The audit of one run.

    Attributes:
        turns_drawn: how many turns of a round are done over.
        drawn: seed of a round -> its turns that are done over; drawn when the first is asked about.
    """

    def __init__(self, network: Network, recipe: Recipe, dataset: Dataset) -> None:
        # What has dropout is audited in inference, where it drops nothing.
        self.drops, self.network = network.drops, network.keeping_all()
        self.recipe, self.dataset = recipe, dataset
        self.turns_drawn = DRAWN
        self.drawn: dict[int, list[int]] = {}
        self._replays: dict[Turn, Replay] = {}
        self._losses: dict[tuple[object, ...], np.ndarray] = {}

    def check(self, job: Job, starts: Sequence[Weights], said: Sequence[str]) -> dict[str, Any]:
        """Hold a launch against the reference; its columns of launches.csv.

        Args:
            starts: the job's, as the harness has them.
            said: SHA-256 of what each turn came to, as the launch said at its end; none of one that only trains.

        Raises:
            WorkerFailed: it did something else than the reference.
        """
        folder = Path(job.output)
        series = [f"inference-{size}" for size in job.inference_sizes] + ["latency"] * bool(job.inference_sizes)
        shares = [self._logits(job.entrant, starts, folder / f"{name}.npz") for name in series]
        if job.epochs:
            shares.append(self._evaluation(job.entrant, folder / EVALUATION_FILE))
        if job.kind == "train":
            return {"audit_share": max(shares, default=None)}
        # With dropout every framework draws its own masks: what a turn must come to is not known.
        numbers = [] if self.drops else self._draw(job.turn_seed, len(said))
        numbers += [] if self.drops else self._unlike(job, said, numbers)
        for number in numbers:
            shares.append(self._turn(job, starts, number, said))
        return {"turn_seed": job.turn_seed, "audited_turns": len(numbers), "audit_share": max(shares, default=None)}

    def _draw(self, seed: int, turns: int) -> list[int]:
        if seed not in self.drawn:
            self.drawn[seed] = sorted(_draw.sample(range(1, turns + 1), min(self.turns_drawn, turns)))
        return [number for number in self.drawn[seed] if number <= turns]

    def _unlike(self, job: Job, said: Sequence[str], drawn: list[int]) -> list[int]:
        """The turns, beside those that were drawn, in which a launch before this one had other losses."""
        found = []
        for number in range(1, len(said) + 1):
            mine = self._came_to(job, number, said)[LOSSES]
            same = (job.turn_seed, number, job.entrant.batch_size, job.entrant.dtype)
            other = self._losses.setdefault(same, mine)
            steps = min(len(mine), len(other), self._most_steps(job.entrant))
            off = np.abs(mine[:steps] - other[:steps]).max(initial=0.0)
            if number not in drawn and not off <= ALIKE * np.abs(other[:steps]).max(initial=0.0):
                found.append(number)
        return _draw.sample(found, min(len(found), MOST_LOOKED_AT))

    def _came_to(self, job: Job, number: int, said: Sequence[str]) -> dict[str, np.ndarray]:
        """Losses and weights of a turn, as they were when the launch told of them."""
        file, what = Path(job.output) / f"turn-{number}.npz", f"turn {number}"
        return _read(file, what, {LOSSES: ()} | self.network.parameter_shapes(), said=said[number - 1])

    def _turn(self, job: Job, starts: Sequence[Weights], number: int, said: Sequence[str]) -> float:
        """The largest error over its tolerance in one turn."""
        weights = self._came_to(job, number, said)
        losses = weights.pop(LOSSES)
        steps = min(len(losses), self._most_steps(job.entrant))
        least = min(self._least_steps(job.entrant), self._most_steps(job.entrant))
        if steps < least:
            raise WorkerFailed(
                f"The audit found {len(losses)} losses of turn {number}, which had {least} steps or more."
            )
        turn = Turn(
            job.turn_seed, number, job.entrant.batch_size, steps, job.entrant.dtype,
            declared_errors(job.entrant.backend, job.entrant.dtype, self.recipe),
        )  # fmt: skip
        if turn not in self._replays:
            self._replays[turn] = self._replay(turn, starts)
        expected = self._replays[turn]
        # Weights behind the last step are known only where all steps were done over.
        whole = steps == len(losses)
        known = Steps(losses[:steps], weights if whole else expected.expected.weights)
        shares = expected.shares(known)
        wrong = [name for name, share in shares.items() if not share <= 1]
        if wrong:
            raise WorkerFailed(_sentence(number, wrong[0], expected, known))
        return max(shares.values())

    def _replay(self, turn: Turn, starts: Sequence[Weights]) -> Replay:
        labels, seed = self.dataset.train_labels, told(turn.seed, turn.number)
        indices = batches_of(seed, turn.number, images=len(labels), batch_size=turn.batch_size)
        batches = [
            (self._prepare(self.dataset.train_images[index], "float32"), labels[index].astype(np.int32))
            for index in islice(indices, turn.steps)
        ]
        start = starts[start_of(seed, turn.number, len(starts))]
        return replay(self.network, self.recipe, start, batches, dtype=turn.dtype, inexact=dict(turn.inexact))

    def _prepare(self, images: np.ndarray, dtype: str) -> np.ndarray:
        return prepare(images, self.network.input_shape, dtype)

    def _least_steps(self, entrant: Entrant) -> int:
        """The steps of the shortest turn."""
        block = catalogue.steps_of(entrant)
        return block if entrant.mode in catalogue.blockwise(entrant.backend) else RETURN_STEPS + block

    def _most_steps(self, entrant: Entrant) -> int:
        return max(LEAST_STEPS, min(MOST_STEPS, MOST_WORK // (self.network.multiply_adds * entrant.batch_size)))

    def _logits(self, entrant: Entrant, starts: Sequence[Weights], file: Path) -> float:
        """The largest error of answers about inference, and of the step before them, over what rounding allows."""
        size = file.stem.rpartition("-")[2]
        name = "latency queries" if size == file.stem else f"inference in batches of {size}"
        wanted = dict.fromkeys(("images", "logits", "start", "step", LOSSES), ()) | self.network.parameter_shapes()
        found = _read(file, f"the answers to {name}", wanted)
        start, step, losses = (found.pop(key).reshape(-1) for key in ("start", "step", LOSSES))
        share = self._answers(entrant, name, found)
        return max(share, self._step(entrant, starts, name, (start, step), Steps(losses, found)))

    def _evaluation(self, entrant: Entrant, file: Path) -> float:
        """The largest error of answers that an accuracy was made of, over what rounding allows."""
        name = "the test images after an epoch"
        wanted = dict.fromkeys(("images", "logits"), ()) | self.network.parameter_shapes()
        return self._answers(entrant, name, _read(file, f"the answers to {name}", wanted))

    def _answers(self, entrant: Entrant, name: str, found: dict[str, np.ndarray]) -> float:
        """The largest error of answers over what rounding allows.

        Args:
            name: of the questions.
            found: `images`, `logits`, and the weights that these were made with, which are left in it.
        """
        images, logits = found.pop("images").reshape(-1), found.pop("logits")
        if not 0 <= images.min() <= images.max() < len(self.dataset.test_labels):
            raise WorkerFailed(f"The audit found answers to {name} about images that there are not.")
        given = self._prepare(self.dataset.test_images[images], "float32")
        expected, allowed = infer(self.network, self.recipe, found, given, dtype=entrant.dtype)
        if logits.size != expected.size:
            raise WorkerFailed(f"The audit found that {name} gave no logits of the right shape: {logits.shape}.")
        off = relative_error(logits.reshape(expected.shape), expected)
        if not off <= allowed:
            raise WorkerFailed(
                f"The audit found that {name} gave other logits than the reference has for the same weights and "
                f"images: off by {off:.1e} of the largest, where rounding allows {allowed:.1e}. Are answers kept, or "
                "computed before they are asked for?"
            )
        return off / allowed

    def _step(
        self, entrant: Entrant, starts: Sequence[Weights], name: str, drawn: tuple[np.ndarray, ...], found: Steps
    ) -> float:
        """The largest error over its tolerance of the step between handing over and asking.

        Args:
            drawn: the number of the start that it was taken from, (1,), and the indices of its images.
        """
        start, index = drawn
        labels = self.dataset.train_labels
        known = (
            start.size == 1 and start[0] in range(len(starts)) and len(index) == min(entrant.batch_size, len(labels))
        )
        if not (known and 0 <= index.min() <= index.max() < len(labels)):
            raise WorkerFailed(f"The audit found that {name} lay behind a training step that there is not.")
        if self.drops:
            return 0.0
        batch = self._prepare(self.dataset.train_images[index], "float32"), labels[index].astype(np.int32)
        inexact = dict(declared_errors(entrant.backend, entrant.dtype, self.recipe))
        done = replay(self.network, self.recipe, starts[start[0]], [batch], dtype=entrant.dtype, inexact=inexact)
        shares = done.shares(found)
        wrong = [each for each, share in shares.items() if not share <= 1]
        if wrong:
            raise WorkerFailed(
                f"The audit found that the training step that {name} lay behind was not taken, or another: {wrong[0]} "
                f"is {shares[wrong[0]]:.1e} times as far off as rounding allows."
            )
        return max(shares.values())


def _read(
    file: Path, what: str, shapes: Mapping[str, tuple[int, ...]], *, said: str | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a launch's file.

    Args:
        shapes: name of every array that there must be -> its shape, or () for whichever it has.
        said: the SHA-256 that the launch told before anything was drawn; None for a file that it told nothing of.

    Raises:
        WorkerFailed: the file is not there, not what was told, or not what it should be.
    """
    try:
        content = read_content(file)
        changed = said is not None and hashlib.sha256(content).hexdigest() != said
        found = {} if changed else read_arrays(content, wanted=shapes)
    except WorkerFailed as error:
        raise WorkerFailed(f"The audit found nothing of {what} that it can read: {error}") from None
    if changed:
        raise WorkerFailed(f"The audit found that what {what} came to was changed after the launch had told of it.")
    lacking = [name for name in shapes if name not in found]
    if lacking:
        raise WorkerFailed(f"The audit found nothing of {what} that it can read: {lacking[0]} is not there.")
    wrong = [name for name, shape in shapes.items() if shape and found[name].shape != shape]
    if wrong:
        raise WorkerFailed(f"The audit found {wrong[0]} of shape {found[wrong[0]].shape} in {what}.")
    return found


def _sentence(number: int, name: str, expected: Replay, found: Steps) -> str:
    """What is wrong, where, and by how much."""
    begin = (
        f"The audit found that what was timed is not what was proven. In turn {number}, done over by the reference, "
    )
    if name != LOSSES:
        error = expected.shares(found)[name] * expected.weights[name]
        return (
            f"{begin}{name} moved otherwise, by {error:.1e} of its movement; {expected.weights[name]:.1e} is allowed."
        )
    wanted = expected.expected.losses
    step = int((~(np.abs(found.losses - wanted) <= expected.losses)).argmax())
    return (
        f"{begin}the loss of step {step + 1} of {len(wanted)} is {found.losses[step]:.6g}, not {wanted[step]:.6g}; it "
        f"may be off by {expected.losses[step]:.1e}."
    )
