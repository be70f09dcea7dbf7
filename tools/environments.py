"""The environments that noxfile.py makes: one for the harness and one for each backend, under .nox/<python version>/.

Made on first use, reused while their pins are the same.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nox

from harness.errors import InputError
from harness.runs import wheels
from tools import asked, pip_log

ROOT = Path(__file__).parents[1]
# One interpreter has wheels for all five frameworks; another can be asked for: LENET_BENCH_PYTHON=3.12 nox -s ...
PYTHON = os.environ.get("LENET_BENCH_PYTHON", "3.11")
# Those in which the harness itself is installed.
OF_HARNESS = ("harness", "docs", "fuzz")
ENVIRONMENTS = ROOT / ".nox" / PYTHON


def find_python(session: nox.Session) -> str:
    """Return an interpreter of the wanted version: this one, one on the PATH, or one that uv fetches."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON:
        return sys.executable
    name = f"python{PYTHON}"
    for folder in os.get_exec_path():
        # A pyenv shim is on the PATH also for versions that are not switched on: ask it.
        found = shutil.which(name, path=folder)
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    uv = shutil.which("uv")
    if uv:
        session.log(f"{name} is not on the PATH; asking uv for it.")
        subprocess.run([uv, "python", "install", PYTHON])
        answer = subprocess.run([uv, "python", "find", PYTHON], capture_output=True, text=True)
        if answer.returncode == 0:
            return answer.stdout.strip()
    session.error(
        f"Python {PYTHON} is needed and was not found. Install it (python.org, your system's packages, "
        f"`pip install uv && uv python install {PYTHON}`), or say LENET_BENCH_PYTHON=3.12."
    )
    raise AssertionError  # session.error does not return


def environment(session: nox.Session, name: str, *wanted: str) -> Path:
    """Return the Python of the environment `name`, made anew where its pins have changed."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    stamp = folder / "pins.sha256"
    if python.exists() and stamp.exists() and stamp.read_text() == pins_digest(name):
        return python
    session.log(f"Making the environment {folder.relative_to(ROOT)}")
    shutil.rmtree(folder, ignore_errors=True)
    session.run(find_python(session), "-m", "venv", str(folder), silent=True)
    install(session, python, *wanted, *pinned(name))
    stamp.write_text(pins_digest(name))
    return python


def pinned(name: str) -> list[str]:
    """The arguments that hold pip to the pins of an environment, where there are any."""
    return wheels.pins(ROOT / "requirements", name)


def pins_digest(name: str) -> str:
    """Digest of all files that decide what an environment holds."""
    sources = [ROOT / "pyproject.toml"] if name in OF_HARNESS else []
    sources += [ROOT / "requirements" / f"{name.partition('==')[0]}.in", ROOT / "requirements" / f"{name}.txt"]
    files = [path for path in sources if path.exists()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def install(session: nox.Session, python: Path, *arguments: str) -> None:
    """Install with pip in an environment; it shows its own progress on a terminal, and `pip_log` does in a log."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if sys.stdout.isatty():
        session.run(*command)
        return
    folder = python.parents[1]
    session.log(" ".join(command))
    words = pip_log.run(command, folder.name, folder)
    if words:
        session.error(f"pip could not install {folder.name}:\n{words}")


def harness_python(session: nox.Session, *extras: str) -> Path:
    """The harness side: the command line and all that it can do.

    Args:
        extras: of pyproject.toml that the session needs beside that (test, lint, cluster): who only times frameworks
            downloads neither a browser's driver nor a database.
    """
    python = environment(session, "harness", "-e", f"{ROOT}[parquet,figures]")
    stamp = python.parents[1] / "extras.txt"
    there = stamp.read_text().split() if stamp.exists() else []
    lacking = [each for each in extras if each not in there]
    if lacking:
        session.log(f"Adding to the harness's environment: {', '.join(lacking)}")
        install(session, python, "-e", f"{ROOT}[{','.join(lacking)}]", *pinned("harness"))
        stamp.write_text(" ".join([*there, *lacking]) + "\n")
    return python


def docs_python(session: nox.Session) -> Path:
    """MkDocs, and the harness, whose commands the site documents."""
    return environment(session, "docs", "-e", str(ROOT), "-r", str(ROOT / "requirements" / "docs.in"))


def fuzz_python(session: nox.Session) -> Path:
    """The harness, whose readers are fuzzed, and the fuzzer."""
    return environment(session, "fuzz", "-e", str(ROOT), "-r", str(ROOT / "requirements" / "fuzz.in"))


def obstacle(backend: str) -> str | None:
    """Why a backend cannot be had on this machine, if it cannot."""
    return wheels.obstacle(backend, PYTHON)


def backend_environment(
    session: nox.Session, backend: str, version: str = "", *, gpu: bool = False
) -> tuple[str, Path]:
    """Name and Python of a worker side's environment, which is made where it is not there."""
    problem = obstacle(backend)
    if problem:
        session.error(problem)
    name = wheels.requirements_name(backend, gpu=gpu or wants_gpu(session.posargs))
    wanted = requirements(session, name, version)
    if version:
        name = f"{name}=={version}"
    return name, environment(session, name, *wanted)


def backend_python(session: nox.Session, backend: str, version: str = "", *, gpu: bool = False) -> Path:
    """A worker side, of the pinned version or of another; the harness is told where it is.

    Its wheels are for a GPU where that is said here or after --.
    """
    name, python = backend_environment(session, backend, version, gpu=gpu)
    code = "import sys; from harness.runs import interpreters; interpreters.record(*sys.argv[1:])"
    session.run(str(harness_python(session)), "-c", code, name, str(python), silent=True)
    return python


def requirements(session: nox.Session, name: str, version: str) -> list[str]:
    """What pip is asked for."""
    try:
        return wheels.pip_arguments(ROOT / "requirements", name, version, tests=True)
    except InputError as error:
        session.error(str(error))
        raise AssertionError from None  # session.error does not return


def asked_versions(session: nox.Session, backends: Sequence[str]) -> dict[str, list[str]]:
    """Backend -> versions that are to be installed: those of `--versions` after --, or its pinned one alone, ""."""
    try:
        found = asked.versions(session.posargs, backends) if backends else {}
    except ValueError as error:
        session.error(str(error))
    # What the backend's own environment has need not be installed once more.
    return {
        name: list(dict.fromkeys("" if each == asked.pinned(name) else each for each in found.get(name, [""])))
        for name in backends
    }


def wants_gpu(options: list[str]) -> bool:
    """Whether `--device gpu` is among what was given after --."""
    return "--device=gpu" in options or ("--device", "gpu") in itertools.pairwise(options)
