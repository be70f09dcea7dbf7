"""Which backends there are and what they say of themselves; imports no framework."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import backends
from harness.spec.precision import GPU_ONLY
from harness.worker import facts as stated
from harness.worker import places, versions
from harness.worker.job import LONG_BLOCK, Entrant, block_steps
from harness.worker.places import EXTRA, names

__all__ = ["EXTRA", "FRAMEWORKS", "names"]

FRAMEWORKS = backends.FRAMEWORKS


def facts(name: str) -> ModuleType:
    """Return a backend's `__init__.py`, whose contents `harness/spec/protocol.py` describes.

    Raises:
        InputError: there is no such backend, or its facts are not as they must be.
    """
    return stated.of(name)


def modes(name: str, device: str) -> dict[str, str]:
    """The modes that a backend has on a device, each with its sentence; the first is the default."""
    known = facts(name)
    return {m: text for m, text in known.MODES.items() if device != "cpu" or m not in getattr(known, "GPU_MODES", ())}


def dtypes(name: str, device: str) -> tuple[str, ...]:
    """The precisions that a backend trains in on a device; the first is the default."""
    return tuple(dtype for dtype in facts(name).DTYPES if device != "cpu" or dtype not in GPU_ONLY)


def refusal(name: str, mode: str, dtype: str) -> str:
    """Why a backend does not train in this mode and precision, a sentence; empty where it does."""
    return str(getattr(facts(name), "REFUSED", {}).get((mode, dtype), ""))


def most_threads(name: str) -> int | None:
    """With how many threads a backend can compute, at the most; None for any number."""
    return getattr(facts(name), "MOST_THREADS", None)


def steps_of(entrant: Entrant) -> int:
    """Steps of a block of this entrant."""
    longer = blockwise(entrant.backend).get(entrant.mode)
    if longer is None and entrant.device == "cpu":
        return block_steps(entrant.batch_size)
    return block_steps(entrant.batch_size, most=LONG_BLOCK) * (longer or 1)


def blockwise(name: str) -> dict[str, int]:
    """The modes of a backend that hand over whole blocks, and how many times LONG_BLOCK steps these have."""
    return dict(getattr(facts(name), "BLOCKWISE", {}))


def replicas(name: str) -> dict[str, str]:
    """The modes in which a backend trains with several replicas, each with its sentence; empty for none."""
    return dict(getattr(facts(name), "REPLICAS", {}))


def backend_class(name: str, *, parallel: bool = False) -> Any:
    """Import the framework and return the class Backend. Only workers call this.

    Args:
        parallel: the one that has replicas.
    """
    return places.import_code(name, "parallel" if parallel else "backend")


def installed_version(name: str) -> str | None:
    """Version of the framework in this interpreter's environment, without importing it; None where absent."""
    return versions.version_of(facts(name).DISTRIBUTIONS)


def commit_of(name: str) -> str:
    """The commit that the framework in this interpreter's environment was built from; empty where nobody knows."""
    return next(filter(None, map(versions.commit_of, facts(name).DISTRIBUTIONS)), "")
