"""Which backends there are and what they say of themselves; imports no framework.

`LENET_BENCH_BACKENDS` may name a folder with more backends, each a folder like those under `backends/`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import backends
from harness.errors import unknown
from harness.spec.precision import GPU_ONLY
from harness.worker.job import LONG_BLOCK, Entrant, block_steps

FRAMEWORKS = ("torch", "tensorflow", "jax", "mxnet", "paddle")
EXTRA = "LENET_BENCH_BACKENDS"


def _folders() -> list[Path]:
    extra = os.environ.get(EXTRA)
    if extra:
        # Workers inherit the variable and start in another folder.
        extra = os.environ[EXTRA] = str(Path(extra).resolve())
    if extra and extra not in backends.__path__:
        backends.__path__.append(extra)
    return [Path(folder) for folder in backends.__path__]


def names() -> list[str]:
    """All backends: the five frameworks, the reference, the limit, then whatever EXTRA adds."""
    found = {file.parent.name for folder in _folders() for file in folder.glob("*/backend.py")}
    known = [*FRAMEWORKS, "numpy", "numba"]
    return known + sorted(found - set(known))


def facts(name: str) -> ModuleType:
    """Return `backends/<name>/__init__.py`, whose contents `harness/spec/protocol.py` describes.

    Raises:
        InputError: there is no such backend; the message lists those there are.
    """
    if name not in names():
        raise unknown("backend", name, names())
    return importlib.import_module(f"backends.{name}")


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


def backend_class(name: str) -> Any:
    """Import the framework and return the class Backend. Only workers call this."""
    _folders()
    return importlib.import_module(f"backends.{name}.backend").Backend


def installed_version(name: str) -> str | None:
    """Version of the framework in this interpreter's environment, without importing it; None where absent."""
    for distribution in facts(name).DISTRIBUTIONS:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
