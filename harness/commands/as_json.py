"""What `verify`, `gate` and `doctor` print for programs: one JSON object; docs/json.md has its fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

import harness
from harness.errors import unknown

FORMATS = ("table", "json")
# Of all three together. Raised where a field goes, or means something else.
VERSION = 1
Format = Annotated[str, typer.Option("--format", help="table, or json: one object, for programs (docs/json.md).")]


def wanted(name: str) -> bool:
    """Whether JSON is asked for.

    Raises:
        InputError: there is no such format; before any work is done.
    """
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return name == "json"


def show(command: str, fields: Mapping[str, Any]) -> None:
    """Print the object on standard output, and nothing else: all that is for people goes to standard error."""
    about = {"json_version": VERSION, "lenet_bench": harness.__version__, "command": command}
    print(json.dumps(_plain(about | dict(fields)), indent=1, allow_nan=False, ensure_ascii=False))


def _plain(value: Any) -> Any:
    """The value with null for what is no finite number, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
