"""Launches that start beside each other, on CPUs that they are not timed on: where, when, and what their rows say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from harness.analysis.summary import STARTS
from harness.runs import live_runs, rounds, starting, taking_turns
from harness.runs.enough import LEAST_LAUNCHES, knows_starts
from harness.runs.rounds import Rounds
from harness.worker.job import Entrant
from tests.harness.runs.test_enough import rows

THREADS = (
    "import threading, time; [threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(3)]"
)


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize(
    ("cpus", "taken", "expected"),
    [
        ([7], (), [[7], [0], [1], [2]]),
        ([6, 7], (), [[6, 7], [0, 1], [2, 3], [4, 5]]),
        ([2, 5, 7], (), [[2, 5, 7], [0, 1, 3]]),
        ([7], (0, 1, 2, 3, 4, 5), [[7], [6]]),
        (list(range(8)), (), [list(range(8))]),
        ([], (), [[]]),
    ],
    ids=["one", "two threads", "left over", "others have theirs", "all", "not pinned"],
)
def test_groups_share_no_cpu(cpus: list[int], taken: tuple[int, ...], expected: list[list[int]]) -> None:
    """The first is where they are timed; none has a CPU of another, or of another run; no more than four."""
    assert starting.groups(cpus, taken=taken) == expected


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of four threads."""
    code = f"{THREADS}; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_all_threads_move(sleeper: subprocess.Popen[bytes]) -> None:
    """Also those that the process has had for long; and those that it starts afterwards are there, too."""
    cpu = min(os.sched_getaffinity(0))
    starting.move(sleeper.pid, [cpu])

    threads = os.listdir(f"/proc/{sleeper.pid}/task")
    assert len(threads) == 4
    assert [os.sched_getaffinity(int(thread)) for thread in threads] == [{cpu}] * 4


def test_a_cpu_that_is_not_there_is_an_error(sleeper: subprocess.Popen[bytes]) -> None:
    """Nobody is timed elsewhere than is said."""
    with pytest.raises(OSError, match="Invalid argument"):
        starting.move(sleeper.pid, [1023])


class Started:
    """Launches that say when they begin and when they are waited for."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def launch(self, name: str, threads: int = 1) -> Any:
        return SimpleNamespace(
            job=SimpleNamespace(entrant=SimpleNamespace(label=name, cpus=threads)),
            begin=lambda cpus: self.said.append(f"{name} on {list(cpus)}"),
            warm=lambda: self.said.append(f"{name} warm"),
        )


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([[]], ["a on []", "a warm", "b on []", "b warm", "c on []", "c warm"]),
        ([[7], [0]], ["a on [7]", "b on [0]", "a warm", "c on [7]", "b warm", "c warm"]),
        ([[7], [0], [1], [2]], ["a on [7]", "b on [0]", "c on [1]", "a warm", "b warm", "c warm"]),
    ],
    ids=["alone", "two at once", "more groups than launches"],
)
def test_as_many_start_at_once_as_there_are_groups(groups: list[list[int]], expected: list[str]) -> None:
    """The next one begins on a group whose launch is warm, and so asleep."""
    started = Started()
    display: Any = SimpleNamespace(launch_started=lambda label: None)

    taking_turns.start([started.launch(name) for name in "abc"], groups, display)

    assert started.said == expected


def test_a_launch_of_fewer_threads_has_fewer_cpus() -> None:
    """As it has where it is timed."""
    started = Started()
    display: Any = SimpleNamespace(launch_started=lambda label: None)

    taking_turns.start([started.launch("a", 2), started.launch("b")], [[6, 7], [0, 1]], display)

    assert started.said[:2] == ["a on [6, 7]", "b on [0]"]


@pytest.mark.parametrize(
    ("seconds", "known"),
    [([], False), ([1.0] * (LEAST_LAUNCHES - 1), False), ([1.0, 1.03, 0.98], True), ([1.0, 1.3, 0.8], False)],
    ids=["none", "few", "alike", "unlike"],
)
def test_starts_are_measured_until_they_are_known(seconds: list[float], known: bool) -> None:
    """Three launches whose interval is narrower than half of it; launches that started beside others are none."""
    made = rows(*({"plan_round": number, "start_up_s": value} for number, value in enumerate(seconds, start=1)))

    assert knows_starts(made, len(seconds) + 1, ["numpy eager"]) is known
    assert knows_starts(rows(*({"plan_round": n} for n in range(1, 9))), 9, ["numpy eager"]) is False


def test_later_rounds_of_a_run_start_beside_each_other(
    made_up: Any,
    run_made_up: Callable[..., Rounds],
    make_entrant: Callable[..., Entrant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first three rounds are measured; those after them say nothing of starting, and where they were timed."""
    monkeypatch.setattr(starting, "groups", lambda cpus, taken: [sorted(cpus), [0]])
    made_up.spread = 0.006
    pinned = [make_entrant(name, environment="controlled") for name in ("numpy", "twin")]
    work = run_made_up(*pinned)

    found = work.folder.read("launches")
    late = (found["round"] > LEAST_LAUNCHES).to_numpy(bool)
    assert 0 < late.sum() < len(found)
    starts = found[list(STARTS)]
    assert starts[~late].notna().all(axis=None)
    assert starts[late].isna().all(axis=None)
    timed_on = " ".join(map(str, work.run.cpus))
    assert set(found.loc[late, "cpus_found"]) == {timed_on}
    moved = [label for step, label in made_up.steps if step == "move"]
    assert sorted(moved) == sorted(found.loc[late, "backend"] + " eager")
    assert (pd.read_csv(work.folder.path / "summary.csv")["start_up_s"] == 0.5).all()


def test_gpus_and_native_runs_start_one_after_the_other(
    made_up: Any,
    run_made_up: Callable[..., Rounds],
    make_entrant: Callable[..., Entrant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Launches that are not pinned have no CPUs of their own to move to."""
    asked: list[Any] = []
    monkeypatch.setattr(starting, "groups", lambda cpus, taken: asked.append(cpus) or [[]])
    monkeypatch.setattr(rounds, "knows_starts", lambda *_: True)

    run_made_up(*(make_entrant(name, environment="native") for name in ("numpy", "twin")))

    assert asked == []


def test_other_runs_keep_their_cpus(
    made_up: Any,
    run_made_up: Callable[..., Rounds],
    make_entrant: Callable[..., Entrant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing starts where another lenet-bench measures."""
    asked: list[Any] = []
    monkeypatch.setattr(starting, "groups", lambda cpus, taken: asked.append(taken) or [[]])
    monkeypatch.setattr(
        live_runs, "others", lambda: [live_runs.LiveRun(1, "a run", (0, 3)), live_runs.LiveRun(2, "", ())]
    )
    pinned = [make_entrant(name, environment="controlled") for name in ("numpy", "twin")]

    run_made_up(*pinned, measures_starts=False)

    assert asked
    assert all(taken == {0, 3} for taken in asked)


def test_nobody_waits_for_starts_that_nobody_asked_for(
    made_up: Any,
    run_made_up: Callable[..., Rounds],
    make_entrant: Callable[..., Entrant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The self-test and the gate of speed have their launches start together from the first round on."""
    monkeypatch.setattr(starting, "groups", lambda cpus, taken: [sorted(cpus), [0]])
    pinned = [make_entrant(name, environment="controlled") for name in ("numpy", "twin")]

    work = run_made_up(*pinned, measures_starts=False)

    assert work.folder.read("launches")[list(STARTS)].isna().all(axis=None)
