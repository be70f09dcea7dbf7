"""What a run will do: entrants, rounds, their order. Decided before the first launch, kept for --resume."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from harness.analysis.labels import find
from harness.errors import InputError
from harness.results.plain_values import checked
from harness.spec.recipe import Recipe
from harness.spec.recipes import LENET5
from harness.worker.job import INFERENCE_SIZES, Entrant


@dataclass(frozen=True)
class Preset:
    """How long a run goes on.

    Attributes:
        rounds: that there are at the least.
        precision: rounds are added until the interval of every comparison is narrower, as a share of the ratio.
        budget_s: or until so many seconds are over.
        steady_s: of steady training that a launch times, at least.
        epochs: that a training has, for the accuracy.
    """

    rounds: int
    precision: float
    budget_s: float
    steady_s: float
    epochs: int


PRESETS = {
    "quick": Preset(rounds=4, precision=0.05, budget_s=180, steady_s=2.0, epochs=1),
    "standard": Preset(rounds=5, precision=0.02, budget_s=600, steady_s=2.0, epochs=5),
    "thorough": Preset(rounds=10, precision=0.01, budget_s=3600, steady_s=2.0, epochs=5),
}
# A block is a turn where it takes so long. What a neighbour on the machine does differs as much between two turns of a
# second as between two of a hundredth (3.5 % here, successive differences of means over 8 ms to 1.6 s), so the shortest
# turns, of which there are most, tell most. Where blocks are long, a launch is timed for longer than was asked for: in
# as many turns as if they took LONG_TURN_S.
TURN_S, LONG_TURN_S = 0.03, 0.15
LEAST_TURNS = 8
# A run that neither precision nor budget ends: nobody waits for more.
MOST_ROUNDS = 1000
# What a number that an option takes may be: a seed with its round added still fits into the 64 bits of a cell; so many
# seconds, three years, into every clock.
MOST_COUNTED, MOST_SEED, MOST_SECONDS = 2**31 - 1, 2**62, 1e8
PLACE = "The plan in environment.json"
# Of a run with a target.
TARGET_SEEDS = 5
TARGET_EPOCHS = 10


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        rounds: at least; each launches every entrant once, in random order.
        most_rounds: at most; equal to `rounds` where their number was given.
        precision: width of an interval, as a share of the ratio, at which no rounds are added; 0 for never.
        budget_s: seconds after which no round is begun, but for the first; 0 for none.
        base: label of the entrant that all others are compared with; empty for the fastest.
        seeds: so many trainings of epochs, each from a seed of its own: seed, seed + 1, ... Where launches are timed,
            these are rounds of their own that follow all others (see `trainings`).
        seed: of the first training, and of every round that is timed.
        until: test accuracy (0..1) that ends a training before its epochs are over; 0 for never.
        timing: whether launches are timed, or only train (the gate).
        train_accuracy: whether epochs have one (see `Job`).
        audit_batches: whether launches read back all batches of an epoch (see `Job`).
        measures_starts: whether anybody asks how long starting takes; where nobody does, launches start beside each
            other from the first round on.
        verified: whether all entrants had passed verification before the run began.
        inference_sizes: batch sizes of the inference sweep; none leaves out inference, latency and the
            machine's peak too.
        cpus: that launches are pinned to, the quietest first (`harness.runs.quiet`); of an entrant with fewer threads
            the first so many. None: the last ones that the process may use, as in older runs.
    """

    entrants: tuple[Entrant, ...]
    recipe: Recipe
    data_set: str
    data_dir: str | None
    rounds: int
    seeds: int
    seed: int
    epochs: int
    most_rounds: int = MOST_ROUNDS
    precision: float = 0.0
    budget_s: float = 0.0
    base: str = ""
    until: float = 0.0
    timing: bool = True
    measures_starts: bool = True
    train_accuracy: bool = False
    verified: bool = False
    audit_batches: bool = False
    inference_sizes: tuple[int, ...] = INFERENCE_SIZES
    steady_s: float = 2.0
    launch_timeout_s: float = 900.0
    cpus: tuple[int, ...] = ()

    def order(self, number: int) -> list[Entrant]:
        """The entrants of a round (counted from 1) in their order, which the plan's seed decides."""
        entrants = list(self.entrants)
        random.Random(f"{self.seed}/{number}").shuffle(entrants)
        return entrants

    @property
    def turns(self) -> int:
        """In how many turns the launches of a round time `steady_s`, one after the other, where blocks are short; 0 for
        none.

        A launch that is alone in its round has turns, too: each is an experiment that can be done over.
        """
        if not self.timing:
            return 0
        return max(LEAST_TURNS, round(self.steady_s / TURN_S))

    def turns_of(self, blocks_s: Sequence[float]) -> int:
        """How many turns a round has: so many that its launches are timed for `steady_s` on average.

        Args:
            blocks_s: seconds of a block of each launch; 0 where nobody knows.
        """
        mean = fmean(max(TURN_S, block_s) for block_s in blocks_s)
        return max(LEAST_TURNS, min(self.turns, round(self.steady_s / min(mean, LONG_TURN_S))))

    @property
    def pace(self) -> str:
        """How many rounds there will be, for people; trainings, where nothing is timed."""
        if not self.timing:
            return f"{self.rounds} training(s)"
        if self.most_rounds == self.rounds or len(self.entrants) == 1:
            return f"{self.rounds} round(s)"
        budget = f" or {self.budget_s:g} s" if self.budget_s else ""
        return f"{self.rounds} rounds or more, until intervals are under {self.precision:.1%}{budget}"

    @property
    def trainings(self) -> range:
        """The numbers of the rounds that train epochs once all others are timed: -1 for the first seed, -2, ...

        A plan that times nothing has none beside its rounds, which train.
        """
        return range(-1, -1 - self.seeds, -1) if self.timing and self.epochs else range(0)

    def times(self, number: int) -> bool:
        """Whether the launches of a round are timed."""
        return self.timing and number > 0

    def seed_of(self, number: int) -> int:
        """The seed that all launches of a round share."""
        if self.timing:
            return self.seed + max(0, -number - 1)
        return self.seed + (number - 1 if number <= self.seeds else 0)

    def epochs_of(self, number: int) -> int:
        """How many epochs the launches of a round train."""
        trains = number < 0 if self.timing else number <= self.seeds
        return self.epochs if trains else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """The inverse of `as_dict`.

        Raises:
            InputError: the values are not a plan, or not one that can be carried out; with key and what was found.
        """
        try:
            plan: Plan = checked(values, cls, PLACE)
            _check(plan)
        except InputError as error:
            raise InputError(f"{error} Start a new run.") from None
        return plan


