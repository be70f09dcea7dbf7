"""The look before a run: what it says, and which CPUs it takes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest
from rich.console import Console

from harness.errors import InputError
from harness.runs import live_runs, quiet
from harness.runs.asked_controls import cpus_of
from harness.runs.display import Display
from harness.runs.live_runs import LiveRun
from harness.runs.plan import Plan
from harness.runs.quiet import Load, quietest, sentences, settle, watch
from harness.worker import controls
from harness.worker.job import Entrant
from tests.harness.busy import spinner

FOUR = [0, 1, 2, 3]


@pytest.fixture
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may use four CPUs, with nobody else on the machine."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(FOUR))
    monkeypatch.setattr(controls, "choose_cpus", lambda threads, replicas: FOUR[-threads * replicas :])
    monkeypatch.setattr(live_runs, "others", list)
    monkeypatch.setattr(quiet.host, "smt_siblings", lambda cpu: [])


def settled(plan: Plan, *shares: float, choose: bool = True, **programs: float) -> tuple[Plan, str]:
    """The plan after a look that saw this, and what was said."""
    console = Console(file=io.StringIO(), width=500)
    load = Load(dict(enumerate(shares)), programs)
    plan = settle(plan, Display(console), choose=choose, look=lambda: load)
    return plan, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.0], [3, 2, 1, 0]), ([0.05, 0.0, 0.09, 0.02], [3, 2, 1, 0]),
        ([0.0, 0.0, 0.3, 1.0], [1, 0, 2, 3]), ([0.9, 0.5, 0.7, 0.6], [1, 3, 2, 0]),
    ],
    ids=str,
)  # fmt: skip
def test_the_quietest_cpus_come_first(four_cpus: None, shares: list[float], expected: list[int]) -> None:
    """Of equally quiet ones the last, as ever; noise of an idle system makes no difference."""
    assert quietest(Load(dict(enumerate(shares)), {}), FOUR) == expected


def test_of_two_busy_cpus_the_one_with_the_shorter_queue(four_cpus: None) -> None:
    """All are wholly used; for the last ones more programs wait."""
    load = Load(dict.fromkeys(FOUR, 1.0), {}, queues={0: 3.0, 1: 0.5, 2: 4.0, 3: 3.0})

    assert quietest(load, FOUR) == [1, 3, 0, 2]


def test_a_busy_core_is_no_quiet_place(four_cpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other thread of a busy core comes after CPUs whose cores are quiet; CPUs of other runs come last."""
    monkeypatch.setattr(quiet.host, "smt_siblings", lambda cpu: [cpu ^ 1])

    assert quietest(Load({0: 0.0, 1: 0.0, 2: 1.0, 3: 0.0}, {}), FOUR) == [1, 0, 3, 2]
    assert quietest(Load(dict.fromkeys(FOUR, 0.0), {}), FOUR, taken=[3]) == [2, 1, 0, 3]


def test_a_run_takes_them_and_says_so(
    four_cpus: None, make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant]
) -> None:
    """Chosen once, for the entrant with most threads; the others have the first of these."""
    one, two = make_entrant(), make_entrant("twin", threads=2)

    plan, said = settled(make_plan(one, two, timing=True), 0.0, 0.02, 0.4, 1.0, python3=1.0, cc1=0.4, idle=0.01)

    assert plan.cpus == (1, 0)
    assert (cpus_of(one, plan.cpus), cpus_of(two, plan.cpus)) == ([1], [0, 1])
    assert "BUSY MACHINE: other programs use 1.4 of 4 CPUs now (python3 1.0, cc1 0.4): CPU 2 40%, CPU 3 100%." in said
    assert "Workers are pinned to CPU 0, 1: quieter now than CPU 2, 3." in said


def test_on_a_quiet_machine_nothing_is_said(four_cpus: None, make_plan: Callable[..., Plan]) -> None:
    """The last CPUs, as ever; nor is anything chosen where nothing is timed or pinned."""
    plan, said = settled(make_plan("numpy", timing=True), 0.05, 0.0, 0.0, 0.02)
    untimed, _ = settled(make_plan("numpy"), 1.0, 0.0, 0.0, 1.0)

    assert (plan.cpus, said) == ((3,), "")
    assert untimed.cpus == ()


def test_a_run_that_goes_on_keeps_what_it_had(four_cpus: None, make_plan: Callable[..., Plan]) -> None:
    """Also one of an older version, which had the last ones; it is told that they are busy."""
    had, told = settled(make_plan("numpy", timing=True, cpus=(2,)), 0.0, 0.0, 1.0, 0.0, choose=False)
    old, _ = settled(make_plan("numpy", timing=True), 0.0, 0.0, 0.0, 1.0, choose=False)

    assert (had.cpus, old.cpus) == ((2,), ())
    assert "CPU 2 100%" in told
    assert "quieter" not in told


def test_cpus_that_are_gone_are_named(four_cpus: None, make_entrant: Callable[..., Entrant]) -> None:
    """A run that goes on elsewhere than it was timed is told of both, and how to go on."""
    with pytest.raises(InputError, match=r"pinned to CPU 4, 5, and this process may use CPU 0, 1, 2, 3 now.*-c 4,5"):
        cpus_of(make_entrant(), (5, 4))


def test_other_runs_cpus_are_left_to_them(
    four_cpus: None, make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever they do in the second in which is looked."""
    monkeypatch.setattr(live_runs, "others", lambda: [LiveRun(1, "the run x", (3,))])

    assert settled(make_plan("numpy", timing=True), 0.0, 0.0, 0.0, 0.0)[0].cpus == (2,)


def test_sentences_know_of_no_programs() -> None:
    """Where they cannot be seen, as in a container, the load is said all the same."""
    (found,) = sentences(Load({0: 1.0, 1: 0.5}, {}), [], [])

    assert found.startswith("BUSY MACHINE: other programs use 1.5 of 2 CPUs now: CPU 0 100%, CPU 1 50%. What")


def test_a_real_program_is_seen_with_its_name() -> None:
    """Its CPU is busy, and its name is there without a path; this process is none of the others."""
    cpu = max(os.sched_getaffinity(0))
    with spinner(cpu):
        load = watch(0.5)

    assert load.shares[cpu] > 0.5
    used = sum(share for name, share in load.programs.items() if name.startswith("python"))
    assert used > 0.02
    assert not any("/" in name for name in load.programs)


def test_who_waits_for_a_cpu_is_counted() -> None:
    """Four programs want one CPU: three of them wait at any time, or more on a busy machine."""
    cpu = max(os.sched_getaffinity(0))
    with spinner(cpu), spinner(cpu), spinner(cpu), spinner(cpu):
        load = watch(0.5)

    assert load.queues[cpu] > 2
