"""Outcomes as tables: what passed, what failed and where, and what could not even be launched."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from harness.proof.outcome_table import GROUPS, show_details, show_outcomes
from harness.proof.problem import Check
from harness.proof.proving import CODE, LAUNCH, Outcome, Subject
from harness.spec.recipes import LENET5


@pytest.fixture
def outcome(make_entrant: Callable[..., Any]) -> Callable[..., Outcome]:
    """Return a function that makes the outcome of some checks and sentences."""
    return lambda *checks, said=(): Outcome(
        Subject(make_entrant("numpy"), LENET5), 0, list(checks), list(said), "1", "", {}
    )


def printed(show: Callable[..., None], *arguments: Any) -> str:
    out = io.StringIO()
    show(Console(file=out, width=80, highlight=False), *arguments)
    return out.getvalue()


def test_launch_that_failed_has_no_figures(outcome: Callable[..., Outcome]) -> None:
    """A dash in every column, not a share of 0.00, and why it failed."""
    text = printed(show_outcomes, [outcome(Check(LAUNCH, math.nan, 0.0), said=["It did not start."])])

    (line,) = (line for line in text.splitlines() if line.startswith("numpy  "))
    assert line.split() == ["numpy", "eager", *["-"] * len(GROUPS)]
    assert "numpy eager: It did not start." in text
    assert "numpy eager: 1 of 1 failed." in text
    assert "passed" not in text


def test_code_that_changed_has_its_figures_and_fails(outcome: Callable[..., Outcome]) -> None:
    """What was measured is shown, and that it is not known of what."""
    text = printed(show_outcomes, [outcome(Check("logits", 0.5, 1.0), Check(CODE, math.nan, 0.0), said=["Changed."])])

    assert "0.50" in text
    assert "numpy eager: 1 of 2 failed." in text


def test_details_have_every_quantity(outcome: Callable[..., Outcome]) -> None:
    """Error, tolerance and a word for each."""
    text = printed(show_details, outcome(Check("logits", 0.5, 1.0), Check("loss", 2.0, 1.0)))

    rows = [line.split() for line in text.splitlines()]
    assert ["logits", "5.0e-01", "1.0e+00", "pass"] in rows
    assert ["loss", "2.0e+00", "1.0e+00", "FAIL"] in rows
