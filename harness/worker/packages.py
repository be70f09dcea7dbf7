"""What is installed in an environment, as `pip freeze` would list it, and its digest. Standard library only.

Run as a file, it prints both, and the version of Python, of the environment that it runs in: JSON.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a checkout is made of that can be imported.
IMPORTED = (".py", ".so", ".pyx", ".pxd")
# Its code is known by other digests, and its folder holds results that change.
OURS = "lenet-bench"


def packages_digest(path: Sequence[str] | None = None) -> tuple[str, list[str]]:
    """Return SHA-256 of the sorted `name==version` lines of this environment, and the lines.

    A package that is installed as a checkout to be edited (pip install --editable) has the state of its files behind
    its version: `jax==0.10.2+files.3fa9c1d2e4b5`.

    Args:
        path: where to look; sys.path where it is not given.
    """
    lines = sorted({_line(distribution) for distribution in _distributions(sys.path if path is None else path)})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest(), lines


def _line(distribution: importlib.metadata.Distribution) -> str:
    name = distribution.name.lower().replace("_", "-")
    checkout = _checkout(distribution)
    files = f"+files.{_state(checkout)}" if checkout and name != OURS else ""
    return f"{name}=={distribution.version}{files}"


def _checkout(distribution: importlib.metadata.Distribution) -> Path | None:
    """The folder that an editable package is imported from (PEP 610, direct_url.json); None for all others."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        editable = origin.get("dir_info", {}).get("editable", False)
        return Path(unquote(urlsplit(origin["url"]).path)) if editable else None
    except (ValueError, KeyError, AttributeError, OSError):
        return None


def _state(folder: Path) -> str:
    """Digest of names, sizes and times of change of all files that can be imported: contents would take too long."""
    running = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(IMPORTED):
                state = os.stat(os.path.join(place, name))
                running.update(f"{place}/{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return running.hexdigest()[:12]


def _distributions(path: Sequence[str]) -> list[importlib.metadata.Distribution]:
    # A broken, half removed package has no name.
    return [found for found in importlib.metadata.distributions(path=list(path)) if found.name]


if __name__ == "__main__":
    digest, lines = packages_digest()
    print(json.dumps({"sha256": digest, "packages": lines, "python": platform.python_version()}))
