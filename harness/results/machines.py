"""What two machines differ in, whose digests are not the same.

The digest (`machine_sha256`) is of the host's name, the processor, the CPUs, the memory, the system and the
architecture. environment.json has all of these but the name, which is nobody's business: where nothing else differs,
the name does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import InputError
from harness.results.folder import RunFolder

# Key of environment.json -> for people.
PARTS = {
    "processor": "processor", "cpus": "CPUs", "memory_gib": "memory in GiB", "system": "system",
    "architecture": "architecture",
}  # fmt: skip
RENAMED = (
    "processor, CPUs, memory, system and architecture are the same, so it is the host's name that is not: another "
    "machine of the kind, or this one with another name"
)


def recorded(folder: RunFolder) -> dict[str, Any]:
    """The machine of a run as environment.json has it; empty where it says nothing."""
    try:
        values = folder.read_environment().get("machine")
    except InputError:
        return {}
    return values if isinstance(values, dict) else {}


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What differs, for behind a colon; `here` comes second.

    Args:
        there: of environment.json, `machine`; people may have edited it.
        here: the same of the other machine.
    """
    moved = [
        f"{what} {_shown(there[key])} → {_shown(here[key])}"
        for key, what in PARTS.items()
        if there.get(key) and here.get(key) and str(there[key]) != str(here[key])
    ]
    if moved:
        return ", ".join(moved)
    if all(there.get(key) and here.get(key) for key in PARTS):
        return RENAMED
    return "in what is not known, because only its digest is recorded"


def difference_of_texts(there: str, here: str) -> str:
    """What differs, where of one machine only the line for people and the digest are known."""
    if there == here:
        return (
            f"{there}, as this; the host's name, the system or the architecture is not the same, and only a digest of "
            "them is recorded"
        )
    return f"{there} → {here}"


def _shown(value: Any) -> str:
    return str(value)[:60]
