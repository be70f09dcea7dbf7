"""The code that a proof is of, as a digest: another byte in it, and what was proven or measured with it is void."""

from __future__ import annotations

import hashlib
from pathlib import Path

import backends
from harness.files import ROOT

# Rooms of the harness that define the computation, carry it out in a launch, or judge it.
DEFINING = ("spec", "worker", "proof")


def digest(backend: str) -> str:
    """SHA-256 of the backend's files and of those that define the computation."""
    folders = [Path(folder) / backend for folder in backends.__path__]
    files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    files += [file for room in DEFINING for file in sorted((ROOT / "harness" / room).glob("*.py"))]
    running = hashlib.sha256()
    for file in files:
        running.update(f"{file.parent.name}/{file.name}".encode() + b"\0" + file.read_bytes())
    return running.hexdigest()
