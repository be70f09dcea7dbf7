"""The most likely cause, for launches whose cause is known because they were made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.doctor.causes import likely_cause
from harness.results.schema import LAUNCHES

# Logarithms of speed about their mean, of six launches: the third and the fifth are slow.
SIX = (0.02, 0.01, -0.05, 0.02, -0.04, 0.03)
SLOW = (False, False, True, False, True, False)


def launches(
    *, logs: Sequence[float] = SIX, backends: Sequence[str] = ("torch",), fits: bool = True, **columns: Sequence[Any]
) -> pd.DataFrame:
    """Rows as they come from launches.csv: a round for each of `logs`, of each backend; columns have a value a round.

    Args:
        fits: whether the logs are those of every backend; otherwise each has them in another order.
    """
    rows = []
    for number, backend in enumerate(backends):
        own = logs if fits else np.roll(logs, number * 2 + 1)
        for place, log in enumerate(own):
            row = {"run": "r", "backend": backend, "mode": "eager", "threads": 1, "environment": "controlled"}
            row |= {"round": place + 1, "steady": True, "train_images_per_s": 1000 * (number + 1) * np.exp(log)}
            rows.append(row | {name: values[place] for name, values in columns.items()})
    frame = pd.DataFrame(rows)
    return frame.astype({name: LAUNCHES[name].dtype for name in frame if name in LAUNCHES})


def where_slow(high: float, low: float = 0.0) -> list[float]:
    return [high if slow else low for slow in SLOW]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"other_load": where_slow(0.4, 0.02)},
         "most likely: other processes took 0.4 of a CPU (other_load) in 2 of 6 launches; stop them, or see "
         "lenet-bench doctor."),
        ({"throttled_share": where_slow(0.4)},
         "most likely: the cgroup's CPU quota stopped it in 40% of its periods (throttled_share) in 2 of 6 launches; "),
        ({"other_runs": [int(slow) for slow in SLOW]},
         "most likely: another lenet-bench was at work on this machine (other_runs) beside 2 of 6 launches; "),
        ({"steal_share": where_slow(0.03, 0.001)},
         "most likely: the hypervisor gave 3.0% of our CPUs to others (steal_share) in 2 of 6 launches; "),
        ({"page_faults_per_step": where_slow(650.0, 2.0)},
         "most likely: 650 page faults a step (page_faults_per_step) in 2 of 6 launches, fewer in their twins: "),
        ({"preemptions_per_step": where_slow(1.5, 0.1)},
         "most likely: another task took the CPU 1.5 times a step (preemptions_per_step) in 2 of 6 launches; "),
        ({"steady": [not slow for slow in SLOW]}, "most likely: 2 of 6 launches never became steady (steady): "),
        ({"peak_gflops": where_slow(90.0, 100.0)},
         "most likely: the machine's own peak (peak_gflops) varied by 5.4% between rounds: "),
    ],
    ids=["load", "quota", "other runs", "steal", "faults", "preemptions", "steady", "peak"],
)  # fmt: skip
def test_cause_that_goes_along_with_slow_launches(columns: dict[str, list[Any]], expected: str) -> None:
    """Every counter, high in the slow launches and low in the others, is blamed, with its size and how often."""
    assert likely_cause(launches(**columns), virtual=False).startswith(expected)


@pytest.mark.parametrize(
    "columns",
    [
        {"other_load": where_slow(0.09)},
        {"steal_share": where_slow(0.009)},
        {"page_faults_per_step": where_slow(1009.0, 1000.0)},
        {"preemptions_per_step": where_slow(0.49)},
        {"peak_gflops": where_slow(98.0, 100.0)},
    ],
    ids=["load", "steal", "faults", "preemptions", "peak"],
)
def test_what_stays_below_its_threshold_is_not_blamed(columns: dict[str, list[Any]]) -> None:
    """However well it goes along with the slow launches."""
    assert likely_cause(launches(**columns), virtual=False).startswith("nothing that is visible from inside")


def test_better_fit_wins_over_larger_size() -> None:
    """Both are above their thresholds; steal is high in one slow launch only, load in both."""
    table = launches(other_load=where_slow(0.2), steal_share=[0.0, 0.0, 0.5, 0.0, 0.0, 0.0])

    assert "other_load" in likely_cause(table, virtual=False)


def test_faults_are_compared_within_an_entrant() -> None:
    """One backend takes 1,000 page faults in every launch, another none: that differs between no twins."""
    table = launches(backends=("torch", "jax"), fits=False)
    table["page_faults_per_step"] = np.where(table["backend"] == "jax", 1000.0, 0.0)

    assert likely_cause(table, virtual=False).startswith("nothing that is visible from inside")


def test_counters_are_correlated_within_an_entrant() -> None:
    """A load that is always high beside the faster backend still explains which launches of each are slow."""
    table = launches(backends=("torch", "jax"), other_load=where_slow(0.4, 0.02))
    table["other_load"] += np.where(table["backend"] == "jax", 5.0, 0.0)

    assert likely_cause(table, virtual=False).startswith("most likely: other processes")


def test_cause_that_is_there_but_does_not_fit_is_a_perhaps() -> None:
    """Load in launches of both kinds: named, and the doubt with it."""
    cause = likely_cause(launches(other_load=[0.5, 0.02, 0.5, 0.02, 0.02, 0.02]), virtual=False)

    assert cause.startswith("perhaps: other processes took 0.5 of a CPU (other_load) in 2 of 6 launches; ")
    assert cause.endswith("not clearly the slow ones.")


def test_cause_that_is_there_all_the_time_is_a_perhaps() -> None:
    """A load that never varies has no correlation, and is worth a mention."""
    assert likely_cause(launches(other_load=[0.9] * 6), virtual=False).startswith("perhaps: other processes took 0.9")


def test_cause_that_goes_the_wrong_way_is_not_blamed() -> None:
    """Load in the fast launches alone cannot be what made the others slow."""
    table = launches(other_load=[0.0 if slow else 0.5 for slow in SLOW])

    assert likely_cause(table, virtual=False).startswith("nothing that is visible from inside")


def test_entrants_that_move_together() -> None:
    """Three backends slow in the same rounds, and nothing to be seen: the machine changed."""
    cause = likely_cause(launches(backends=("torch", "jax", "numpy")), virtual=False)

    assert cause.startswith(
        "most likely: the machine itself changed speed between rounds (all entrants moved together, 1"
    )
    assert "neighbours on a shared host, or clock frequency" in cause


def test_visible_cause_wins_over_moving_together() -> None:
    """What made all entrants slow in those rounds is known: load."""
    table = launches(backends=("torch", "jax", "numpy"), other_load=where_slow(0.4, 0.02))

    assert likely_cause(table, virtual=False).startswith("most likely: other processes")


@pytest.mark.parametrize("backends", [("torch",), ("torch", "jax", "numpy")])
def test_entrants_that_do_not_move_together(backends: tuple[str, ...]) -> None:
    """Slow in different rounds, or one backend alone, which always moves with itself."""
    cause = likely_cause(launches(backends=backends, fits=False), virtual=False)

    assert cause == (
        "nothing that is visible from inside explains it. Launches of one entrant differ by 3.5% (standard "
        "deviation): add rounds (--budget), or mend the machine (lenet-bench doctor)."
    )


def test_chance_is_not_taken_for_moving_together() -> None:
    """Two entrants, four rounds, independent: their mean takes half the variance by itself, rarely blamed."""
    random = np.random.default_rng(0)
    blamed = 0
    for _ in range(100):
        table = launches(logs=[0.0] * 4, backends=("torch", "jax"))
        table["train_images_per_s"] *= np.exp(random.normal(0, 0.02, len(table)))
        blamed += "moved together" in likely_cause(table, virtual=False)

    assert blamed <= 15


def test_little_in_common_is_not_the_cause() -> None:
    """Over 60 rounds it is certain that entrants move together, but what is common is a quarter of the variance."""
    random = np.random.default_rng(1)
    common = random.normal(0, 0.01, 60)
    table = launches(logs=common, backends=("torch", "jax", "numpy"))
    table["train_images_per_s"] *= np.exp(random.normal(0, 0.0173, len(table)))

    assert likely_cause(table, virtual=False).startswith("nothing that is visible")


def test_levels_of_two_runs_are_not_compared() -> None:
    """The same backend at twice the speed in another run: load explains the slow launches of both."""
    first = launches(other_load=where_slow(0.4, 0.02))
    second = first.assign(run="s", train_images_per_s=first["train_images_per_s"] * 2)

    cause = likely_cause(pd.concat([first, second]), virtual=False)

    assert cause.startswith("most likely: other processes took 0.4 of a CPU (other_load) in 4 of 12 launches")


def test_rounds_of_two_runs_are_not_one() -> None:
    """Round 3 of one run and round 3 of another share nothing; each run has its own level of speed."""
    first, second = (
        launches(backends=("torch", "jax")),
        launches(backends=("torch", "jax"), logs=[3 - log for log in SIX]),
    )
    second["run"] = "s"

    assert "moved together" in likely_cause(pd.concat([first, second]), virtual=False)


def test_settings_that_make_launches_differ() -> None:
    """Nothing controlled, and several threads on a virtual machine; on a machine of one's own they are no cause."""
    native = launches().assign(environment="native")
    two = launches().assign(threads=2)

    assert "--environment native" in likely_cause(native, virtual=False)
    assert likely_cause(two, virtual=True).startswith("most likely: several threads on a virtual machine")
    assert likely_cause(two, virtual=False).startswith("nothing that is visible")
    assert likely_cause(launches(), virtual=True).startswith("nothing that is visible")


