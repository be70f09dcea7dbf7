"""Which Python runs which backend: one environment a backend, because no single one can hold all."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import BACKENDS
from harness.errors import InputError, WorkerFailed
from harness.files import ROOT, alone_in, in_checkout, user_folder, write_text_atomically
from harness.results.plain_values import checked, read_json, shown
from harness.worker import catalogue
from harness.worker.job import Entrant, installation

MAP_VARIABLE = "LENET_BENCH_INTERPRETERS"
MAX_BYTES = 2**20
# Who names an interpreter that was given as an option.
GIVEN = "--python"
# What a worker imports beside its framework.
OF_WORKERS = ("numpy", "psutil", "threadpoolctl")


@dataclass(frozen=True)
class Interpreter:
    """A Python that has a backend's framework.

    Attributes:
        source: who said so: --python, the map, or "this interpreter".
        version: of the framework.
    """

    path: str
    source: str
    version: str


def map_path() -> Path:
    """The map's file: MAP_VARIABLE, else `.nox/interpreters.json` of the checkout, else the user's data folder."""
    if os.environ.get(MAP_VARIABLE):
        return Path(os.environ[MAP_VARIABLE]).expanduser()
    if in_checkout():
        return ROOT / ".nox" / "interpreters.json"
    return user_folder("data") / "interpreters.json"


def read_map() -> dict[str, str]:
    """Backend -> interpreter, as nox or `lenet-bench install` recorded it; empty where there is no map.

    Raises:
        InputError: the file is not such a map, or has more than `MAX_BYTES`; with file, key and what was found.
    """
    path = map_path()
    if not path.exists():
        return {}
    try:
        found: dict[str, str] = checked(read_json(path, most=MAX_BYTES), dict[str, str], str(path))
        for name, interpreter in found.items():
            # Workers run in folders of their own: a path from here would lead elsewhere there.
            if "\0" in interpreter or not os.path.isabs(interpreter):
                raise InputError(f"{path}.{name} must be an absolute path; found {shown(interpreter)}.")
    except InputError as error:
        again = "run nox again" if in_checkout() else "install again: lenet-bench install all"
        raise InputError(f"This is not a map of interpreters: {error} Delete the file, and {again}.") from None
    return found


def record(name: str, interpreter: str) -> None:
    """Add one entry to the map."""
    path = map_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(path.parent):
        write_text_atomically(path, json.dumps(read_map() | {name: interpreter}, indent=1, sort_keys=True) + "\n")


def find_all(entrants: Iterable[Entrant], *, given: dict[str, str] | None = None) -> dict[str, Interpreter]:
    """Return the Python of each installation that these entrants run in; see `find`."""
    return {
        each.installation: find(each.backend, given=given, device=each.device, version=each.version)
        for each in entrants
    }


def find(name: str, *, given: dict[str, str] | None = None, device: str = "cpu", version: str = "") -> Interpreter:
    """Return the Python that runs this backend: as given, else from the map, else this one.

    For a GPU the map's `<name>-gpu` comes first: some frameworks have other wheels for it. A version that was asked for
    is under `<name>==<version>`, or it is what one of the others happens to have.

    Raises:
        InputError: no interpreter has the framework; the message has the command that installs it.
    """
    catalogue.facts(name)
    gone = ""
    for source, path, found in _candidates(name, given or {}, device, version):
        if source == GIVEN:
            _check_given(name, path, found)
        if found and (not version or same_version(found, version)):
            return Interpreter(path, source, found)
        if not found and source != "this interpreter" and not os.path.exists(path):
            gone = f" {source} names {path}, and there is no such interpreter."
    wanted = f"{_wanted(name)} {version}".strip()
    raise InputError(
        f"{wanted} is not installed for the backend {name!r}.{gone} "
        f"Install it with: {install_command(name, device=device, version=version)}"
    )


def install_command(name: str, *, device: str = "cpu", version: str = "") -> str:
    """What installs a backend's framework, where this code is: nox in a checkout, else the tool itself."""
    if name not in (*BACKENDS, "NAME"):
        named = installation(name, version)
        return f"lenet-bench install {named}, or record where it is: lenet-bench backend add {named} --python PATH"
    options = [f"--device {device}"] * (device != "cpu") + [f"--framework-version {version}"] * bool(version)
    if in_checkout():
        return f"nox -s bench-{name}" + (f" -- {' '.join(options)}" if options else "")
    return " ".join(["lenet-bench install", name, *options])


