"""`lenet-bench.toml`: what `run`, `gate` and `report` do in a folder unless an option says otherwise.

A table a command, in it the options' names without their dashes. Its values become the options' defaults, as text, so
that whatever checks options checks them, too. Read without importing a command but the one that is called.
"""

from __future__ import annotations

import inspect
import re
import tomllib
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from harness.errors import InputError, unknown
from harness.files import read_regular
from harness.results.plain_values import SHOWN, shown

FILE = Path("lenet-bench.toml")
MAX_BYTES = 2**18
# The commands that read it, each with the options that belong to one call alone.
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("resume", "anew-from-here", "name", "unverified", "dry-run", "cluster"),
    "gate": ("summary", "junit", "format"),
    "report": ("output",),
}
# Options that name several things with commas: a list will do for them as well.
LISTED = ("mode", "feed", "format")
# What an option on the command line sets aside beside its own key: keys that were chosen for the value it replaces.
ASIDE: dict[str, tuple[str, ...]] = {
    "preset": ("rounds", "precision", "budget", "epochs", "seeds", "steady-s"),
    "precision": ("rounds",),
    "budget": ("rounds",),
    "backend": ("mode", "base", "framework-version", "python"),
    "network": ("recipe", "data-set", "batch-size"),
    "recipe": ("network", "data-set", "batch-size"),
}
# What a sweep's file does not say, and this one may.
BESIDE_SWEEP = ("results-dir", "data-dir", "python", "here", "strict")
# Told apart by what a line begins with; values that go over several lines have no keys in them.
TABLE, KEY = re.compile(r"\s*\[\s*([\w.-]+)\s*\]"), re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*=")


@dataclass(frozen=True)
class Kind:
    """What a key takes.

    Attributes:
        words: for people.
        example: as it stands in the file.
        one: the types of a value.
        several: whether a list of such will do.
        multiple: whether the option is one that is repeated.
    """

    words: str
    example: str
    one: tuple[type, ...]
    several: bool = False
    multiple: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value is of this kind; true and false are no numbers."""
        values = value if self.several and isinstance(value, list) else [value]
        return bool(values) and all(type(each) in self.one and not self._is_too_long(each) for each in values)

    @staticmethod
    def _is_too_long(value: Any) -> bool:
        """Whether it is a number of more digits than Python writes."""
        return type(value) is int and abs(value) >= 2**63

    def as_option(self, value: Any) -> Any:
        """The value as the command line would have it."""
        if isinstance(value, bool):
            return value
        texts = [str(each) for each in (value if isinstance(value, list) else [value])]
        return texts if self.multiple else ",".join(texts)


def defaults(name: str, command: Any, arguments: list[str]) -> tuple[dict[str, Any], str]:
    """What the file in the current folder says for a command; see `read`. Both empty where there is no file."""
    of_itself = {"--resume", "--help"} & {each.partition("=")[0] for each in arguments}
    if name not in COMMANDS or of_itself or not FILE.exists():
        return {}, ""
    return read(read_regular(FILE, most=MAX_BYTES).decode("utf-8", "replace"), name, command, arguments)


def read(text: str, name: str, command: Any, arguments: list[str]) -> tuple[dict[str, Any], str]:
    """What a file says for a command, without what the command line sets aside.

    Args:
        command: as typer has it.
        arguments: of the command line, behind the command's name.

    Returns:
        parameter -> value, and a sentence that says what was read.

    Raises:
        InputError: the file is no TOML, has a key that nobody knows, or a value that is none for its key; with line,
            key, what was found and what to do.
    """
    table = _table(text, name)
    options = options_of(command)
    kinds = {key: kind for key, kind in kinds_of(command, options).items() if key not in COMMANDS[name]}
    given = [key for key, option in options.items() if _is_given(option, arguments)]
    aside = {key for option in given for key in (option, *ASIDE.get(option, ()))}
    if name == "run" and any(each.endswith(".toml") for each in arguments):
        aside |= {key for key in table if key in kinds and key not in BESIDE_SWEEP}
    found = {}
    for key, value in table.items():
        where = f"{FILE}, line {_line(text, name, key)}: "
        _check(key, value, kinds, name, where)
        if key not in aside:
            found[str(options[key].name)] = kinds[key].as_option(value)
            parsed(command, options[key], kinds[key].as_option(value), where)
    return found, _sentence(table, aside)


def _check(key: str, value: Any, kinds: dict[str, Kind], name: str, where: str) -> None:
    """Refuse a key that nobody knows, and a value that is not of its kind."""
    if key not in kinds:
        raise InputError(f"{where}[{name}] has no key {_cut(key)!r}. {_advice(key, kinds, name)}")
    if not kinds[key].takes(value):
        raise InputError(
            f"{where}{key} of [{name}] takes {kinds[key].words}, got {shown(value)}. Write {key} = "
            f"{kinds[key].example}, say, or take the line out."
        )


def _table(text: str, name: str) -> dict[str, Any]:
    """The command's table; refuses other tables than those of COMMANDS, and keys outside of all."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{FILE} is no TOML: {error}. Mend that line; `lenet-bench init --force` writes it anew."
        ) from None
    for key, value in found.items():
        if not isinstance(value, dict):
            names = ", ".join(f"[{each}]" for each in COMMANDS)
            raise InputError(
                f"{FILE}, line {_line(text, '', key)}: {_cut(key)!r} stands in no table. Put it under one of {names}."
            )
        if key not in COMMANDS:
            line = next(
                (n for n, each in enumerate(text.splitlines(), 1) if re.match(rf"\s*\[\s*{re.escape(key)}", each)), 1
            )
            raise InputError(f"{FILE}, line {line}: {unknown('table', _cut(key), COMMANDS)}")
    return dict(found.get(name, {}))


