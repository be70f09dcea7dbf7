"""What is seen while `doctor` is at work: which backend of how many; nothing ticks while the machine is timed."""

from __future__ import annotations

from typing import Any

import pytest

from harness.commands import doctor
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.quiet import Load
from harness.worker.job import Job


def test_backends_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started here, nothing examined: it is looked at what is shown meanwhile."""
    display = Display()
    seen: list[tuple[str, bool]] = []

    def look() -> None:
        seen.append((display._what, display._ticker.is_ticking))

    def run_job(job: Job, **options: Any) -> dict[str, str]:
        options["listen"]({"event": "phase", "name": "import"})
        look()
        return {"threads_found": "1", "cpus_found": "0", "framework_version": "1.0"}

    monkeypatch.setattr(doctor, "Display", lambda: display)
    monkeypatch.setattr(doctor, "examine_machine", lambda **_: look() or [])
    monkeypatch.setattr(doctor, "run_job", run_job)
    monkeypatch.setattr(doctor.quiet, "watch", lambda: Load({}, {}))
    monkeypatch.setattr(doctor.interpreters, "find", lambda name, given: Interpreter("python", "given", "1.0"))

    doctor.examine(["numpy", "torch"], threads=1, pythons={})

    assert seen == [
        ("timing two pieces of work that never change", False),
        ("starting numpy for its threads (1 of 2): importing", True),
        ("starting torch for its threads (2 of 2): importing", True),
    ]


def test_what_is_coming_is_said_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the frameworks are looked for: a log had nothing for twenty seconds on a busy machine."""

    def installed(pythons: dict[str, str]) -> list[str]:
        assert capsys.readouterr().err.startswith("The machine is timed for some seconds.")
        return []

    monkeypatch.setattr(doctor.interpreters, "installed", installed)
    monkeypatch.setattr(doctor, "examine", lambda names, **_: [])

    doctor.doctor()

    assert "Ready." in capsys.readouterr().out
