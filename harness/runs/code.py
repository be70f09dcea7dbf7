"""The code that a proof is of, as digests: another byte in it, and what was proven or measured with it is void."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from backends import REFERENCE
from harness.files import ROOT
from harness.worker import places

# Rooms of the harness that define the computation, feed it, carry it out, or judge it.
ROOMS = ("spec", "data", "worker", "runs", "proof")
OTHER_BACKEND = re.compile(rb"\bbackends\.(\w+)")


def digests(backend: str) -> dict[str, str]:
    """SHA-256 of each room that a proof rests on, of the reference, and of the backend with all that it wraps."""
    return digests_of([backend])[backend]


def digests_of(backends: Iterable[str]) -> dict[str, dict[str, str]]:
    """Backend -> its `digests`; what they have in common is read once."""
    common = {room: _digest([ROOT / "harness" / room]) for room in ROOMS}
    common["errors and files"] = _digest([ROOT / "harness" / "errors.py", ROOT / "harness" / "files.py"])
    common["reference"] = _digest(_folders_of(REFERENCE))
    return {
        backend: common | {"backend": _digest(folder for name in _wrapped(backend) for folder in _folders_of(name))}
        for backend in dict.fromkeys(backends)
    }


def digest(backend: str) -> str:
    """All of `digests` as one."""
    return as_one(digests(backend))


def as_one(parts: Mapping[str, str]) -> str:
    """One digest of `digests`."""
    lines = [f"{part} {value}" for part, value in sorted(parts.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The parts that are not as they were."""
    return sorted(part for part in {*before, *now} if before.get(part) != now.get(part))


def _folders_of(name: str) -> list[Path]:
    """Where the code of a backend is; what is no backend may be code that several share (`tests/attacks` has such)."""
    if name in places.names():
        return [places.folder_of(name)]
    return [place / name for place in places.folders() if (place / name).is_dir()]


def _wrapped(backend: str) -> list[str]:
    """The backend, and those whose names stand in its files, or in theirs."""
    found, left = [], [backend]
    while left:
        name = left.pop()
        if name in found or not _folders_of(name):
            continue
        found.append(name)
        for folder in _folders_of(name):
            for file in folder.rglob("*.py"):
                left += [other.decode() for other in OTHER_BACKEND.findall(file.read_bytes())]
    return sorted(found)


def _digest(parts: Iterable[Path]) -> str:
    """Of every file below, whatever its ending and however deep, by its path and its bytes."""
    running = hashlib.sha256()
    for part in parts:
        files = sorted(part.rglob("*")) if part.is_dir() else [part]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                running.update(f"{file.relative_to(part.parent)} {len(content)}\n".encode() + content)
    return running.hexdigest()
