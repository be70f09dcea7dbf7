"""What environment.json holds, read and checked: everything that is told of a run by other files than tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.results.plain_values import NAMES, checked, read_json, shown

# The largest that was seen has 20 KB.
MAX_BYTES = 4 * 2**20
NEXT = "Restore the file, or measure again."
# What each key must hold, where it is there. Older files lack some, later ones have more.
SHAPES: dict[str, Any] = {
    "run": str,
    "lenet_bench": str,
    "code": dict[str, dict[str, str]],
    "plan": dict[str, object],
    "data_set": dict[str, str],
    "machine": dict[str, str],
    "interpreters": dict[str, str],
    "controls": dict[str, dict[str, object]],
    "variables_set_aside": list[str],
    "packages": dict[str, list[str]],
    "earlier": list[dict[str, object]],
}
OF_CONTROLS: dict[str, Any] = {"environment": dict[str, str], "cpus": list[int] | None}


def read_environment(path: Path) -> dict[str, Any]:
    """Read an environment.json.

    Raises:
        InputError: it is missing, too large, no JSON, or a key of it holds something else than it must; with file, key
            and what was found.
    """
    values = read_json(path, most=MAX_BYTES)
    if not isinstance(values, dict):
        raise InputError(f"{path} is not a run's: it must be {NAMES[dict]}; found {shown(values)}. {NEXT}")
    try:
        found = {name: checked(each, SHAPES.get(name, object), f"{path}, {name}") for name, each in values.items()}
        for label, asked in found.get("controls", {}).items():
            for name, shape in OF_CONTROLS.items():
                checked(asked.get(name), shape | None, f"{path}, controls.{label}.{name}")
    except InputError as error:
        raise InputError(f"{error} {NEXT}") from None
    return found
