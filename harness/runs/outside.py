"""Backends that packages bring: which there are, in this environment and in those that the map of interpreters names.

A package is installed beside its framework, and need be nowhere else: this environment reads its facts where they are.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from pathlib import Path

from harness.errors import InputError
from harness.files import ROOT
from harness.runs import interpreters
from harness.worker import catalogue, entry_points, places

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


def pip_arguments(name: str, version: str, source: str) -> list[str]:
    """What pip is asked for where a backend from outside is to run: its framework, and what its package needs beside.

    Its code is not among that: a worker has it from where the harness found it.

    Args:
        version: of the framework; empty for any.
        source: what stands in its place: a path, or `git+URL`; empty for the index.
    """
    distributions = catalogue.facts(name).DISTRIBUTIONS
    needed = [line for line in places.announced().get(name, {}).get("requires", "").splitlines() if line]
    others = [line for line in needed if _normal(line) not in map(_normal, distributions)]
    own = [line for line in needed if line not in others]
    framework = source or (f"{distributions[0]}=={version}" if version else "")
    return [*([framework] if framework else own or [distributions[0]]), *others, *interpreters.OF_WORKERS]


def _normal(requirement: str) -> str:
    """The name in a requirement, as PyPI compares names."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""


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
