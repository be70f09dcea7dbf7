"""What tests of runs share: a plan that is carried out with made-up launches."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from harness.results.folder import RunFolder
from harness.runs import installing
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.plan import MOST_ROUNDS, Plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run
from harness.worker.job import Entrant


@pytest.fixture
def run_made_up(
    made_up: Any, make_plan: Callable[..., Plan], tiny_dataset: Any, tmp_path: Path
) -> Callable[..., Rounds]:
    """Return a function that carries out a plan with made-up launches, timed, five rounds at least, 2 % precise.

    A second call goes on in the folder of the first, as --resume does.
    """

    def run(*backends: str | Entrant, **changes: Any) -> Rounds:
        options = {
            "rounds": 5, "most_rounds": MOST_ROUNDS, "precision": 0.02, "timing": True, "epochs": 0, "seeds": 1,
        }  # fmt: skip
        plan = make_plan(*backends, **(options | changes))
        interpreters = {entrant.backend: Interpreter(sys.executable, "given", "9.9") for entrant in plan.entrants}
        with Display(Console(file=io.StringIO())) as display:
            work = Rounds(Run(plan, interpreters, tiny_dataset, RunFolder(tmp_path)), display)
            work.execute()
        return work

    return run


@pytest.fixture
def venv_once(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`install` makes the first venv of all tests by `python -m venv`, pip in it, and every other one is its copy."""
    kept, run = session_cache.parent / "venv", installing._run

    def run_or_copy(command: list[str], wanted: installing.Wanted, *others: Any) -> None:
        if command != [sys.executable, "-m", "venv", str(wanted.folder)]:
            run(command, wanted, *others)
            return
        with FileLock(f"{kept}.lock"):
            if not kept.exists():
                run(command, wanted, *others)
                shutil.copytree(wanted.folder, kept, symlinks=True)
            else:
                shutil.copytree(kept, wanted.folder, symlinks=True)

    monkeypatch.setattr(installing, "_run", run_or_copy)
