"""When a run ends, and what it compares with: launches are made up."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from harness.analysis.comparison import compare_entrants
from harness.analysis.statistics import precise_enough
from harness.results.counted import succeeded
from harness.runs import launch_rows
from harness.runs.allocation import LEAST_ROUNDS
from harness.runs.plan import LEAST_TURNS, MOST_ROUNDS
from harness.runs.rounds import Rounds


def rounds_of(work: Rounds) -> dict[str, list[int]]:
    """The plan's rounds that each entrant has a good row of, which counts."""
    rows = succeeded(work.folder.read("launches"))
    return {name: sorted(rows[rows["backend"] == name]["plan_round"]) for name in sorted(set(rows["backend"]))}


def paired_rounds(rows: Any) -> dict[int, bool]:
    """Round -> whether all its launches count, or none."""
    return {int(number): of_round["counted"].nunique() == 1 for number, of_round in rows.groupby("round")}


def lines_of(work: Rounds) -> str:
    """What the run said, a line a launch."""
    return work.display.console.file.getvalue()  # type: ignore[attr-defined]


def test_precise_run_has_the_least_rounds(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Launches that hardly differ: five rounds in the plan's order, one line a launch and one a round, a reason."""
    work = run_made_up("numpy", "twin")

    assert rounds_of(work) == {"numpy": [1, 2, 3, 4, 5], "twin": [1, 2, 3, 4, 5]}
    assert made_up.launched == [entrant.label for number in range(1, 6) for entrant in work.plan.order(number)]
    assert work.ending == "5 rounds: every interval is narrower than 2.0% of its ratio."
    assert work.failures == {}
    lines = lines_of(work).splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("after ")] == [
        f"after {number} round(s)" for number in range(1, 6)
    ]
    assert sum("images/s training" in line for line in lines) == 10


