"""Backends that packages bring: which there are, in this environment and in those that the map of interpreters names.

A package is installed beside its framework, and need be nowhere else: this environment reads its facts where they are.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

from harness.errors import InputError
from harness.files import ROOT
from harness.runs import interpreters
from harness.worker import entry_points, places

Found = dict[str, dict[str, str]]


def announce() -> None:
    """Tell the catalogue of all packages that bring a backend. Cheap where the map names backends of ours alone."""
    found = entry_points.found()
    places.announce(found)
    known: dict[str, str] = {}
    # A map that is none is refused where an interpreter is looked for.
    with contextlib.suppress(InputError):
        known = interpreters.read_map()
    there = set(places.names())
    for key in sorted(known):
        name = key.partition("==")[0].removesuffix("-gpu")
        if name not in there and (name not in found or found[name]["fault"]):
            found[name] = brought_by(known[key], name)
    places.announce(found)


def announce_given(name: str, python: str) -> None:
    """Tell the catalogue of the package in the environment of an interpreter that was given for a backend (--python),
    where the name is not known yet and there is one."""
    if name not in places.names() and os.path.isfile(python):
        package = brought_by(python, name)
        if package["folder"]:
            places.announce(places.announced() | {name: package})


def brought_by(python: str, name: str) -> dict[str, str]:
    """The package in an interpreter's environment that brings a backend, as `entry_points.found` has it.

    Where there is none, its `fault` says so, and what to do.
    """
    try:
        found = in_environment(python)
    except InputError as error:
        return {"folder": "", "package": "", "fault": str(error)}
    fault = (
        f"The backend {name!r} is recorded to be brought by a package in the environment of {python}, and none there "
        f"brings it now. Install the package there ({python} -m pip install ...), or record where it is: lenet-bench "
        f"backend add {name} --python PATH"
    )
    return found.get(name) or {"folder": "", "package": "", "fault": fault}


def in_environment(python: str) -> Found:
    """All backends that packages bring where an interpreter is.

    Raises:
        InputError: it cannot be asked.
    """
    # As `interpreters.installed_at` asks.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-P", str(ROOT / "harness" / "worker" / Path(str(entry_points.__file__)).name)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
        found: Found = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"{python} cannot tell which backends are installed there: {error}.") from None
    return found
