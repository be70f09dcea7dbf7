"""Where the code of each backend is: here, in folders that are named, in packages that are installed.

`LENET_BENCH_BACKENDS` names folders of work in progress, with colons between them. Packages announce a backend by an
entry point (`harness.worker.entry_points`); the command line finds them, and tells workers by `LENET_BENCH_PACKAGES`.
Imports no framework, and the standard library alone: nox, whose own environment has no more, asks here, too.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import backends
from harness.errors import InputError, unknown

EXTRA, PACKAGES = "LENET_BENCH_BACKENDS", "LENET_BENCH_PACKAGES"
# `all` and `torch==2.13.0` mean something else, and a table or a file has no place for other letters.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
CODE, FACTS = "backend.py", "__init__.py"


def names() -> list[str]:
    """All backends: the frameworks, the reference, the limit, then those from outside by their letters.

    Raises:
        InputError: EXTRA names no folder of backends, or a name is taken.
    """
    return [*backends.BACKENDS, *sorted(set(_found()) - set(backends.BACKENDS))]


def folder_of(name: str) -> Path:
    """The folder with the code of a backend.

    Raises:
        InputError: there is no such backend, or the package that brings it is no more what it was.
    """
    fault = announced().get(name, {}).get("fault")
    if fault:
        raise InputError(fault)
    found = _found()
    if name not in found:
        raise unknown("backend", name, names())
    return found[name]


def module_of(name: str) -> ModuleType:
    """The facts of a backend, its `__init__.py`; raises as `folder_of`, and where they cannot be read."""
    folder = folder_of(name)
    try:
        return _package(folder) if name in announced() else importlib.import_module(f"backends.{name}")
    except ImportError as error:
        raise InputError(f"The facts of the backend {name!r} cannot be read ({folder / FACTS}): {error}.") from None


def import_code(name: str, module: str = "backend") -> Any:
    """Import a backend's framework, and return its class Backend. `module_of` is to be called before.

    Args:
        module: that has the class.
    """
    return importlib.import_module(f"{module_of(name).__name__}.{module}").Backend


def packages() -> list[Path]:
    """The folders of packages that bring a backend."""
    return [Path(each["folder"]) for each in announced().values() if not each["fault"]]


def announce(found: Mapping[str, Mapping[str, str]]) -> None:
    """Tell this process, and the workers that it starts, which packages bring a backend.

    Args:
        found: by the backend's name, as `harness.worker.entry_points.found` returns them.
    """
    os.environ[PACKAGES] = json.dumps(found)


def announced() -> dict[str, dict[str, str]]:
    """What `announce` was last told."""
    return json.loads(os.environ.get(PACKAGES) or "{}")


def folders() -> list[Path]:
    """The folders that hold backends: ours, and those of EXTRA; raises as `names`."""
    _take_extra()
    return [Path(folder) for folder in backends.__path__]


def _found() -> dict[str, Path]:
    """Name -> folder."""
    return _found_in(tuple(folders()), os.environ.get(PACKAGES, ""))


@functools.lru_cache
def _found_in(places: tuple[Path, ...], told: str) -> dict[str, Path]:
    """As `_found`, in these places, and of what was announced: a run asks hundreds of times a round."""
    found: dict[str, Path] = {}
    for place in places:
        for file in sorted(place.glob(f"*/{CODE}")):
            _add(found, file.parent.name, file.parent)
    for name, package in json.loads(told or "{}").items():
        if not package["fault"]:
            _add(found, name, Path(package["folder"]))
    return found


def _add(found: dict[str, Path], name: str, folder: Path) -> None:
    if not NAME.fullmatch(name) or name == "all":
        raise InputError(f"{folder}: {name!r} can be no backend's name. Give it small letters, digits and _.")
    if name in found:
        raise InputError(
            f"There are two backends {name!r}: {found[name]} and {folder}. Give yours another name, or take its folder "
            f"out of {EXTRA}; a package is uninstalled."
        )
    found[name] = folder


def _take_extra() -> None:
    """Add the folders of EXTRA to where backends are imported from, once they are known to hold some."""
    named = [part for part in os.environ.get(EXTRA, "").split(os.pathsep) if part]
    if set(named) <= set(backends.__path__):
        return
    extra = [Path(part).resolve() for part in named]
    for folder in extra:
        if str(folder) in backends.__path__:
            continue
        if not folder.is_dir():
            raise InputError(f"{EXTRA} names {folder}, and there is no such folder.")
        if (folder / CODE).exists():
            raise InputError(f"{EXTRA} names a backend, {folder}. Name the folder that holds it: {folder.parent}")
        code = sorted(folder.glob(f"*/{CODE}"))
        if not code:
            raise InputError(f"{EXTRA} names {folder}, which holds no backend: no folder with a {CODE} in it.")
        for file in code:
            if not (file.parent / FACTS).exists():
                raise InputError(f"{file.parent} has no facts. Write {file.parent / FACTS} (docs/add-a-backend.md).")
        backends.__path__.append(str(folder))
    # Workers inherit the variable and start in another folder.
    os.environ[EXTRA] = os.pathsep.join(map(str, extra))


def _package(folder: Path) -> ModuleType:
    """Import a package from this very folder, which is the one whose code is proven, and no namesake's."""
    known = sys.modules.get(folder.name)
    if known is not None and os.path.realpath(str(getattr(known, "__file__", ""))) == str(folder / FACTS):
        return known
    if known is not None:
        raise ImportError(f"{folder.name} is the name of something else that is imported: {known}")
    spec = importlib.util.spec_from_file_location(folder.name, folder / FACTS, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[folder.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[folder.name]
        raise
    return module
