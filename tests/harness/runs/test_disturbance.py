"""Turns in which something else had the CPUs: seen, taken again, and left out of figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.results.folder import RunFolder
from harness.runs import clean_figures
from harness.runs.cpu_time import CpuTime, cpu_time
from harness.runs.disturbance import TICKS, Look, Seen, Watch, look
from harness.worker.host import CpuTimes
from tests.faults.small import TURNS
from tests.harness.busy import on_one_cpu, spinner

TICKS_S = TICKS / os.sysconf("SC_CLK_TCK")
BEFORE = Look(
    clock=100.0, worker=CpuTime(10.0, 0.0, 2.0), ours=CpuTimes(50.0, 1.0, 100.0), all=CpuTimes(90.0, 2.0, 200.0),
    siblings=CpuTimes(20.0, 0.0, 100.0),
)  # fmt: skip


def shares(
    seconds: float = 1.0, *, waited: float = 0.01, stolen: float = 0.0, others: float = 0.05, siblings: float = 0.0
) -> Seen:
    """What a turn of so many seconds had of the CPUs, by shares of these."""
    return Seen(
        seconds=seconds, queued=waited * seconds, beside=seconds + TICKS_S, gone=stolen * seconds,
        had=seconds, by_others=others * seconds, by_siblings=siblings * seconds,
    )  # fmt: skip


QUIET = shares()


def later(*, ran: float, waited: float, ours: float, all_: float, steal: float = 0.0, beside: float = 0.0) -> Look:
    """Two seconds after BEFORE: seconds that were run and waited, and for which CPUs were busy."""
    return Look(
        clock=102.0, worker=CpuTime(10.0 + ran + waited, 0.0, 2.0 + waited),
        ours=CpuTimes(50.0 + ours, 1.0 + steal, 102.0), all=CpuTimes(90.0 + all_, 2.0 + steal, 204.0),
        siblings=CpuTimes(20.0 + beside, 0.0, 102.0),
    )  # fmt: skip


def test_what_others_had_is_reckoned_by_hand() -> None:
    """Of two seconds the worker ran 1.2 and waited 0.8, another program having its CPU; the other CPU was half busy."""
    seen = BEFORE.until(later(ran=1.2, waited=0.8, ours=2.0, all_=3.0, steal=0.02, beside=0.5))

    assert seen is not None
    assert seen.waited == pytest.approx(0.4 - TICKS_S / 2)
    assert seen.others == pytest.approx(0.9)
    assert seen.stolen == pytest.approx(0.01)
    assert seen.siblings == pytest.approx(0.25)


def test_threads_that_wait_for_each_other_are_no_disturbance() -> None:
    """Two threads of a framework want its one CPU: nobody else ran on it, so nobody took it from them."""
    seen = BEFORE.until(later(ran=2.0, waited=1.0, ours=2.0, all_=2.0))

    assert seen is not None
    assert seen.waited == pytest.approx(0)
    assert not seen.is_disturbed(2)


def test_what_the_system_does_not_say_is_not_known() -> None:
    """No schedstat, or no /proc/stat: nothing is seen, and nothing guessed."""
    after = later(ran=1.0, waited=0.0, ours=1.0, all_=1.0)

    assert BEFORE.until(replace(after, worker=CpuTime(None, 0.0))) is None
    assert replace(BEFORE, ours=None).until(after) is None
    assert BEFORE.until(replace(after, all=None)) is None


@pytest.mark.parametrize(
    ("change", "cpus", "disturbed"),
    [
        ({}, 2, False), ({"waited": 0.06}, 2, True), ({"stolen": 0.06}, 64, True), ({"others": 0.3}, 2, True),
        ({"others": 0.3}, 64, False), ({"others": 7.0}, 64, True), ({"others": 0.3, "siblings": 0.3}, 64, True),
    ],
    ids=str,
)  # fmt: skip
def test_the_rule(change: dict[str, float], cpus: int, disturbed: bool) -> None:
    """5 % of the time waited or stolen; others: a quarter of a CPU, a tenth of a large machine, a core's other half."""
    assert shares(**change).is_disturbed(cpus) is disturbed


