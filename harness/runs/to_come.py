"""What is still to come in a run, as pieces that the display can guess the time of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd

from harness.runs.outlook import Piece
from harness.runs.plan import Plan
from harness.worker.job import Entrant


def timed_round(plan: Plan, entrants: Sequence[Entrant]) -> Piece:
    """A round of the plan that is timed, of these entrants."""
    facts = [sorted(each.label for each in entrants), plan.turns, plan.inference_sizes, plan.verified]
    facts += [plan.entrants[0].network, plan.data_set, plan.entrants[0].batch_size]
    return Piece("round", hashlib.sha256(repr(facts).encode()).hexdigest()[:16])


def training(plan: Plan, entrant: Entrant, epochs: int, timed: pd.DataFrame | None = None) -> Piece:
    """The launch of an entrant that trains epochs.

    Args:
        timed: launches of the run that were timed, from which its time follows; rows of launches.csv with `label`.
    """
    name = f"{entrant.label}, {entrant.network} on {plan.data_set or 'the default'}, {epochs} epoch(s)"
    return Piece("training", name, None if timed is None else _training_s(plan, entrant, epochs, timed))


def _training_s(plan: Plan, entrant: Entrant, epochs: int, timed: pd.DataFrame) -> float | None:
    """Seconds to start and to train, by launches that were timed; None where these do not tell."""
    mine = timed[["start_up_s", "first_epoch_s"]][(timed["label"] == entrant.label).to_numpy(bool)]
    mine = mine.dropna().astype(float)
    if plan.recipe.epoch_steps or not len(mine):
        return None
    start_up, first = mine.median()
    return float(start_up + epochs * (first - start_up))


def pieces(plan: Plan, entrants: Sequence[Entrant], timed: pd.DataFrame, *, rounds: int, trainings: int) -> list[Piece]:
    """So many rounds and trainings of these entrants.

    Args:
        rounds: of the plan; where it times nothing, these train.
        trainings: beside them.
    """
    epochs = [training(plan, each, plan.epochs, timed) for each in entrants]
    of_round = [timed_round(plan, entrants)] if plan.timing else epochs
    return of_round * rounds + epochs * trainings
