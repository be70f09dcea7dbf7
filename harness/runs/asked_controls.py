"""What the harness asks of a launch's process: variables and CPUs. `harness.worker.controls` checks it in there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import InputError
from harness.worker import controls
from harness.worker.job import Entrant


def asked_controls(entrant: Entrant, folder: Path, cpus: Sequence[int] = ()) -> dict[str, object]:
    """What a launch is controlled by; nothing under environment=native.

    Args:
        folder: of the launch, in which its caches are.
        cpus: `Plan.cpus`.

    Raises:
        InputError: as `cpus_of`.
    """
    if entrant.environment == "native":
        return {}
    variables = controls.asked_variables(
        threads=entrant.threads, scratch=folder, tf32=entrant.dtype == "tf32", backend=entrant.backend
    )
    return {"environment": variables, "cpus": cpus_of(entrant, cpus)}


def controls_digest(entrant: Entrant) -> str | None:
    """SHA-256 of the controls of an entrant's launches, but for threads and CPUs, which are columns; None under
    environment=native.

    What a backend from outside asks for itself is not in it: that belongs to its code, and would keep it out of every
    table with others.
    """
    if entrant.environment == "native":
        return None
    return controls.digest(
        controls.asked_variables(threads=entrant.threads, scratch=Path("<launch>"), tf32=entrant.dtype == "tf32")
    )


def cpus_of(entrant: Entrant, cpus: Sequence[int] = ()) -> list[int]:
    """The CPUs that an entrant's launches are pinned to; none under environment=native.

    They are chosen once, before the run's first launch (`harness.runs.quiet`), and kept by its plan: all its launches,
    also those of `--resume`, are timed on the same ones.

    Args:
        cpus: that were chosen, the quietest first; without any, the last ones that we may use.

    Raises:
        InputError: the machine has fewer CPUs than the entrant computes on, or those that were chosen are not ours now.
    """
    if entrant.environment != "controlled":
        return []
    if not cpus:
        return controls.choose_cpus(entrant.threads, entrant.replicas)
    allowed = os.sched_getaffinity(0)
    if entrant.cpus > len(cpus) or not set(cpus) <= allowed:
        was, now = (", ".join(map(str, sorted(each))) for each in (cpus, allowed))
        raise InputError(
            f"The run is pinned to CPU {was}, and this process may use CPU {now} now. Go on with it where it may use "
            f"these (taskset -c {was.replace(' ', '')} ...), or start a new run."
        )
    return sorted(cpus[: entrant.cpus])


def set_aside(backends: Iterable[str]) -> list[str]:
    """The user's variables that controlled launches of these backends do without."""
    asked = controls.asked_variables(threads=1, scratch=Path("."))
    return controls.launch_environment(os.environ, asked, also=backends)[1]