def _check_given(name: str, path: str, found: str | None) -> None:
    """Refuse an interpreter that was given and cannot run the backend's workers.

    Raises:
        InputError: with what it lacks, and the command that installs that.
    """
    if not os.path.exists(path):
        raise InputError(f"--python {name}={path}: there is no such interpreter. Give the path of a Python.")
    if not found:
        raise InputError(
            f"{path} does not have {_wanted(name)}. Install it there ({path} -m pip install {_first(name)}), or leave "
            "--python and --here out."
        )
    missing = lacking(path)
    if missing:
        raise InputError(
            f"{path} lacks {' and '.join(missing)}, which every worker needs. Install there: "
            f"{path} -m pip install {' '.join(missing)}"
        )


def _first(name: str) -> str:
    return str(catalogue.facts(name).DISTRIBUTIONS[0])


def lacking(path: str, packages: Sequence[str] = OF_WORKERS) -> list[str]:
    """Those of some packages that another interpreter does not have; none where it cannot be asked."""
    code = "import importlib.util as u, sys\nprint(*(name for name in sys.argv[1:] if u.find_spec(name) is None))"
    try:
        command = [path, "-I", "-c", code, *packages]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []


def _candidates(name: str, given: dict[str, str], device: str, version: str) -> Iterator[tuple[str, str, str | None]]:
    """Interpreters that may be the wanted one, best first: who said so, path, version of the framework in it."""
    known = read_map()
    places = [each for place in (f"{name}-{device}", name) for each in (installation(place, version), place)]
    given_path = given.get(name)
    if given_path:
        yield GIVEN, given_path, version_in(given_path, name)
    for path in map(known.get, dict.fromkeys(places)):
        if path:
            yield str(map_path()), path, version_in(path, name)
    if importlib.util.find_spec("threadpoolctl"):
        yield "this interpreter", sys.executable, catalogue.installed_version(name)


@dataclass(frozen=True)
class Installed:
    """What there is beside a Python.

    Attributes:
        packages: `name==version`, sorted.
        sha256: of these, as rows have it.
        python: its version.
    """

    packages: list[str]
    sha256: str
    python: str


def packages_digest(interpreter: str) -> str:
    """SHA-256 of all that is installed where this Python is; raises as `installed_at`."""
    return installed_at(interpreter).sha256


def installed_at(interpreter: str) -> Installed:
    """All that is installed where this Python is, as its workers will tell it.

    Raises:
        WorkerFailed: it cannot be asked.
    """
    # As a file, and with nothing to import from but what is installed: a checkout on the path has an egg-info, often,
    # which is no package of that environment. Workers have no checkout on theirs.
    command = [interpreter, "-P", str(ROOT / "harness" / "worker" / "packages.py")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
        said = json.loads(answer.stdout)
        return Installed([str(line) for line in said["packages"]], str(said["sha256"]), str(said["python"]))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, KeyError) as error:
        raise WorkerFailed(f"{interpreter} cannot tell what is installed there: {error}.") from None


def same_version(found: str, asked: str) -> bool:
    """Whether 2.13.0+cpu is the 2.13.0 that was asked for."""
    return asked in (found, found.partition("+")[0])


def _wanted(name: str) -> str:
    return " or ".join(catalogue.facts(name).DISTRIBUTIONS)


def version_in(path: str, name: str) -> str | None:
    """The version of a backend's framework that an interpreter has, not imported there; None where it has none."""
    # Unlike pathlib's, it is false where a folder above may not be looked into.
    if not os.path.exists(path):
        return None
    command = [path, "-I", str(ROOT / "harness" / "worker" / "versions.py"), *catalogue.facts(name).DISTRIBUTIONS]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def installed(pythons: dict[str, str]) -> list[str]:
    """The backends that can be started here."""
    found = []
    for name in catalogue.names():
        with contextlib.suppress(InputError):
            find(name, given=pythons)
            found.append(name)
    return found
