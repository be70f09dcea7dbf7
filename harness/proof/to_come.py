"""What is still to come in a verification, as pieces that the display can guess the time of."""

from __future__ import annotations

from collections.abc import Sequence

from harness.proof.outcome import Subject
from harness.runs.outlook import Piece
from harness.worker import catalogue


def posing(subject: Subject) -> Piece:
    """The problem of a subject: which images, the reference's answer, what rounding allows."""
    return Piece("posing", " ".join(subject.problem))


def first_step(subject: Subject) -> Piece:
    """Trying whether it can take a step."""
    return Piece("first step", _name(subject))


def trials(subject: Subject) -> Piece:
    """The reference's own short trainings."""
    size, steps = subject.entrant.batch_size, catalogue.steps_of(subject.entrant)
    return Piece("trials", f"{posing(subject).name}, {steps} of {size}")


def verification(subject: Subject) -> Piece:
    """Launching it on the problem, and comparing."""
    return Piece("verifying", _name(subject))


def of(subjects: Sequence[Subject], *, is_posed: bool) -> list[Piece]:
    """All pieces of subjects that have a problem in common.

    Args:
        is_posed: whether that was posed before, and kept.
    """
    first = [] if is_posed else [*map(first_step, subjects), posing(subjects[0])]
    return [*first, *dict.fromkeys(map(trials, subjects)), *map(verification, subjects)]


def all_of(groups: Sequence[Sequence[Subject]]) -> list[Piece]:
    """All pieces of several problems, none of which has been posed."""
    return [piece for group in groups for piece in of(group, is_posed=False)]


def _name(subject: Subject) -> str:
    entrant = subject.entrant
    return f"{entrant.label}, {entrant.network} {subject.recipe.name} {entrant.dtype}"
