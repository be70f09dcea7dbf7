"""Mixed precisions count only together with the same mode in full precision.

What honest bfloat16 may be off by is so much that small mistakes pass: a constant of the optimizer, an epsilon, one
image of a batch. The formulas are the same in float32, where they do not.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from itertools import groupby

from harness.proof.outcome import TWIN, Outcome, Subject
from harness.proof.problem import Check
from harness.spec.precision import FULL


def twin_of(subject: Subject) -> Subject | None:
    """The same in full precision; None for what is in full precision itself."""
    full = FULL.get(subject.entrant.dtype)
    return replace(subject, entrant=replace(subject.entrant, dtype=full)) if full else None


def twins_of(subjects: list[Subject]) -> list[Subject]:
    """The twins of those that have one, each once."""
    return list(dict.fromkeys(twin for each in subjects if (twin := twin_of(each)) is not None))


def with_twins(subjects: list[Subject], proven: Collection[Subject] = ()) -> list[Subject]:
    """The subjects, and before those of a problem their twins, but for twins that are proven; none twice."""
    found: list[Subject] = []
    for _, group in groupby(subjects, key=lambda each: each.problem):
        together = list(group)
        for each in (*(twin for twin in twins_of(together) if twin not in proven), *together):
            if each not in found:
                found.append(each)
    return found


def hold_to(outcome: Outcome, twin: Outcome | None) -> Outcome:
    """The outcome, failed where its twin has failed.

    Args:
        twin: None where it was proven before, or where there is none.
    """
    if twin is None or twin.passed:
        return outcome
    sentence = (
        f"In {twin.subject.entrant.dtype} the same mode has not passed, and {outcome.subject.entrant.dtype}, whose "
        f"tolerances are wide, counts only where it has: {twin.sentences[0] if twin.sentences else 'see there.'}"
    )
    checks = [*outcome.checks, Check(TWIN, math.nan, 0.0)]
    return replace(outcome, checks=checks, sentences=[*outcome.sentences, sentence])
