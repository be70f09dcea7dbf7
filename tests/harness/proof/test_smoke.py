"""What cannot take one step is told before the reference begins to work, with file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.data.sources import Dataset
from harness.proof import kept, posing, proving, starts
from harness.proof.outcome import LAUNCH, Outcome, Subject
from harness.proof.problem import Problem
from harness.runs import preparation
from harness.runs.display import Display
from harness.runs.ticker import Ticker
from harness.spec.recipes import LENET5

Verify = Any


@pytest.fixture
def verify(mutants: Path, tiny_dataset: Dataset, make_entrant: Any, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Return a function that verifies modes of the mistyped backend on small batches."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    monkeypatch.setattr(posing, "BATCH", 8)
    monkeypatch.setattr(starts, "STEPS", 20)

    def run(*modes: str) -> list[Outcome]:
        subjects = [Subject(make_entrant("mistyped", mode=mode), LENET5) for mode in modes]
        return list(proving.verify(subjects, data_set="", data_dir=None, seed=0, pythons={}, timeout_s=100))

    return run


@pytest.fixture
def problem_to_come(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nothing is on disk; what is posed is noted."""
    posed: list[Any] = []
    right = kept.pose

    def pose(*arguments: Any, **options: Any) -> Problem:
        posed.append(arguments)
        return right(*arguments, **options)

    monkeypatch.setattr(kept, "is_kept", lambda *_, **__: False)
    monkeypatch.setattr(kept, "pose", pose)
    return posed


def line_of(text: str) -> int:
    """Where this stands in the mutant."""
    lines = (Path(__file__).parents[2] / "mutants" / "mistyped" / "backend.py").read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if text in line)
    return number


@pytest.mark.parametrize(
    ("mode", "words", "code"),
    [
        ("constructor", r"TypeError: .*unexpected keyword argument 'thread'", "super().__init__(mode=mode"),
        ("step", r"AttributeError: .*no attribute '_stepp'", "self._stepp"),
        ("losses", r"train_steps of one batch returned losses of shape \(\), not \(1,\)", ""),
        ("names", r"dump_weights returned dense3.bias missing, not \(10,\)", ""),
        ("shape", r"dump_weights returned dense1.weight \(400, 120\), not \(120, 400\)", ""),
    ],
)
def test_what_cannot_take_a_step_is_told_first(
    verify: Verify, problem_to_come: list[Any], capsys: pytest.CaptureFixture[str], mode: str, words: str, code: str
) -> None:
    """The sentence is on the screen, and in the outcome; nothing has been posed."""
    (outcome,) = verify(mode)

    assert not outcome.passed
    assert [check.quantity for check in outcome.checks] == [LAUNCH]
    assert re.search(rf"It failed before there was anything to compare\. .*{words}", outcome.sentences[0])
    assert outcome.sentences[0] in capsys.readouterr().err
    assert problem_to_come == []
    if code:
        assert outcome.sentences[0].endswith(f"/mutants/mistyped/backend.py, line {line_of(code)})")


def test_the_others_go_on(verify: Verify, problem_to_come: list[Any]) -> None:
    """One that fails at once has its outcome; the problem is posed for the one that does not, which passes."""
    failed, passed = verify("step", "none")

    assert (failed.passed, passed.passed) == (False, True)
    assert passed.subject.entrant.mode == "none"
    assert len(problem_to_come) == 1


def test_who_takes_long_is_left_to_the_launch(
    verify: Verify, problem_to_come: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling for half a minute is no failure: it passes, though its first step was given up."""
    kinds: list[str] = []
    right = proving.run_job

    def run_job(job: Any, **options: Any) -> Any:
        kinds.append(job.kind)
        return right(job, **options)

    monkeypatch.setattr(proving, "SMOKE_S", 0.01)
    monkeypatch.setattr(proving, "run_job", run_job)

    (outcome,) = verify("none")

    assert outcome.passed
    assert kinds == ["smoke", "verify"]


def test_where_the_problem_is_on_disk_there_is_no_smoke_launch(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launch itself tells as quickly, in the same words."""
    verify("none")
    monkeypatch.setattr(
        proving.Launching, "failing_at_once", lambda *_: pytest.fail("launched, though there was nothing to wait for")
    )

    (outcome,) = verify("step")

    assert re.match(r"AttributeError: .*_stepp.*mistyped/backend\.py, line \d+\)$", outcome.sentences[0])


def test_what_is_done_is_said_while_it_lasts(
    verify: Verify, problem_to_come: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that takes long has a name, and the clock ticks; but while it is timed whether `synchronize` waits."""
    said: list[str] = []
    ticking: dict[str, bool] = {}

    class Watched(Display):
        def doing(self, what: str, **options: Any) -> None:
            super().doing(what, **options)
            said.append(what)
            ticking[what] = self._ticker.is_ticking

        def message(self, message: dict[str, Any]) -> None:
            super().message(message)
            ticking[message["name"]] = self._ticker.is_ticking

    monkeypatch.setattr(proving, "Display", Watched)
    monkeypatch.setattr(Ticker, "start", lambda self: None)
    verify("step", "none")

    assert said == [
        "looking for the frameworks", "loading images", "trying one step of mistyped step",
        "trying one step of mistyped none", "measuring what rounding allows", "training the second start",
        "doing short trainings in float64, as trials", "verifying mistyped none",
    ]  # fmt: skip
    assert all(ticking[each] for each in said)
    assert [name for name, ticks in ticking.items() if not ticks] == ["asynchrony"]
    assert {"import", "build", "trials", "quantities"} <= set(ticking)
