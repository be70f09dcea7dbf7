"""bfloat16 counts only where the same mode has passed in float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Regression
from harness.proof import proving, register
from harness.proof.outcome import TWIN, Outcome, Subject
from harness.proof.problem import Check
from harness.proof.twins import hold_to, twin_of, with_twins
from harness.runs import code, interpreters
from harness.spec.recipes import LENET5
from harness.worker import catalogue


@pytest.fixture
def subject(make_entrant: Any) -> Any:
    """Return a function that makes a subject; keywords are its entrant's."""
    return lambda backend="numpy", dtype="bfloat16", **fields: Subject(
        make_entrant(backend, dtype=dtype, **fields), LENET5
    )


def outcome_of(subject: Subject, *, error: float = 0.5) -> Outcome:
    now = code.digests(subject.entrant.backend)
    return Outcome(subject, 0, [Check("logits", error, 1.0)], ["First difference: logits."], "1.2", "aa", now)


def test_twin_is_the_same_in_float32(subject: Any) -> None:
    """Everything else is as it was; float32 and float64 have none."""
    assert twin_of(subject(mode="graph", threads=2)) == subject(dtype="float32", mode="graph", threads=2)
    assert twin_of(subject(dtype="float32")) is None
    assert twin_of(subject(dtype="float64")) is None


def test_twins_come_first_and_once(subject: Any) -> None:
    """Before the subjects of their problem; not those that are proven; none twice."""
    one, other = subject(mode="eager"), subject(mode="graph")
    first, second = (subject(dtype="float32", mode=mode) for mode in ("eager", "graph"))

    assert with_twins([one, other]) == [first, second, one, other]
    assert with_twins([one, other], proven={first}) == [second, one, other]
    assert with_twins([one, other, second]) == [first, second, one, other]
    assert with_twins([first]) == [first]


def test_outcome_fails_with_its_twin(subject: Any) -> None:
    """What would have passed fails, and says what of its twin did; what stands alone stays as it is."""
    mixed = outcome_of(subject())

    held = hold_to(mixed, outcome_of(subject(dtype="float32"), error=2.0))

    assert mixed.passed
    assert not held.passed
    assert [check.quantity for check in held.checks if not check.passed] == [TWIN]
    assert "In float32 the same mode has not passed" in held.sentences[-1]
    assert "First difference: logits." in held.sentences[-1]
    assert hold_to(mixed, outcome_of(subject(dtype="float32"))) is mixed
    assert hold_to(mixed, None) is mixed


def test_run_verifies_the_twin_first(
    small: None, make_plan: Any, make_entrant: Any, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have a certificate then; where only bfloat16 has none, float32 is not verified again."""
    plan = make_plan(make_entrant("numpy", dtype="bfloat16", batch_size=8))

    outcomes = register.verify_missing(plan, pythons={})

    assert [each.subject.entrant.dtype for each in outcomes] == ["float32", "bfloat16"]
    assert all(each.passed for each in outcomes)
    assert register.verify_missing(plan, pythons={}) == []
    register.path_of(_key(outcomes[1])).unlink()
    asked: list[Subject] = []
    monkeypatch.setattr(proving, "verify", lambda subjects, **_: asked.extend(subjects) or ())
    register.verify_missing(plan, pythons={})
    assert [each.entrant.dtype for each in asked] == ["bfloat16"]


def test_only_what_has_a_certificate_is_proven(own_cache: Path, subject: Any) -> None:
    """Of two twins neither is proven without a certificate, and only that is proven which has one."""
    subjects = [subject(threads=1), subject(threads=2)]

    assert register.proven_twins(subjects, pythons={}) == set()
    found = interpreters.find("numpy")
    passed = outcome_of(subject(dtype="float32"))
    register.keep(replace(passed, version=found.version, packages_sha256=interpreters.packages_digest(found.path)))
    assert register.proven_twins(subjects, pythons={}) == {passed.subject}


def _key(outcome: Outcome) -> Any:
    return register.key_of(
        outcome.subject, version=outcome.version, packages_sha256=outcome.packages_sha256, code=outcome.code
    )


def test_a_mistake_that_bfloat16_hides_is_refused(
    small: None, make_plan: Any, make_entrant: Any, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gradient that is off by a thousandth passes in bfloat16 by itself, and is not timed."""
    facts = catalogue.facts("defective")
    monkeypatch.setattr(facts, "DTYPES", (*facts.DTYPES, "bfloat16"))
    entrant = make_entrant("defective", mode="gradient-off", dtype="bfloat16", batch_size=8)

    with pytest.raises(Regression, match=r"defective gradient-off: First difference: gradient of .* In float32 the"):
        register.require(make_plan(entrant), pythons={})

    assert list(own_cache.glob("certificates/*")) == []
    alone = proving.verify(
        [Subject(entrant, LENET5)], data_set="", data_dir=None, seed=0, pythons={}, timeout_s=100,
        proven={Subject(make_entrant("defective", mode="gradient-off", batch_size=8), LENET5)},
    )  # fmt: skip
    assert next(alone).passed