def test_rounds_are_added_until_intervals_are_narrow(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Launches that differ: the run ends with the first round after which the interval is narrow enough."""
    made_up.spread = 0.006
    work = run_made_up("numpy", "twin", base="numpy eager")

    rows = work.folder.read("launches")
    last = int(rows["round"].max())
    assert 5 < last < MOST_ROUNDS
    for number in range(5, last + 1):
        found = compare_entrants(rows[rows["round"] <= number], base="numpy eager")
        narrow = precise_enough([each.ratio for each in found if each.ratio], precision=0.02)
        assert narrow == (number == last), number
    assert work.ending.startswith(f"{last} rounds: ")


def test_budget_ends_a_run(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Rounds of 20 s: six of them in 130 s, and none is begun that would end later."""
    made_up.spread = 0.05
    work = run_made_up("numpy", "twin", budget_s=130.0)

    assert rounds_of(work) == {"numpy": [1, 2, 3, 4, 5, 6], "twin": [1, 2, 3, 4, 5, 6]}
    assert made_up.now == 120
    assert work.ending.startswith("The budget of 130 s ended after 6 round(s); the widest interval is ")


@pytest.mark.parametrize("budget_s", [150.0, 171.0, 200.0])
def test_rounds_fill_the_budget(made_up: Any, run_made_up: Callable[..., Rounds], budget_s: float) -> None:
    """Once it is known how turns and launches differ, rounds are as long as fills the time: no last one is lost.

    Rounds of the least turns take 20 s and 8 turns of 1 s each; two of them less than what is left would be waste.
    """
    made_up.spread, made_up.turn_s = 0.02, 0.5
    work = run_made_up("numpy", "twin", budget_s=budget_s, steady_s=0.2)

    assert 0.9 * budget_s < made_up.now <= budget_s
    turns = work.folder.read("launches").groupby("round")["turn_step_us"].first().str.split().str.len()
    assert list(turns[:LEAST_ROUNDS]) == [LEAST_TURNS] * LEAST_ROUNDS
    assert turns.max() > LEAST_TURNS


def test_rounds_that_take_longer_than_planned_lose_none(
    made_up: Any, run_made_up: Callable[..., Rounds], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one has fewer turns then."""
    result = made_up._result

    def slower(*arguments: Any) -> Any:
        made_up.turn_s *= 1.03
        return result(*arguments)

    monkeypatch.setattr(made_up, "_result", slower)
    made_up.spread, made_up.turn_s = 0.005, 0.5
    run_made_up("numpy", "twin", budget_s=200.0, steady_s=0.2)

    assert 0.9 * 200 < made_up.now <= 1.03 * 200


def test_epochs_are_trained_after_all_that_is_timed(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Four rounds of 20 s fit into 95 s, whatever is trained behind them: two seeds, each a round, of all entrants."""
    made_up.spread = 0.05
    work = run_made_up("numpy", "twin", budget_s=95.0, epochs=3, seeds=2)

    assert rounds_of(work)["numpy"] == [-2, -1, 1, 2, 3, 4]
    assert [(job.kind, job.epochs, job.seed, job.turns) for job in made_up.jobs if job.kind == "train"] == [
        ("train", 3, 0, 0), ("train", 3, 0, 0), ("train", 3, 1, 0), ("train", 3, 1, 0),
    ]  # fmt: skip
    assert sorted(set(work.folder.read("epochs")["round"])) == [5, 6]
    summary = work.folder.read("summary")
    assert list(summary["launches"]) == [4, 4]
    assert list(summary["test_accuracy"]) == [0.9, 0.9]
    assert work.ending.startswith("The budget of 95 s ended after 4 round(s)")


@pytest.mark.parametrize("cut", [4, 5, 8])
def test_training_that_is_cut_off_is_done_again(made_up: Any, run_made_up: Callable[..., Rounds], cut: int) -> None:
    """Interrupted in the last round that is timed, before the trainings, and in the middle of one of these: what was
    timed stays, and a training is of all entrants or counts nowhere."""
    made_up.interrupted = cut
    with pytest.raises(KeyboardInterrupt):
        run_made_up("numpy", "twin", rounds=2, most_rounds=2, epochs=1, seeds=2)
    made_up.interrupted, made_up.jobs = 0, []

    work = run_made_up("numpy", "twin", rounds=2, most_rounds=2, epochs=1, seeds=2)

    assert rounds_of(work) == {"numpy": [-2, -1, 1, 2], "twin": [-2, -1, 1, 2]}
    assert len(made_up.launched) == 8 - (cut - 1) // 2 * 2
    assert all(paired_rounds(work.folder.read("launches")).values())
    epochs = work.folder.read_counted("epochs")
    assert sorted(zip(epochs["backend"], epochs["seed"])) == [(n, s) for n in ("numpy", "twin") for s in (0, 1)]
    made_up.jobs = []
    assert run_made_up("numpy", "twin", rounds=2, most_rounds=2, epochs=1, seeds=2).ending == work.ending
    assert made_up.launched == []


def test_entrant_that_failed_while_timed_is_not_trained(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """It has left the run; the others' trainings are whole without it, also for a run that goes on."""
    made_up.failing = {"twin eager": 2}
    run_made_up("numpy", "twin", rounds=3, most_rounds=3, epochs=1)
    made_up.jobs, made_up.failing = [], {"twin eager": 1}

    work = run_made_up("numpy", "twin", rounds=3, most_rounds=3, epochs=1)

    assert rounds_of(work) == {"numpy": [-1, 1, 2, 3], "twin": [1]}
    assert sorted(made_up.launched) == ["numpy eager", "twin eager"]


def test_entrant_that_fails_in_training_was_timed(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Its speeds stay in the table; a run that goes on trains again with all."""
    made_up.failing = {"twin eager": 4}
    work = run_made_up("numpy", "twin", rounds=3, most_rounds=3, epochs=1)
    assert list(work.folder.read("summary")["launches"]) == [3, 3]
    made_up.jobs, made_up.failing = [], {}

    work = run_made_up("numpy", "twin", rounds=3, most_rounds=3, epochs=1)

    assert len(made_up.launched) == 2
    assert rounds_of(work) == {"numpy": [-1, 1, 2, 3], "twin": [-1, 1, 2, 3]}


def test_first_round_is_made_whatever_the_budget(run_made_up: Callable[..., Rounds]) -> None:
    """A budget shorter than a round still has every entrant launched once."""
    assert rounds_of(run_made_up("numpy", "twin", budget_s=1.0)) == {"numpy": [1], "twin": [1]}


def test_exact_rounds_are_neither_more_nor_fewer(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """With their number given, rounds end there, however wide the intervals."""
    made_up.spread = 0.05
    work = run_made_up("numpy", "twin", rounds=3, most_rounds=3, precision=0.0)

    assert rounds_of(work) == {"numpy": [1, 2, 3], "twin": [1, 2, 3]}
    assert work.ending == "All 3 round(s) are done."


def test_one_entrant_has_the_least_rounds(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Alone, an entrant is launched as often as it must be."""
    made_up.spread = 0.05

    assert rounds_of(run_made_up("numpy")) == {"numpy": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("cut", [1, 2, 8])
def test_resumed_run_ends_where_it_would_have(made_up: Any, run_made_up: Callable[..., Rounds], cut: int) -> None:
    """Cut short before its n-th launch, a run goes on with that round and has six in 130 s all the same."""
    made_up.spread = 0.05
    made_up.interrupted = cut
    with pytest.raises(KeyboardInterrupt):
        run_made_up("numpy", "twin", budget_s=130.0)
    made_up.interrupted = 0
    done, made_up.jobs = made_up.launched[:-1], []

    work = run_made_up("numpy", "twin", budget_s=130.0)

    assert rounds_of(work) == {"numpy": [1, 2, 3, 4, 5, 6], "twin": [1, 2, 3, 4, 5, 6]}
    order = [entrant.label for number in range(1, 7) for entrant in work.plan.order(number)]
    whole = len(done) // 2 * 2
    assert done == order[: len(done)]
    assert made_up.launched == order[whole:]
    rows = work.folder.read("launches")
    assert not rows.duplicated(["round", "position"]).any()
    assert list(rows["counted"]) == [True] * whole + [False] * (len(done) - whole) + [True] * (12 - whole)
    assert all(paired_rounds(rows).values())
    assert work.ending.startswith("The budget of 130 s ended after 6 round(s)")


@pytest.mark.parametrize(("spread", "budget_s"), [(0.006, 0.0), (0.05, 130.0)], ids=["precise", "out of budget"])
def test_resume_of_what_has_ended_ends_at_once(
    made_up: Any, run_made_up: Callable[..., Rounds], spread: float, budget_s: float
) -> None:
    """Whatever ended a run ends it again when it is resumed: nothing is launched, and the sentence is the same."""
    made_up.spread = spread
    first = run_made_up("numpy", "twin", budget_s=budget_s)
    made_up.jobs = []

    second = run_made_up("numpy", "twin", budget_s=budget_s)

    assert made_up.launched == []
    assert second.ending == first.ending


def test_resume_does_a_round_with_a_gap_again(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """A launch missing from the middle of a finished run: its round is made again, in its order, and no other."""
    work = run_made_up("numpy", "twin", rounds=6, most_rounds=6)
    rows = work.folder.read("launches")
    lost = rows.iloc[4]
    lines = (work.folder.path / "launches.csv").read_text().splitlines(keepends=True)
    (work.folder.path / "launches.csv").write_text("".join(lines[:5] + lines[6:]))
    made_up.jobs = []

    again = run_made_up("numpy", "twin", rounds=6, most_rounds=6)

    after = work.folder.read("launches")
    assert made_up.launched == [entrant.label for entrant in work.plan.order(int(lost["round"]))]
    assert list(after["round"].iloc[-2:]) == [7, 7]
    assert list(after["plan_round"].iloc[-2:]) == [lost["round"]] * 2
    assert list(after["round"][~after["counted"]]) == [lost["round"]]
    assert rounds_of(again) == {"numpy": [*range(1, 7)], "twin": [*range(1, 7)]}
    assert again.ending == work.ending == "All 6 round(s) are done."


def test_entrant_that_failed_has_its_rounds_when_the_run_goes_on(
    made_up: Any, run_made_up: Callable[..., Rounds]
) -> None:
    """It is tried again; rounds that it missed are made whole, with all, and the old ones count no more."""
    made_up.failing = {"twin eager": 3}
    run_made_up("numpy", "twin", rounds=4, most_rounds=4)
    made_up.jobs, made_up.failing = [], {}

    work = run_made_up("numpy", "twin", rounds=4, most_rounds=4)

    assert rounds_of(work) == {"numpy": [1, 2, 3, 4], "twin": [1, 2, 3, 4]}
    assert len(made_up.launched) == 4
    rows = work.folder.read("launches")
    assert sorted(set(rows["round"][rows["counted"]])) == [1, 2, 5, 6]
    assert all(paired_rounds(rows).values())


def test_clock_that_is_set_back_changes_nothing(
    made_up: Any, run_made_up: Callable[..., Rounds], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All launches at one moment, and a day earlier after the run went on: rows are told apart all the same."""

    def at(day: int) -> Any:
        moment = datetime.datetime(2026, 1, day, tzinfo=datetime.UTC)
        return SimpleNamespace(UTC=datetime.UTC, datetime=SimpleNamespace(now=lambda zone: moment))

    monkeypatch.setattr(launch_rows, "datetime", at(2))
    made_up.interrupted = 6
    with pytest.raises(KeyboardInterrupt):
        run_made_up("numpy", "twin", rounds=4, most_rounds=4)
    made_up.interrupted = 0
    monkeypatch.setattr(launch_rows, "datetime", at(1))

    work = run_made_up("numpy", "twin", rounds=4, most_rounds=4)

    rows = work.folder.read("launches")
    assert rounds_of(work) == {"numpy": [1, 2, 3, 4], "twin": [1, 2, 3, 4]}
    assert list(rows["counted"]) == [True] * 4 + [False] + [True] * 4
    assert list(work.folder.read("summary")["launches"]) == [4, 4]


def test_entrant_that_fails_again_costs_one_round(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """It leaves again, and no row of the others is lost: every round of theirs counts once."""
    made_up.failing = {"twin eager": 2}
    run_made_up("numpy", "twin", "slow_learner", rounds=4, most_rounds=4)
    made_up.jobs, made_up.failing = [], {"twin eager": 1}

    work = run_made_up("numpy", "twin", "slow_learner", rounds=4, most_rounds=4)

    assert rounds_of(work) == {"numpy": [1, 2, 3, 4], "slow_learner": [1, 2, 3, 4], "twin": [1]}
    assert sorted(made_up.launched) == ["numpy eager", "slow_learner eager", "twin eager"]
    assert sorted(work.failures) == ["twin eager"]


def test_entrant_that_fails_leaves_and_others_go_on(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """A failure in the third launch: two good rows are kept, no further launch is made, the others have all rounds."""
    made_up.failing = {"twin eager": 3}
    work = run_made_up("numpy", "twin", "slow_learner", most_rounds=6, rounds=6)

    assert rounds_of(work) == {"numpy": [*range(1, 7)], "slow_learner": [*range(1, 7)], "twin": [1, 2]}
    assert {label: str(error) for label, error in work.failures.items()} == {"twin eager": "twin eager has had enough"}
    assert made_up.launched.count("twin eager") == 3


def test_entrant_that_left_is_not_waited_for(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """The interval of an entrant that failed stays as wide as it was: the others end when theirs are narrow."""
    made_up.failing = {"twin eager": 2}
    work = run_made_up("numpy", "twin", "slow_learner", budget_s=600.0)

    assert rounds_of(work) == {"numpy": [*range(1, 6)], "slow_learner": [*range(1, 6)], "twin": [1]}
    assert work.ending.startswith("5 rounds: every interval is narrower")


def test_last_entrant_is_compared_with_nothing(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Where all others have failed, the one that is left has the least rounds, and not the whole budget."""
    made_up.failing = {"twin eager": 1}
    work = run_made_up("numpy", "twin", budget_s=600.0)

    assert rounds_of(work) == {"numpy": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("number", [1, 3])
def test_base_that_fails_is_not_the_base(made_up: Any, run_made_up: Callable[..., Rounds], number: int) -> None:
    """With the base gone the fastest is compared with, and the run goes on."""
    made_up.failing = {"twin eager": number}
    made_up.speeds = {"numpy eager": 2000.0}
    work = run_made_up("numpy", "twin", "slow_learner", base="twin eager", rounds=6, most_rounds=6)

    assert work.base == ""
    assert rounds_of(work)["numpy"] == rounds_of(work)["slow_learner"] == [*range(1, 7)]
    said = [line for line in lines_of(work).splitlines() if line.startswith("after 6")]
    assert len(said) == 1
    assert "numpy eager 2,0" in said[0]
    assert "slow_learner eager x 0.50" in said[0]


def test_base_that_was_asked_for_is_compared_with(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """The slower entrant as the base: the ratio is over 1, in every line."""
    made_up.speeds = {"numpy eager": 2000.0}
    work = run_made_up("numpy", "twin", base="twin eager")

    assert work.base == "twin eager"
    said = [line for line in lines_of(work).splitlines() if line.startswith("after ")]
    assert len(said) == 5
    assert all("numpy eager x " in line and "twin eager x " not in line for line in said)


def test_run_in_which_all_fail_ends(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """Without an entrant there is no second round."""
    made_up.failing = {"numpy eager": 1, "twin eager": 1}
    work = run_made_up("numpy", "twin")

    assert sorted(work.failures) == ["numpy eager", "twin eager"]
    assert len(made_up.launched) == 2
    assert list(work.folder.read("launches")["status"]) == ["failed", "failed"]
    assert "are done" not in work.ending


def test_jobs_are_as_the_plan_says(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """What is to be timed and trained reaches the worker: sizes, seconds, epochs, target, seed of the round."""
    run_made_up("numpy", rounds=2, most_rounds=2, epochs=4, until=0.95, seed=7, inference_sizes=(1, 8), steady_s=0.3)

    first, second, trained = (job for job in made_up.jobs if job.kind != "peak")
    assert (first.kind, first.inference_sizes, first.steady_s) == ("measure", (1, 8), 0.3)
    assert (first.epochs, first.seed, second.epochs, second.seed) == (0, 7, 0, 7)
    assert (trained.kind, trained.epochs, trained.until, trained.seed) == ("train", 4, 0.95, 7)


def test_untimed_launches_only_train(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """The gate's launches are jobs that train, and no line of theirs has a speed."""
    work = run_made_up("numpy", rounds=1, most_rounds=1, timing=False, epochs=1)

    assert [job.kind for job in made_up.jobs] == ["train"]
    assert "images/s" not in lines_of(work)
    assert list(work.folder.read("epochs")["epoch"]) == [1]
