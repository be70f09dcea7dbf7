"""What is installed in an environment, as `pip freeze` would list it, and its digest. Standard library only."""

from __future__ import annotations

import hashlib
import importlib.metadata


def packages_digest() -> tuple[str, list[str]]:
    """Return SHA-256 of the sorted `name==version` lines of this environment, and the lines."""
    lines = sorted(
        {f"{distribution.name.lower().replace('_', '-')}=={distribution.version}" for distribution in _distributions()}
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest(), lines


def _distributions() -> list[importlib.metadata.Distribution]:
    # A broken, half removed package has no name.
    return [distribution for distribution in importlib.metadata.distributions() if distribution.name]
