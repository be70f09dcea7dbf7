"""From the options of `run`, or the file of a sweep, to a plan."""

from __future__ import annotations

from typing import Any

from harness.errors import unknown
from harness.runs.plan import PRESETS, Plan, default_plan, pace_fields
from harness.spec.recipe import Recipe
from harness.worker.job import Entrant


def plan_from(
    entrants: list[Entrant],
    recipe: Recipe,
    *,
    preset: str,
    data_set: str,
    data_dir: str | None,
    until: float | None,
    launch_timeout: float,
    unverified: bool,
    audit_batches: bool,
    seed: int,
    base: str,
    **pace: Any,
) -> Plan:
    """A plan of these entrants, by options as they were read.

    Args:
        until: in percent; None for no target.
        pace: as `pace_fields`, each None for the preset's.

    Raises:
        InputError: no such preset, or as `default_plan` and `pace_fields`.
    """
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    # Who says where the data set is wants that one, and no drawn digits in its place.
    named = recipe.data_set if data_dir else ""
    return default_plan(
        entrants, recipe=recipe, data_set=data_set or named, data_dir=data_dir, seed=seed, base=base,
        launch_timeout_s=launch_timeout, until=until / 100 if until else 0.0, verified=not unverified,
        audit_batches=audit_batches, **pace_fields(PRESETS[preset], until=until, **pace),
    )  # fmt: skip
