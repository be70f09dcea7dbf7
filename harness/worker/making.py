"""A backend's object, from what is asked for. Worker side."""

from __future__ import annotations

from typing import Any

from harness.spec.network import Network
from harness.spec.recipe import Recipe
from harness.spec.replicas import Replica
from harness.worker.job import Entrant


def make(
    backend_class: Any, entrant: Entrant, network: Network, recipe: Recipe, *, replica: Replica | None = None
) -> Any:
    """Build an entrant's backend.

    Args:
        replica: which one it is, where the entrant has several; the class is then that of `parallel.py`.
    """
    options = {key: getattr(entrant, key) for key in ("mode", "feed", "device", "dtype", "threads")}
    if entrant.replicas > 1:
        options["replica"] = replica or Replica(0, entrant.replicas, "")
    return backend_class(network=network, recipe=recipe, **options)
