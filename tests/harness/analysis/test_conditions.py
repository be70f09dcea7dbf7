"""What is said below speeds of launches that did not have their CPUs to themselves."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from harness.analysis.conditions import conditions, spoiling
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
        {"other_load": 0.2, "steal_share": 0.05, "machine": "AMD, 2 CPUs, 4 GiB"},
        {"other_load": 6.0, "machine": "AMD, 64 CPUs, 4 GiB"},
        {"turns": 27, "disturbed_turns": "none", "other_load": 0.3, "machine": "AMD, 2 CPUs, 4 GiB"},
    ],
    ids=[
        "older rows",
        "alone",
        "quota that is wide enough",
        "a period in a hundred",
        "any number of threads",
        "an idle system",
        "a tenth of a large one",
        "turns that were all watched",
    ],
)
def test_nothing_is_said_of_launches_that_had_their_cpus(row: dict[str, Any]) -> None:
    """Also where an older lenet-bench did not look."""
    assert conditions(launches(row, row)) == []


def test_inference_of_some_launches_is_said() -> None:
    """Not where all have it, and not where none was to."""
    timed = {"latency_ms_p50": 1.0}

    assert conditions(launches(timed, timed)) == []
    assert conditions(launches(timed, timed, {})) == [
        "Inference, latency and the peak are of 2 of 3 launches: once they were known, rounds timed training alone."
    ]


def test_starts_of_some_launches_are_said() -> None:
    """Not where all have one, not where nobody asked, and not of rows from before there was one."""
    turns = {"turn_step_us": "5000.0 5100.0"}
    alone = turns | {"start_up_s": 1.5}

    assert conditions(launches(alone, alone)) == []
    assert conditions(launches(turns, turns)) == []
    assert conditions(launches(alone, {})) == []
    assert conditions(launches(alone, alone, turns)) == [
        "Start-up is of 2 of 3 launches: once it was known, launches started beside each other."
    ]


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


def test_a_busy_machine_with_its_size() -> None:
    """Every turn that was watched was disturbed; what others used, and what that cost."""
    row = {
        "machine": "AMD EPYC, 2 CPUs, 24 GiB", "other_load": 1.52, "cpu_wait_share": 0.48, "steal_share": 0.0,
        "turns": 40, "disturbed_turns": " ".join(map(str, range(1, 39))),
    }  # fmt: skip
    quiet = {"turns": 27, "disturbed_turns": "none", "other_load": 0.02}

    assert spoiling(launches(row, row, quiet)) == [
        "BUSY MACHINE: other programs used 1.5 of 2 CPUs while 2 of 3 launches were timed: do not compare them "
        "(see lenet-bench doctor). Medians: a CPU was waited for 48% of the time, 38 of 40 turns were disturbed."
    ]


def test_a_busy_machine_of_older_rows() -> None:
    """Their column other_load has said it all along, for whoever looked; and a hypervisor that took CPUs away."""
    (busy,) = conditions(launches({"machine": "AMD EPYC, 2 CPUs, 24 GiB", "other_load": 1.15}, {}))
    (stolen,) = conditions(launches({"other_load": 0.1, "steal_share": 0.2}))

    assert busy.startswith("BUSY MACHINE: other programs used 1.1 of 2 CPUs while 1 of 2 launches")
    assert "used 0.1 CPUs" in stolen
    assert "the hypervisor gave 20% of it to others" in stolen


def test_disturbed_turns_that_were_taken_again() -> None:
    """Said, but nothing that the speeds are spoilt by: a third of the turns at the most."""
    found = conditions(launches({"turns": 30, "disturbed_turns": "3 7 8"}, {"turns": 27, "disturbed_turns": "none"}))

    assert found == [
        "DISTURBED TURNS: other programs had the CPUs in 3 of 30 turns of 1 of 2 launches (medians). These turns are "
        "left out, and others were taken in their place."
    ]
    assert spoiling(launches({"turns": 30, "disturbed_turns": "3 7 8"})) == []
    assert len(spoiling(launches({"turns": 40, "disturbed_turns": " ".join(map(str, range(1, 15)))}))) == 1


def test_launches_on_other_cpus() -> None:
    """Within one machine, threads and control; two machines are another matter, which joining tells."""
    on = {"environment": "controlled", "machine_sha256": "a"}
    alike = [
        on | {"cpus_found": "1"},
        on | {"cpus_found": "0 1", "threads": 2},
        on | {"cpus_found": "0", "machine_sha256": "b"},
    ]

    assert conditions(launches(*alike, {"environment": "native", "cpus_found": "0"})) == []
    (said,) = conditions(launches(*alike, on | {"cpus_found": "0"}))
    assert "some launches ran on CPU 0 and on CPU 1" in said
