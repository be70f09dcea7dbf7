"""`nox -s examples`: makes the environment of each example from its pins, proves its backends, and conforms them.

`python -m tests.examples [FOLDER ...] [--networks lenet5,lenet-d2l]`. What fails is said at the end; exit code 1 then.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.runs.interpreters import MAP_VARIABLE

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".nox" / "examples"
# What a framework runs beside Python.
PROGRAMS = {"mlx": "g++", "tinygrad": "clang"}


def folders() -> dict[str, Path]:
    """Framework -> the folder of its package."""
    return {
        path.parent.name.removesuffix("-lenet-bench"): path.parent for path in sorted(HERE.glob("*/pyproject.toml"))
    }


def project(folder: Path) -> dict[str, Any]:
    """The table `project` of its pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def backends(folder: Path) -> dict[str, str]:
    """Backend -> the package that is its code."""
    return project(folder)["entry-points"]["lenet_bench.backends"]


def make_environment(name: str, folder: Path) -> Path:
    """A venv with the package, its pinned framework and pytest; returns its Python."""
    venv.create(ENVIRONMENTS / name, with_pip=True, clear=True, symlinks=True)
    python = ENVIRONMENTS / name / "bin" / "python"
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", folder, "pytest"]
    subprocess.run([*command, "-c", folder / "requirements.txt"], check=True)
    return python


def proven(name: str, folder: Path, networks: str) -> Iterator[str]:
    """The commands that failed, of one example."""
    python = make_environment(name, folder)
    # A map of its own: what the developer has recorded stays as it is.
    environment = os.environ | {"PYTHONPATH": str(ROOT), MAP_VARIABLE: str(ENVIRONMENTS / "interpreters.json")}
    for backend in backends(folder):
        for words in (
            ["backend", "add", backend, "--python", str(python)],
            ["verify", "-b", backend, "--network", networks],
            ["conform", "-b", backend],
        ):
            if subprocess.run([sys.executable, "-m", "harness", *words], env=environment, cwd=ROOT).returncode:
                yield f"lenet-bench {' '.join(words)}"


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FOLDER", help=f"of {', '.join(folders())}; all of them without")
    parser.add_argument("--networks", default="all", help="those to verify, with commas between them")
    asked = parser.parse_args()
    for name in set(asked.names) - set(folders()):
        parser.error(f"there is no example {name}: {', '.join(folders())}")
    failed = []
    for name in asked.names or folders():
        program = PROGRAMS.get(name)
        if program and not shutil.which(program):
            print(f"LEFT OUT: {name} compiles with {program}, which is not on the PATH. Install it.")
            continue
        failed += proven(name, folders()[name], asked.networks)
    for each in failed:
        print(f"FAILED: {each}")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