def _advice(key: str, kinds: dict[str, Kind], name: str) -> str:
    if key in COMMANDS[name]:
        return f"It belongs to one call: give --{key} on the command line."
    # The sentence of the list and the nearest name, without its first words.
    return str(unknown("key", _cut(key), kinds)).partition(". ")[2]


def options_of(command: Any) -> dict[str, Any]:
    """Key, an option's long name without its dashes -> the option of a command, as typer has it."""
    return {_key(each): each for each in command.params if each.param_type_name == "option"}


def _key(option: Any) -> str:
    return next((each for each in option.opts if each.startswith("--")), option.opts[0]).lstrip("-")


def kinds_of(command: Any, options: dict[str, Any]) -> dict[str, Kind]:
    """Key -> its kind, from the types that the command's function declares."""
    hints = typing.get_type_hints(inspect.unwrap(command.callback))
    return {key: _kind(key, hints[option.name]) for key, option in options.items() if option.name in hints}


def _kind(key: str, hint: Any) -> Kind:
    inner = [each for each in typing.get_args(hint) if each is not types.NoneType]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = inner[0]
    if hint is bool:
        return Kind("true or false", "true", (bool,))
    if hint is int:
        return Kind("a whole number", "5", (int,))
    if hint is float:
        return Kind("a number", "5", (int, float))
    if isinstance(hint, type) and issubclass(hint, tuple):
        return Kind("a whole number, a list of whole numbers, or text", "[1, 2]", (int, str), several=True)
    if typing.get_origin(hint) is list:
        return Kind("text or a list of texts", f'["{EXAMPLES.get(key, "torch")}"]', (str,), several=True, multiple=True)
    if key in LISTED:
        return Kind("text or a list of texts", f'"{EXAMPLES.get(key, "svg")}"', (str,), several=True)
    return Kind("text", f'"{EXAMPLES.get(key, "...")}"', (str,))


EXAMPLES = {
    "mode": "torch:eager", "feed": "host", "format": "svg", "preset": "quick", "base": "torch eager", "device": "cpu",
    "network": "lenet5", "recipe": "lenet5", "data-set": "mnist", "data-dir": "data", "results-dir": "results",
    "dtype": "float32", "environment": "controlled", "baseline": "results/baselines/accuracy.csv", "against": "main",
    "figures": "figures", "python": "torch=/path/to/python", "framework-version": "torch=2.13.0",
}  # fmt: skip


def _is_given(option: Any, arguments: list[str]) -> bool:
    """Whether an option stands on the command line: `--rounds 5`, `--rounds=5`, `-b torch`, `-btorch`."""
    names = [*option.opts, *option.secondary_opts]
    return any(
        each.partition("=")[0] in names or any(len(name) == 2 and each.startswith(name) for name in names)
        for each in arguments
    )


def parsed(command: Any, option: Any, value: Any, where: str) -> Any:
    """What whatever reads the option makes of a value.

    Raises:
        InputError: it does not take the value; `where`, file and line, stands before its words.
    """
    try:
        return option.process_value(command.context_class(command), value)
    except typer.BadParameter as error:
        raise InputError(f"{where}{_key(option)}: {error.message} Mend it, or take the line out.") from None


def _line(text: str, table: str, key: str) -> int:
    """The line of a key, counted from 1."""
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        header, found = TABLE.match(line), KEY.match(line)
        if header:
            here = header[1]
        elif found and here == table and found[1] == key:
            return number
    return 1


def _cut(key: str) -> str:
    return key if len(key) <= SHOWN else f"{key[:SHOWN]}..."


def _sentence(table: dict[str, Any], aside: set[str]) -> str:
    used = [key for key in table if key not in aside]
    passed = [key for key in table if key in aside]
    words = [", ".join(used)] if used else []
    words += [f"set aside by options: {', '.join(passed)}"] if passed else []
    return f"From {FILE}: {'; '.join(words)}." if words else ""
