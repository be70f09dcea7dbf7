"""How long each preset goes on, and what is given beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from harness.analysis.statistics import LEAST_ROUNDS
from harness.errors import InputError
from harness.runs.plan import MOST_ROUNDS, PRESETS, Plan, default_plan, pace_fields
from harness.worker.job import INFERENCE_SIZES, Entrant


def test_presets_get_longer() -> None:
    """Each preset is at least as strict as the one before in all respects, and has rounds enough for a verdict."""
    presets = [PRESETS[name] for name in ("quick", "standard", "thorough")]

    assert len(PRESETS) == 3
    assert all(preset.rounds >= LEAST_ROUNDS for preset in presets)
    for shorter, longer in pairwise(presets):
        assert shorter.rounds < longer.rounds
        assert shorter.precision > longer.precision > 0
        assert 0 < shorter.budget_s < longer.budget_s
        assert 0 < shorter.steady_s <= longer.steady_s
        assert shorter.epochs <= longer.epochs


def fields(preset: str = "standard", **given: Any) -> dict[str, Any]:
    """The fields of a plan, from these options and no others."""
    options = dict.fromkeys(
        ("precision", "rounds", "epochs", "seeds", "until", "budget_s", "steady_s", "inference_sizes")
    )
    return pace_fields(PRESETS[preset], **(options | given))


@pytest.mark.parametrize("preset", PRESETS)
def test_fields_are_the_presets(preset: str, make_entrant: Callable[..., Entrant]) -> None:
    """Where nothing else is given, the preset decides, and the plan takes what it says."""
    wanted = PRESETS[preset]
    plan = default_plan([make_entrant()], data_set="", data_dir=None, seed=0, **fields(preset))

    assert (plan.rounds, plan.precision, plan.budget_s) == (wanted.rounds, wanted.precision, wanted.budget_s)
    assert (plan.steady_s, plan.epochs, plan.seeds) == (wanted.steady_s, wanted.epochs, 1)
    assert (plan.most_rounds, plan.until, plan.inference_sizes) == (MOST_ROUNDS, 0.0, INFERENCE_SIZES)


def test_what_is_given_wins() -> None:
    """Every option that is given replaces the preset's value; none of epochs and no sizes are values too."""
    found = fields(precision=0.5, budget_s=50.0, steady_s=0.25, epochs=0, inference_sizes=())

    assert found == {
        "rounds": 5, "precision": 0.005, "budget_s": 50.0, "steady_s": 0.25, "epochs": 0, "seeds": 1,
        "inference_sizes": (),
    }  # fmt: skip


def test_exact_rounds_are_exact() -> None:
    """--rounds sets aside precision and budget, the preset's and those that are given."""
    found = fields(rounds=3, precision=0.5, budget_s=50.0)

    assert (found["rounds"], found["most_rounds"]) == (3, 3)
    assert (found["precision"], found["budget_s"]) == (0.0, 0.0)


@pytest.mark.parametrize("seeds", [2, 5, 8])
def test_seeds_add_no_rounds(seeds: int) -> None:
    """Every seed trains in a round of its own, once all that are timed are over."""
    assert (fields(seeds=seeds)["seeds"], fields(seeds=seeds)["rounds"]) == (seeds, 5)
    assert (fields(seeds=seeds, rounds=2)["seeds"], fields(seeds=seeds, rounds=2)["rounds"]) == (seeds, 2)
    assert fields(rounds=2, until=98.5)["seeds"] == 5


def test_target_has_seeds_and_epochs_of_its_own() -> None:
    """With a target five seeds train, up to ten epochs each, unless it is said otherwise."""
    assert (fields(until=98.5)["seeds"], fields(until=98.5)["epochs"]) == (5, 10)
    assert fields("quick", until=98.5)["rounds"] == 4
    assert fields(until=98.5, seeds=2, epochs=3) == fields(seeds=2, epochs=3)


def test_target_without_epochs_is_refused() -> None:
    """A target that nothing trains for is a sentence with both options."""
    with pytest.raises(InputError, match=r"--until needs epochs to train, got --epochs 0\."):
        fields(until=98.5, epochs=0)


def test_pace_of_a_plan_comes_back_from_json(make_plan: Callable[..., Plan]) -> None:
    """All that decides when a run ends survives environment.json, for --resume."""
    plan = make_plan(
        "numpy", "twin", rounds=6, most_rounds=77, precision=0.015, budget_s=123.5, base="twin eager", until=0.985,
        inference_sizes=(), timing=True,
    )  # fmt: skip

    again = Plan.from_dict(json.loads(json.dumps(plan.as_dict())))

    assert again == plan
    assert isinstance(again.inference_sizes, tuple)
    assert (again.rounds, again.most_rounds, again.precision, again.budget_s) == (6, 77, 0.015, 123.5)
    assert (again.base, again.until) == ("twin eager", 0.985)
