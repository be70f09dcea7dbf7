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
    return {"environment": variables, "cpus": cpus_of(entrant)}


def cpus_of(entrant: Entrant) -> list[int]:
    """The CPUs that an entrant's launches are pinned to; none under environment=native.

    They follow from the machine and from --threads alone, also beside another run that is pinned to the same: cores of
    one machine are not alike (caches, siblings, slow and fast cores), and a run that moved aside would be compared with
    others as if it had not. Whoever starts it is told, and may move it (taskset).
    """
    return controls.choose_cpus(entrant.threads) if entrant.environment == "controlled" else []


def set_aside() -> list[str]:
    """The user's variables that controlled launches do without."""
    asked = controls.asked_variables(threads=1, scratch=Path("."))
    return controls.launch_environment(os.environ, asked)[1]