def test_a_turn_is_taken_again_for_all_where_one_was_disturbed() -> None:
    """Ten turns, the second and the fifth disturbed for one of two launches: two more."""
    watch = Watch(10, cpus=2)
    bad = shares(waited=0.5)
    while watch.wants_turn:
        watch.took([QUIET, bad if watch.taken + 1 in (2, 5) else QUIET])

    assert (watch.taken, watch.disturbed) == (12, {2, 5})


def test_there_is_a_bound() -> None:
    """On a machine that stays busy, half as many turns again and no more; where nothing is seen, none."""
    busy, blind = Watch(10, cpus=2), Watch(10, cpus=2)
    while busy.wants_turn:
        busy.took([shares(waited=0.5)])
    while blind.wants_turn:
        blind.took([None])

    assert (busy.taken, busy.disturbed) == (15, set(range(1, 16)))
    assert (blind.taken, blind.disturbed) == (10, None)


def test_short_turns_are_judged_together() -> None:
    """Turns of 0.06 s: four make a stretch, of which each launch's are added up; all four are left out, or none."""
    watch = Watch(10, cpus=2)
    quiet, bad = shares(0.06), shares(0.06, waited=0.5)
    while watch.wants_turn:
        watch.took([quiet, bad if watch.taken + 1 == 2 else quiet])

    assert (watch.taken, watch.disturbed) == (14, {1, 2, 3, 4})


def test_the_last_turns_are_judged_too() -> None:
    """Fewer than a stretch, and one of them disturbed: they are left out, and others taken in their place."""
    watch = Watch(10, cpus=2)
    while watch.wants_turn:
        watch.took([shares(0.06, waited=0.5 if watch.taken + 1 == 10 else 0.01)])

    assert (watch.taken, watch.disturbed) == (12, {9, 10})


def test_a_launch_that_fails_hides_nobody_else() -> None:
    """What the others had is added to what they had, whoever is gone."""
    watch = Watch(4, cpus=2)
    for seen in ([shares(0.15), shares(0.15)], [None, shares(0.15, waited=0.5)]):
        watch.took(seen)

    assert watch.disturbed == {1, 2}


def test_figures_are_made_of_undisturbed_turns() -> None:
    """Six turns of 10 ms a step, and one of 30 that others disturbed: speed and start-up are those of the six."""
    turns = [[0.1, 0.1]] * 3 + [[0.3, 0.3]] + [[0.1, 0.1]] * 3
    result = {
        "block_steps": 10, "blocks": {"steady": turns}, "step_us_median": 10_000.0, "import_s": 1.0, "build_s": 1.0,
        "first_step_s": 0.51, "warmup_s": 1.0, "warmup_steps": 100, "start_up_s": 2.5, "first_epoch_s": 12.5,
    }  # fmt: skip
    found = clean_figures.of(result, frozenset({4}), [QUIET, None], batch_size=64)

    assert (found["disturbed_turns"], found["cpu_wait_share"]) == ("4", pytest.approx(0.01))
    assert found["train_images_per_s"] == pytest.approx(6400)
    assert found["step_us_p95"] == pytest.approx(10_000)
    assert found["steady_drift"] == pytest.approx(0)
    assert (found["start_up_s"], found["first_epoch_s"]) == (pytest.approx(2.5), pytest.approx(12.5))


def test_what_was_waited_for_is_of_all_turns_together() -> None:
    """Ten turns of 30 ms, half waited: two ticks are taken off once, and not off every turn, which is hardly longer."""
    seen = [Seen(seconds=0.03, queued=0.015, beside=0.03, gone=0.0, had=0.03, by_others=0.03)] * 10
    result = {"blocks": {"steady": [[0.03]] * 10}}

    found = clean_figures.of(result, frozenset(), seen, batch_size=64)

    assert found["cpu_wait_share"] == pytest.approx(0.5)


def test_a_median_that_moves_takes_start_up_with_it() -> None:
    """Where most turns were disturbed the worker's own median is of these; what follows from it is put right, too."""
    result = {
        "block_steps": 10, "blocks": {"steady": [[0.2]] * 6 + [[0.1]] * 5}, "step_us_median": 20_000.0, "import_s": 1.0,
        "build_s": 1.0, "first_step_s": 0.52, "warmup_s": 3.0, "warmup_steps": 100, "start_up_s": 3.5,
        "first_epoch_s": 23.5,
    }  # fmt: skip
    found = clean_figures.of(result, frozenset(range(1, 7)), [QUIET], batch_size=64)

    assert found["step_us_median"] == pytest.approx(10_000)
    assert found["start_up_s"] == pytest.approx(1 + 1 + 0.51 + 2.0)
    assert found["first_epoch_s"] == pytest.approx(4.51 + 10.0)