def test_visible_cause_wins_over_settings_and_settings_over_a_misfit() -> None:
    """What fits the slow launches comes first, what is merely there last."""
    fits = launches(other_load=where_slow(0.4)).assign(environment="native")
    misfits = launches(other_load=[0.5] * 6).assign(environment="native")

    assert "other_load" in likely_cause(fits, virtual=False)
    assert "--environment native" in likely_cause(misfits, virtual=False)


def test_this_machine_is_asked_where_it_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `virtual`, the flag of this machine's processor counts."""
    monkeypatch.setattr("harness.worker.host.hypervisor", lambda: True)
    assert "virtual machine" in likely_cause(launches().assign(threads=2))
    monkeypatch.setattr("harness.worker.host.hypervisor", lambda: None)
    assert "virtual machine" not in likely_cause(launches().assign(threads=2))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_rounds_are_said_to_be_just_that(count: int) -> None:
    """Under four rounds every verdict is `cannot tell`, whatever the counters say."""
    table = launches(other_load=where_slow(0.4)).head(count)

    assert likely_cause(table) == (
        f"fewer than 4 rounds tell nothing (an entrant has {count}); give --rounds, or --budget."
    )


def test_failed_launches_do_not_count() -> None:
    """A row without a speed is no launch: it is in no count and blamed for nothing."""
    table = launches(other_load=where_slow(0.4, 0.02))
    failed = table.tail(1).assign(train_images_per_s=pd.NA, other_load=9.0)

    assert "in 2 of 6 launches" in likely_cause(pd.concat([table, failed]), virtual=False)


def test_empty_cells_and_missing_columns_are_no_cause() -> None:
    """Counters that a machine does not tell; speed and backend alone are enough to be told that nothing is seen."""
    counters = ("steal_share", "other_load", "page_faults_per_step", "preemptions_per_step", "peak_gflops", "steady")
    empty = launches().assign(**{name: pd.array([pd.NA] * 6, LAUNCHES[name].dtype) for name in counters})

    assert likely_cause(empty, virtual=False).startswith("nothing that is visible")
    bare = launches()[["backend", "train_images_per_s"]]
    assert likely_cause(bare, virtual=True).startswith("nothing that is visible")


def test_some_empty_cells_do_not_hide_a_cause() -> None:
    """A counter that is missing in one launch still fits the others."""
    loads = where_slow(0.4, 0.02)
    table = launches(other_load=[*loads[:-1], pd.NA])

    assert likely_cause(table, virtual=False).startswith("most likely: other processes took 0.4")


def test_equal_speeds_are_no_division_by_zero() -> None:
    """Launches without any difference."""
    table = launches(logs=[0.0] * 5, backends=("torch", "jax"), other_load=[0.5, 0, 0, 0, 0])

    assert likely_cause(table, virtual=False).startswith("perhaps: other processes")
