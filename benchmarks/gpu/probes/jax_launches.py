"""`jax_launches DEVICE FOLDER`: what JAX's profiler sees of a step, by CUPTI; the profiles are kept in the folder."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gpu.probes.counting import of_planes
from benchmarks.gpu.probes.steps import traced


def trace(call: Callable[[], Any], kept: Path | None = None) -> dict[str, Any]:
    """Trace one call."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call()
        (file,) = Path(folder).rglob("*.xplane.pb")
        if kept:
            shutil.copyfile(file, kept)
        return of_planes(jax.profiler.ProfileData.from_file(str(file)).planes)


if __name__ == "__main__":
    # The first trace starts CUPTI.
    trace(lambda: jnp.zeros(1).block_until_ready())
    profiles = Path(sys.argv[2])
    traced("jax", sys.argv[1], lambda call, name: trace(call, profiles / f"{name}.xplane.pb"))
