"""Runs that are killed (SIGKILL) and go on, and several that want one folder: real processes, real files."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from harness.commands import run as run_command
from harness.errors import InputError, Regression
from harness.proof import register
from harness.results.folder import OF_LAUNCHES, RunFolder
from harness.runs.entrants import make_entrants
from harness.runs.plan import Plan, default_plan

Start = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def start(session_environment: dict[str, str], tiny_images: Path, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts `tests.harness.brief_run` of a folder, its TMPDIR being `tmp`."""
    (tmp_path / "tmp").mkdir()
    started = []

    def run(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.harness.brief_run", str(folder), str(tiny_images)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=session_environment | {"TMPDIR": str(tmp_path / "tmp")}, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            kill(process)


Call = Callable[..., tuple[int, str, str]]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill -9, its workers too, which the harness cannot end any more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
    process.communicate()


def identities(folder: RunFolder) -> pd.DataFrame:
    """All cells of the launches that count which a kill must not change, in the plan's order."""
    rows = folder.read_counted("launches").sort_values(["plan_round", "position"], ignore_index=True)
    texts = [name for name in rows if str(rows[name].dtype) in ("string", "boolean")]
    measured = ("run", "started_utc", "turn_step_us", "disturbed_turns", "cpus_found", "steady", "peak_source")
    kept = [*texts, "plan_round", "position", "seed", "threads", "batch_size", "epochs"]
    return rows[[name for name in kept if name not in measured]]


def test_killed_run_ends_as_one_that_was_not_disturbed(start: Start, tmp_path: Path) -> None:
    """Killed at random moments and gone on with until it ends: the rows that count are those of an undisturbed run."""
    whole, cut = (RunFolder(tmp_path / name) for name in ("whole", "cut"))
    began = time.monotonic()
    process = start(whole.path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    seconds, moments = time.monotonic() - began, random.Random(1)

    for attempt in range(9):
        process = start(cut.path)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Early, and late in what is left; in every phase by `nox -s faults`.
            process.wait(timeout=moments.uniform(0.2, 0.9) * seconds if attempt < 2 else 300)
        if process.poll() is None:
            kill(process)
            continue
        _, err = process.communicate()
        assert process.returncode == 0, err
        break

    pd.testing.assert_frame_equal(identities(cut), identities(whole))
    rows = cut.read("launches")
    assert not rows.duplicated(["round", "position"]).any()
    assert (rows.groupby("round")["counted"].nunique() == 1).all()
    for table in OF_LAUNCHES:
        places = set(zip(*(cut.read(table)[name] for name in ("round", "position"))))
        assert places <= set(zip(rows["round"], rows["position"]))
    seeds = ["backend", "seed", "epoch", "test_accuracy"]
    expected = whole.read_counted("epochs").sort_values(seeds, ignore_index=True)[seeds]
    pd.testing.assert_frame_equal(cut.read_counted("epochs").sort_values(seeds, ignore_index=True)[seeds], expected)
    assert list(cut.read("summary")["launches"]) == [2, 2]
    assert [file.name for file in cut.path.iterdir() if file.name.startswith(".")] == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_second_process_is_refused_and_harms_nothing(start: Start, call: Call, tmp_path: Path) -> None:
    """While a run is under way, `--resume` of its folder ends with 2 and says who has it; so does `--name`."""
    folder = RunFolder(tmp_path / "results" / "run")
    process = start(folder.path)
    deadline = time.monotonic() + 120
    while not (folder.path / "environment.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGSTOP)

    second = call("run", "--resume", str(folder.path))
    third = call("run", "-b", "numpy", "--data-set", "drawn-digits", "--name", "run")
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=300)

    assert process.returncode == 0, err
    assert second[0] == third[0] == 2
    assert f"is being written by another lenet-bench (process {process.pid}, since " in second[2]
    assert "has results already" in third[2]
    rows = folder.read("launches")
    assert len(rows) == 6  # two rounds that are timed, and the training
    assert rows["counted"].all()


def test_runs_of_one_second_have_folders_of_their_own(
    call: Any, made_up: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Default names are times: of two runs in one second, the later has another name."""
    monkeypatch.setattr("harness.commands.run.name_of", lambda *_: "2026-01-01T00-00-00-numpy")

    for _ in range(2):
        assert call("run", "-b", "numpy", "--epochs", "0", "--rounds", "1")[0] == 0

    runs = sorted((tmp_path / "results").iterdir())
    assert [run.name for run in runs] == ["2026-01-01T00-00-00-numpy", "2026-01-01T00-00-00-numpy-2"]
    assert [set(RunFolder(run).read("launches")["run"]) for run in runs] == [{run.name} for run in runs]


def test_name_is_taken_before_anything_is_measured(
    call: Call, made_up: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is taken is told before certificates are made, which takes minutes; what fails leaves no folder."""
    asked = []

    def require(plan: Plan, **_: Any) -> None:
        asked.append(sorted(os.listdir("results")))
        raise Regression("not what it should be")

    monkeypatch.setattr(register, "require", require)
    taken = RunFolder.create(tmp_path / "results", "taken")
    taken.write_environment({})
    make = {"results": tmp_path / "results", "pythons": {}, "before": lambda: register.require(plan_of_one)}
    plan_of_one = default_plan(
        make_entrants(["numpy"], device="cpu", dtype="float32", network="lenet5"), data_set="drawn-digits",
        data_dir=None, rounds=1, seeds=1, seed=0, epochs=0,
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="has results already"):
        run_command.new_run(plan_of_one, name="taken", **make)
    assert asked == []
    with pytest.raises(Regression):
        run_command.new_run(plan_of_one, name="free", **make)
    assert asked == [["free", "taken"]]
    assert os.listdir("results") == ["taken"]
