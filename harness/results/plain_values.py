"""Plain values from a JSON file, held against what they must be, before anything uses them.

JSON is bounded before it is read: its bytes, and by Python's own limits how deep it is and how long a number.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import InputError
from harness.files import read_regular

T = TypeVar("T")
# Characters of a value that a message shows.
SHOWN = 60
NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object",
         list: "a list", tuple: "a list", type(None): "null"}  # fmt: skip
# Whole numbers that are kept in 64 bits further on.
LEAST, MOST = -(2**63), 2**63 - 1


def read_json(path: Path, *, most: int) -> Any:
    """Read a JSON file of at most so many bytes.

    Raises:
        InputError: there is none, it is too large, or it is no JSON.
    """
    content = read_regular(path, most=most)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise InputError(f"{path} is not JSON that can be read: it is nested too deep.") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from None


def checked(value: Any, wanted: Any, where: str) -> Any:
    """Return a value as the type that it must be of: lists as tuples where these are wanted, objects as dataclasses.

    Args:
        wanted: a plain type, one of several (`str | None`), a list, tuple or dict of such, or a dataclass of such.
        where: file and key, for people.

    Raises:
        InputError: it is of another type; a number that is not finite or has more than 64 bits; an object without a
            key that it needs, or with one that nobody knows. With file, key and what was found.
    """
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else checked(value, next(one for one in inner if one is not types.NoneType), where)
    if dataclasses.is_dataclass(wanted):
        return _made(value, wanted, where)
    if origin in (list, tuple):
        items = _of(value, list, where)
        return origin(checked(each, inner[0], f"{where}[{number}]") for number, each in enumerate(items))
    if origin is dict:
        return {key: checked(each, inner[1], f"{where}.{key}") for key, each in _of(value, dict, where).items()}
    return _of(value, wanted, where)


def _of(value: Any, wanted: Any, where: str) -> Any:
    if wanted is object or wanted is Any:
        return value
    if wanted is float and type(value) is int and LEAST <= value <= MOST:
        return float(value)
    # A truth value is an int to Python.
    if type(value) is not wanted:
        raise InputError(f"{where} must be {NAMES[wanted]}; found {shown(value)}.")
    if wanted is float and not math.isfinite(value):
        raise InputError(f"{where} must be a finite number; found {shown(value)}.")
    if wanted is int and not LEAST <= value <= MOST:
        raise InputError(f"{where} must be a whole number of 64 bits; found {shown(value)}.")
    return value


def _made(value: Any, wanted: Any, where: str) -> Any:
    """A dataclass of an object's values."""
    values, kinds = _of(value, dict, where), typing.get_type_hints(wanted)
    names = {each.name: each for each in dataclasses.fields(wanted)}
    for name in values:
        if name not in names:
            raise InputError(f"{where} has the key {name!r}, which this lenet-bench does not know.")
    for name, each in names.items():
        if name not in values and each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            raise InputError(f"{where} lacks the key {name!r}.")
    read = {name: checked(each, kinds[name], f"{where}.{name}") for name, each in values.items()}
    try:
        return wanted(**read)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where} is not possible: {error}") from None


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    try:
        text = repr(value) if isinstance(value, float) else json.dumps(value, default=str)
    except (ValueError, RecursionError):
        text = "a very long number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