def _check(plan: Plan) -> None:
    """Refuse numbers that no option would have let through.

    Raises:
        InputError: with key and what was found.
    """
    counts = {name: (1, getattr(plan, name)) for name in ("rounds", "most_rounds")}
    counts |= {name: (0, getattr(plan, name)) for name in ("seeds", "epochs")}
    counts |= {f"inference_sizes[{number}]": (1, size) for number, size in enumerate(plan.inference_sizes)}
    counts |= {f"recipe.{name}": (1, getattr(plan.recipe, name)) for name in ("batch_size", "epochs")}
    for number, each in enumerate(plan.entrants):
        counts |= {
            f"entrants[{number}].threads": (0, each.threads),
            f"entrants[{number}].batch_size": (1, each.batch_size),
            f"entrants[{number}].replicas": (1, each.replicas),
        }
    for name, (least, value) in counts.items():
        if not least <= value <= MOST_COUNTED:
            raise InputError(f"{PLACE}.{name} must be from {least} to {MOST_COUNTED}; found {value}.")
    if not plan.entrants:
        raise InputError(f"{PLACE}.entrants is empty.")
    if not 0 <= plan.seed <= MOST_SEED:
        raise InputError(f"{PLACE}.seed must be from 0 to {MOST_SEED}; found {plan.seed}.")
    shares = {"precision": plan.precision, "until": plan.until}
    seconds = {name: getattr(plan, name) for name in ("budget_s", "steady_s", "launch_timeout_s")}
    for name, value in (shares | seconds).items():
        below = 1.0 if name in shares else MOST_SECONDS
        if not 0 <= value < below:
            raise InputError(f"{PLACE}.{name} must be from 0 to under {below:g}; found {value}.")


def default_plan(entrants: Sequence[Entrant], *, recipe: Recipe = LENET5, base: str = "", **fields: Any) -> Plan:
    """A plan with a recipe at the entrants' batch size.

    Raises:
        InputError: no entrant is called as `base` says.
    """
    recipe = replace(recipe, batch_size=entrants[0].batch_size)
    labels = [entrant.label for entrant in entrants]
    base = labels[find(base, labels)] if base else ""
    return Plan(entrants=tuple(entrants), recipe=recipe, base=base, **fields)


def pace_fields(
    preset: Preset,
    *,
    precision: float | None,
    rounds: int | None,
    epochs: int | None,
    seeds: int | None,
    until: float | None,
    **others: Any,
) -> dict[str, Any]:
    """The fields of a plan that say how long it goes on: the preset's, but for what was given.

    Args:
        precision: in percent.
        until: where there is a target, several seeds train for it, and longer.
        others: budget_s, steady_s, inference_sizes; None for the preset's or the plan's own.
    """
    if until and epochs == 0:
        raise InputError("--until needs epochs to train, got --epochs 0.")
    seeds = seeds or (TARGET_SEEDS if until else 1)
    fields = {"budget_s": preset.budget_s, "steady_s": preset.steady_s}
    fields |= {name: value for name, value in others.items() if value is not None}
    fields["precision"] = precision / 100 if precision else preset.precision
    fields["epochs"] = (TARGET_EPOCHS if until else preset.epochs) if epochs is None else epochs
    fields |= {"seeds": seeds, "rounds": preset.rounds}
    if rounds:
        fields |= {"rounds": rounds, "most_rounds": rounds, "precision": 0.0, "budget_s": 0.0}
    return fields
