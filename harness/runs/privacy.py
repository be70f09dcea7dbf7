"""What a run's files say of whoever measured it: nothing. Home folders, the login and the host's name are put aside.

What is written goes through here: messages of workers, paths of interpreters and data. docs/privacy.md lists what is
recorded. A name that anybody may have (`root`, `ubuntu`) tells nothing and stays; so do names of backends, without
which a message could not be read.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import pwd
import re
from pathlib import Path
from typing import Any

from harness.worker import catalogue, controls, facts

USER, HOST = "<user>", "<host>"
# Names that tell nothing.
_COMMON = """
admin app build builder ci data docker home host jenkins lenet local localhost machine main model models node python
root run runner server system test tests train ubuntu user users vagrant work worker
"""
COMMON = frozenset(_COMMON.split())
LEAST_LETTERS = 3
# Other people's, and those of another machine whose files are read here.
HOMES = re.compile(r"(?<![\w.])(/home|/Users)/[^/\s'\"<>:;,()\]]+")
WITH_SLASHES = re.compile(r"\S*[/@]\S*")

# Variables that were set aside influence what a launch would have done, so their names are kept; those of frameworks
# alone that are documented (VARIABLES in their facts), because anybody may make up others that begin alike. The rest is
# counted.
LIBRARIES = tuple(each for each in controls.LIBRARIES if each != "PYTHON")


def hide(text: str) -> str:
    """A text for people or files: `~` for the home folder, and neither this login nor this host's name."""
    for name in _hosts():
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?:\.\w[\w.-]*\w)?(?![\w-])", HOST, text)
    return HOMES.sub(rf"\1/{USER}", hide_path(text))


def hide_path(path: str) -> str:
    """What of a path is this user's own: `~` for the home folder, `<user>` for the login; `reveal` undoes it."""
    for home in _homes():
        path = re.sub(rf"(?<![\w.]){re.escape(home)}(?=/|$|[^\w.-])", "~", path)
    name = _login()
    if not name:
        return path
    # In paths and addresses alone: a login may be a word of any sentence.
    own = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    return WITH_SLASHES.sub(lambda found: own.sub(USER, found[0]), path)


def reveal(path: str) -> str:
    """The inverse of `hide_path`, where whoever reads is whoever wrote."""
    return os.path.expanduser(path.replace(USER, _login() or USER))


def hide_all(values: Any, *, but: tuple[str, ...] = ()) -> Any:
    """As `hide`, every text in JSON-like values.

    Args:
        but: keys of the outermost object whose values stay as they are.
    """
    if isinstance(values, str):
        return hide(values)
    if isinstance(values, dict):
        return {key: value if key in but else hide_all(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [hide_all(value) for value in values]
    return values


def known_names(variables: list[str]) -> list[str]:
    """The names of variables that everybody may read, and at the end how many others there were."""
    documented = {each for name in catalogue.names() for each in facts.get(name, "VARIABLES", ())}
    known = [name for name in variables if name.startswith(LIBRARIES) or name in documented]
    others = len(variables) - len(known)
    return known + ([f"{others} other{'' if others == 1 else 's'}"] if others else [])


def _homes() -> list[str]:
    """This user's home folders, by every name, longest first; none that is a folder of the system's."""
    found = {os.path.expanduser("~")}
    # A container's user may be in no list.
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwuid(os.getuid()).pw_dir)
    found |= {os.path.realpath(home) for home in found}
    return sorted((home for home in found if len(Path(home).parts) > 1), key=len, reverse=True)


def _login() -> str:
    """This user's name, if it tells anything."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return ""
    return name if _tells(name) else ""


def _hosts() -> list[str]:
    """This host's name and the first part of it, as far as they tell anything."""
    name = platform.node()
    return [each for each in dict.fromkeys((name, name.partition(".")[0])) if _tells(each)]


def _tells(name: str) -> bool:
    return len(name) >= LEAST_LETTERS and name.casefold() not in COMMON and name not in catalogue.names()
