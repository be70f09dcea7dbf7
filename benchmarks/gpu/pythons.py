"""Which interpreter has which framework: the harness's own choice, asked once."""

from __future__ import annotations

from benchmarks.gpu.trial import Trial
from harness.errors import InputError
from harness.runs.interpreters import find


def python_of(name: str, trial: Trial) -> str | None:
    """Path of the interpreter with this framework; None for this one, with a problem noted, where none has it."""
    try:
        return find(name, device=trial.device).path
    except InputError as error:
        trial.problem(str(error))
        return None
