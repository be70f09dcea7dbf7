"""`jax_launches DEVICE`: what JAX's profiler sees of a step, by CUPTI."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gpu.probes.counting import of_planes
from benchmarks.gpu.probes.steps import traced


def trace(call: Callable[[], Any]) -> dict[str, Any]:
    """Trace one call."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call()
        (file,) = Path(folder).rglob("*.xplane.pb")
        return of_planes(jax.profiler.ProfileData.from_file(str(file)).planes)


if __name__ == "__main__":
    # The first trace starts CUPTI.
    trace(lambda: jnp.zeros(1).block_until_ready())
    traced("jax", sys.argv[1], trace)
