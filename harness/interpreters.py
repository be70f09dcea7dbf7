"""Which Python runs which backend: one environment a backend, because no single one can hold all."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from harness import catalogue
from harness.errors import InputError
from harness.files import write_text_atomically

MAP_VARIABLE = "LENET_BENCH_INTERPRETERS"


@dataclass(frozen=True)
class Interpreter:
    """A Python that has a backend's framework.

    Attributes:
        source: who said so: the map that nox keeps, or "this interpreter".
        version: of the framework.
    """

    path: str
    source: str
    version: str


def map_path() -> Path:
    """The map's file: MAP_VARIABLE, else `.nox/interpreters.json` of the checkout, else the user's data folder."""
    if os.environ.get(MAP_VARIABLE):
        return Path(os.environ[MAP_VARIABLE])
    root = Path(__file__).resolve().parent.parent
    if (root / "noxfile.py").exists():
        return root / ".nox" / "interpreters.json"
    return Path(platformdirs.user_data_dir("lenet-bench")) / "interpreters.json"


def read_map() -> dict[str, str]:
    """Backend -> interpreter, as nox recorded it; empty where there is no map.

    Raises:
        InputError: the file is not such a map.
    """
    path = map_path()
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(interpreter) for name, interpreter in entries.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a map of interpreters ({error}). Delete it, and run nox again.") from None


def record(name: str, interpreter: str) -> None:
    """Add one entry to the map."""
    path = map_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps(read_map() | {name: interpreter}, indent=1, sort_keys=True) + "\n")


def find(name: str, *, given: dict[str, str] | None = None, device: str = "cpu") -> Interpreter:
    """Return the Python that runs this backend: as given, else from the map, else this one.

    For a GPU the map's `<name>-gpu` comes first: some frameworks have other wheels for it.

    Raises:
        InputError: no interpreter has the framework; the message has the command that installs it.
    """
    catalogue.facts(name)
    known = read_map()
    recorded = known.get(f"{name}-{device}") or known.get(name)
    candidates = [("--python", (given or {}).get(name)), (str(map_path()), recorded)]
    for source, path in candidates:
        if path:
            version = _version_in(path, name)
            if version:
                return Interpreter(path, source, version)
            if source == "--python":
                raise InputError(f"--python {name}={path}: that interpreter does not have {_wanted(name)}.")
    version = catalogue.installed_version(name)
    if version and importlib.util.find_spec("threadpoolctl"):
        return Interpreter(sys.executable, "this interpreter", version)
    command = f"nox -s bench-{name}" + (f" -- --device {device}" if device != "cpu" else "")
    raise InputError(f"{_wanted(name)} is not installed for the backend {name!r}. Install it with: {command}")


def _wanted(name: str) -> str:
    return " or ".join(catalogue.facts(name).DISTRIBUTIONS)


def _version_in(path: str, name: str) -> str | None:
    """Ask another interpreter for the version of a framework, without importing it there."""
    if not Path(path).exists():
        return None
    code = (
        "import importlib.metadata as m, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(m.version(name)); break\n"
        "    except m.PackageNotFoundError: pass\n"
    )
    distributions = catalogue.facts(name).DISTRIBUTIONS
    try:
        answer = subprocess.run(
            [path, "-I", "-c", code, *distributions], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
