"""The file of a sweep: TOML, checked whole before anything runs; what is wrong in it is named with line and key.

[cells]          each combination is a run of its own
[[entrants]]     who takes part in each of them
[[exclude]]      what is left out
[run]            how each is measured: options of `run`
[sweep]          of the whole: its budget
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.commands import settings
from harness.errors import InputError, unknown
from harness.files import read_regular
from harness.results.plain_values import shown
from harness.runs.sweep import OF_CELLS, OF_ENTRANTS, Asked, Exclusion

MAX_BYTES = 2**18
OF_RUNS = (
    "preset", "precision", "budget", "rounds", "base", "epochs", "seeds", "until", "inference-sizes", "steady-s",
    "launch-timeout", "audit-batches", "limit", "unverified",
)  # fmt: skip
OF_SWEEPS = ("budget",)
# Table -> its keys.
TABLES: dict[str, tuple[str, ...]] = {
    "cells": OF_CELLS, "entrants": OF_ENTRANTS, "exclude": (*OF_ENTRANTS, *OF_CELLS), "run": OF_RUNS,
    "sweep": OF_SWEEPS,
}  # fmt: skip
SEVERAL = ("entrants", "exclude")
HEADER, KEY = re.compile(r"\s*\[{1,2}\s*([\w.-]+)\s*\]{1,2}"), re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*=")


@dataclass(frozen=True)
class SweepFile:
    """What a file says.

    Attributes:
        where: file and line of [run], for messages.
        options: parameter of `run` -> its value, of those that are the same in all cells.
        budget_s: seconds for the whole sweep; 0 for none.
    """

    asked: Asked
    where: str
    options: Mapping[str, Any]
    budget_s: float
    text: str


class _Reader:
    """One file that is being read, by what `run` makes of its options."""

    def __init__(self, path: Path, text: str, command: Any) -> None:
        self.path = path
        self.command = command
        self.options = settings.options_of(command)
        self.kinds = settings.kinds_of(command, self.options)
        self.lines = _lines(text)

    def where(self, table: str, number: int = 0, key: str = "") -> str:
        """File and line of a key, or of a table's header: the beginning of a message."""
        line = self.lines.get((table, number, key)) or self.lines.get((table, number, ""), 1)
        return f"{self.path}, line {line}: "

    def values(self, table: str, content: Mapping[str, Any], number: int = 0) -> dict[str, tuple[Any, ...]]:
        """Key -> values of a table of a product, each as `run` reads that option.

        Raises:
            InputError: a key that nobody knows, an empty list, or a value that its option does not take.
        """
        found = {}
        for key, value in content.items():
            where = self.where(table, number, key)
            self._check_key(table, key, where)
            values = value if isinstance(value, list) else [value]
            if not values:
                raise InputError(
                    f"{where}{key} of [{table}] is an empty list: the product with it is empty, too. Name a value, or "
                    "take the line out."
                )
            found[key] = tuple(dict.fromkeys(part for each in values for part in self._parts(table, key, each, where)))
        return found

    def single(self, table: str, key: str, value: Any) -> Any:
        """A value of an option that is the same in all cells."""
        where = self.where(table, 0, key)
        self._check_key(table, key, where)
        kind = self.kinds[key]
        if not kind.takes(value):
            raise InputError(
                f"{where}{key} of [{table}] takes {kind.words}, got {shown(value)}. Write {key} = {kind.example}, say."
            )
        return settings.parsed(self.command, self.options[key], kind.as_option(value), where)

    def _parts(self, table: str, key: str, value: Any, where: str) -> tuple[Any, ...]:
        kind = self.kinds[key]
        if isinstance(value, list) or not kind.takes(value):
            raise InputError(
                f"{where}{key} of [{table}] takes {kind.words}, or a list of such, got {shown(value)}. Write {key} = "
                f"{kind.example}, say."
            )
        read = settings.parsed(self.command, self.options[key], kind.as_option(value), where)
        return tuple(read) if isinstance(read, list | tuple) else (read,)

    def _check_key(self, table: str, key: str, where: str) -> None:
        if key in TABLES[table]:
            return
        for other, keys in TABLES.items():
            if key in keys:
                shape = f"[[{other}]]" if other in SEVERAL else f"[{other}]"
                raise InputError(f"{where}{key} does not stand in [{table}]. Put it under {shape}.")
        if key in self.options:
            raise InputError(f"{where}{key} belongs to one call: give --{key} on the command line.")
        raise InputError(f"{where}[{table}]: {unknown('key', shown(key).strip(chr(34)), TABLES[table])}")


def read(path: Path, command: Any, *, text: str | None = None) -> SweepFile:
    """Read a sweep's file.

    Args:
        command: `run`, as typer has it.
        text: what the file says, where it has been read; None to read it.

    Raises:
        InputError: there is none, it is no TOML, or something in it is not what it must be; with line and key.
    """
    text = read_regular(path, most=MAX_BYTES).decode("utf-8", "replace") if text is None else text
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no TOML: {error}. Mend that line.") from None
    reader = _Reader(path, text, command)
    _check_tables(reader, content)
    entrants = [
        (reader.where("entrants", number), reader.values("entrants", each, number))
        for number, each in enumerate(_several(content, "entrants"))
    ]
    for where, table in entrants:
        if "backend" not in table:
            raise InputError(f'{where}this [[entrants]] names no backend. Write backend = "torch", say.')
    if not entrants:
        raise InputError(f'{path} has no [[entrants]]: nobody takes part. Write it, and backend = "torch", say.')
    exclusions = [
        Exclusion(reader.where("exclude", number), reader.values("exclude", each, number))
        for number, each in enumerate(_several(content, "exclude"))
    ]
    for each in exclusions:
        if not each.values:
            raise InputError(f"{each.where}this [[exclude]] names nothing, which would leave out all. Take it out.")
    run = {
        str(reader.options[key].name): reader.single("run", key, value) for key, value in content.get("run", {}).items()
    }
    cells = reader.values("cells", content.get("cells", {}))
    asked = Asked(reader.where("cells"), cells, entrants, exclusions, limit=run.pop("limit", False))
    sweep = {key: reader.single("sweep", key, value) for key, value in content.get("sweep", {}).items()}
    return SweepFile(asked, reader.where("run"), run, sweep.get("budget", 0.0), text)


def _check_tables(reader: _Reader, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if name not in TABLES:
            where = reader.where(name) if (name, 0, "") in reader.lines else reader.where("", 0, name)
            raise InputError(f"{where}{unknown('table', shown(name).strip(chr(34)), TABLES)}")
        tables = value if name in SEVERAL and isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in tables):
            shape = f"[[{name}]]" if name in SEVERAL else f"[{name}]"
            raise InputError(f"{reader.where('', 0, name)}{name} is a table. Write {shape} and its keys below.")


def _several(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The tables of a name; one in single brackets is one."""
    found = content.get(name, [])
    return [found] if isinstance(found, dict) else found


def _lines(text: str) -> dict[tuple[str, int, str], int]:
    """Table, which of its name (from 0), key -> line, from 1; "" for the key of a header."""
    found: dict[tuple[str, int, str], int] = {}
    table, counts = "", {"": 1}
    for line, words in enumerate(text.splitlines(), 1):
        header, key = HEADER.match(words), KEY.match(words)
        if header:
            table = header[1]
            counts[table] = counts.get(table, 0) + 1
            found.setdefault((table, counts[table] - 1, ""), line)
        elif key:
            found.setdefault((table, counts[table] - 1, key[1]), line)
    return found
