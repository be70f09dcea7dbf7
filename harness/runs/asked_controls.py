"""What the harness asks of a launch's process: variables and CPUs. `harness.worker.controls` checks it in there."""

from __future__ import annotations

import os
from pathlib import Path

from harness.worker import controls
from harness.worker.job import Entrant


def asked_controls(entrant: Entrant, folder: Path) -> dict[str, object]:
    """What a launch is controlled by; nothing under environment=native.

    Args:
        folder: of the launch, in which its caches are.

    Raises:
        InputError: the machine has fewer CPUs than the entrant has threads.
    """
    if entrant.environment == "native":
        return {}
    tf32 = entrant.dtype == "tf32"
    variables = controls.asked_variables(threads=entrant.threads, scratch=folder, tf32=tf32)
    return {"environment": variables, "cpus": controls.choose_cpus(entrant.threads)}


def set_aside() -> list[str]:
    """The user's variables that controlled launches do without."""
    asked = controls.asked_variables(threads=1, scratch=Path("."))
    return controls.launch_environment(os.environ, asked)[1]
