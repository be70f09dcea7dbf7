"""What is said below speeds of launches that did not have their CPUs to themselves."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from harness.analysis.conditions import conditions
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES


def launches(*rows: dict[str, Any]) -> pd.DataFrame:
    return frame_of([{"threads": 1} | row for row in rows], LAUNCHES)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"other_runs": 0},
        {"cpu_quota": 2.0, "throttled_share": 0.0, "other_runs": 0},
        {"cpu_quota": 2.0, "throttled_share": 0.01},
        {"cpu_quota": 0.5, "throttled_share": 0.0, "threads": None, "environment": "native"},
    ],
    ids=["older rows", "alone", "quota that is wide enough", "a period in a hundred", "any number of threads"],
)
def test_nothing_is_said_of_launches_that_had_their_cpus(row: dict[str, Any]) -> None:
    """Also where an older lenet-bench did not look."""
    assert conditions(launches(row, row)) == []


def test_a_quota_that_stopped_launches() -> None:
    """328 of 329 periods, as a quarter of a CPU did once and nothing said so."""
    held = {"cpu_quota": 0.25, "throttled_share": 328 / 329}

    assert conditions(launches(held, held, {"cpu_quota": 0.25, "throttled_share": 0.99})) == [
        "CPU QUOTA: the cgroup of 3 of 3 launches allows 0.25 CPUs; throttled in 100% of its periods (median). Their "
        "speeds are the quota's, not the machine's."
    ]


def test_a_quota_that_is_less_than_the_threads() -> None:
    """Said also where the periods are not known; with every size that there was."""
    found = conditions(launches({"cpu_quota": 1.5, "threads": 2}, {"cpu_quota": 0.5}, {}))

    assert found == [
        "CPU QUOTA: the cgroup of 2 of 3 launches allows 0.5 or 1.5 CPUs. Their speeds are the quota's, not the "
        "machine's."
    ]


def test_other_runs_beside_launches() -> None:
    """How many launches were not alone."""
    (found,) = conditions(launches({"other_runs": 0}, {"other_runs": 2}, {"other_runs": 1}, {}))

    assert found.startswith("NOT ALONE: another lenet-bench was at work on this machine beside 2 of 4 launches.")