def test_too_few_undisturbed_turns_are_no_figure_of_their_own() -> None:
    """Four of ten: all ten count, and the column says which of them were disturbed."""
    result = {"block_steps": 10, "blocks": {"steady": [[0.2]] * 6 + [[0.1]] * 4}}

    found = clean_figures.of(result, frozenset(range(1, 7)), [QUIET], batch_size=64)

    assert found == {"disturbed_turns": "1 2 3 4 5 6", "cpu_wait_share": 0.01}
    assert clean_figures.of(result, frozenset(), [QUIET], batch_size=64)["disturbed_turns"] == "none"
    assert clean_figures.of(result, None, [], batch_size=64) == {}


def test_a_real_program_on_the_same_cpu_is_seen() -> None:
    """Two processes that never sleep, on one CPU: each waits for about half of the time, or more on a busy machine."""
    cpu = max(os.sched_getaffinity(0))
    with spinner(cpu) as mine, spinner(cpu):
        before = look(cpu_time(mine), [cpu])
        time.sleep(1)
        seen = before.until(look(cpu_time(mine), [cpu]))

    assert seen is not None
    assert seen.waited > 0.2
    assert seen.is_disturbed(os.cpu_count() or 1)


def test_a_run_beside_a_busy_program_says_so(small_cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """At its start, in its rows, below its table, with `--strict` by its exit code; more turns than usual are taken."""
    with on_one_cpu() as cpu, spinner(cpu):
        options = (
            "run -b numpy --data-set drawn-digits --rounds 1 --epochs 0 --steady-s 0.5 --batch-size 8 "
            "--inference-sizes none --name busy --strict"
        )
        code, out, err = small_cli(*options.split(), LENET_BENCH_LIVE_RUNS=str(tmp_path / "live"))

    assert code == 3
    told, shown = " ".join(err.split()), " ".join(out.split())
    assert "BUSY MACHINE: other programs use" in told
    assert f"CPU {cpu} " in told
    assert "--strict takes no speeds that something disturbed. BUSY MACHINE: other programs used" in told
    assert "BUSY MACHINE: other programs used" in shown
    assert "1 of 1 launches were timed: do not compare them (see lenet-bench doctor)." in shown
    row = RunFolder(tmp_path / "results" / "busy").read("launches").iloc[0]
    assert row["turns"] > TURNS
    assert len(row["disturbed_turns"].split()) > row["turns"] / 3
    assert row["cpu_wait_share"] > 0.05
    assert row["cpus_found"] == str(cpu)


def over(seconds: float, *, ran: float, waited: float, ours: float, all_: float) -> Seen:
    """What was seen of a turn that took so long, by shares of that time."""
    after = later(ran=ran * seconds, waited=waited * seconds, ours=ours * seconds, all_=all_ * seconds)
    seen = BEFORE.until(replace(after, clock=BEFORE.clock + seconds))
    assert seen is not None
    return seen


@pytest.mark.parametrize("seconds", [0.1, 0.3, 2.0, 20.0])
def test_the_rule_does_not_look_at_times(seconds: float) -> None:
    """Turns in which the CPUs were shared alike are judged alike, however long they took."""
    quiet = over(seconds, ran=0.98, waited=0.2, ours=1.0, all_=1.1)
    beside = over(seconds, ran=0.98, waited=0.0, ours=1.0, all_=1.4)
    shared = over(seconds, ran=0.5, waited=0.5, ours=1.0, all_=1.0)

    assert [each.is_disturbed(2) for each in (quiet, beside, shared)] == [False, True, True]


def test_ticks_are_no_disturbance() -> None:
    """Threads wait for each other for 20 ms of 120, and /proc/stat, which counts in tens, is ahead of them by 15."""
    seen = over(0.12, ran=0.99, waited=0.02 / 0.12, ours=0.99 + 0.015 / 0.12, all_=0.99 + 0.015 / 0.12)

    assert not seen.is_disturbed(2)
    assert seen.waited == 0.0
