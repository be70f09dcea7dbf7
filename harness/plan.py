"""What a run will do: its entrants, its rounds, their order. Decided before the first launch, kept for --resume."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import InputError
from harness.job import Entrant
from harness.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        rounds: each launches every entrant once, in random order.
        seeds: the first so many rounds train epochs, each from a seed of its own: seed, seed + 1, ...
        seed: of the first round, and of every round that only times.
        timing: whether launches are timed, or only train (the gate).
    """

    entrants: tuple[Entrant, ...]
    recipe: Recipe
    data_set: str
    data_dir: str | None
    rounds: int
    seeds: int
    seed: int
    epochs: int
    timing: bool = True
    steady_s: float = 2.0
    launch_timeout_s: float = 900.0

    def order(self, number: int) -> list[Entrant]:
        """The entrants of a round (counted from 1) in their order, which the plan's seed decides."""
        entrants = list(self.entrants)
        random.Random(f"{self.seed}/{number}").shuffle(entrants)
        return entrants

    def seed_of(self, number: int) -> int:
        """The seed that all launches of a round share."""
        return self.seed + (number - 1 if number <= self.seeds else 0)

    def epochs_of(self, number: int) -> int:
        """How many epochs the launches of a round train after they were timed."""
        return self.epochs if number <= self.seeds else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """The inverse of `as_dict`.

        Raises:
            InputError: the values are not a plan.
        """
        try:
            entrants = tuple(Entrant(**entrant) for entrant in values["entrants"])
            return cls(**(values | {"entrants": entrants, "recipe": Recipe(**values["recipe"])}))
        except (KeyError, TypeError) as error:
            raise InputError(f"The plan in environment.json cannot be read ({error}). Start a new run.") from None
