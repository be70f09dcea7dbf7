"""What a backend's environment is made of: pinned requirements, other wheels for a GPU, libraries of the system.

Imports the standard library, our errors and backends' facts: nox, whose own environment has no more, asks here, too.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
from pathlib import Path

from harness.errors import InputError
from harness.worker import facts

# PEP 440, as far as releases use it: 2.13.0, 2.13.0rc1, 2.13.0+cpu.
VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)*(\+[a-z0-9.]+)?")
# What tests need, and nobody else.
OF_TESTS = ("pytest",)


def obstacle(backend: str, python: str) -> str | None:
    """Why a backend cannot be had on this machine, if it cannot.

    Args:
        python: the version that its environment is to have, 3.11 say.
    """
    wanted = only_python(backend) or python
    if python != wanted:
        return f"{backend} needs Python {wanted}, not {python}: its NumPy has no wheel for another."
    for library in facts.get(backend, "SYSTEM_LIBRARIES", ()):
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"{backend}'s wheel needs the system library {library}: apt-get install libgomp1 libquadmath0"
    return None


def only_python(backend: str) -> str:
    """The one version of Python that a framework has wheels for, 3.11 say; empty where there are several."""
    return str(facts.get(backend, "ONLY_PYTHON", ""))


def has_gpu_wheels(backend: str) -> bool:
    """Whether a framework has other wheels for a GPU, in `<name>-gpu.in`."""
    return bool(facts.get(backend, "GPU_WHEELS", False))


def requirements_name(backend: str, *, gpu: bool) -> str:
    """Name of the files that say what is installed: `torch`, or `torch-gpu` where a GPU has other wheels."""
    return f"{backend}-gpu" if gpu and has_gpu_wheels(backend) else backend


def pip_arguments(folder: Path, name: str, version: str, *, tests: bool, source: str = "") -> list[str]:
    """What pip is asked for: the lines of a file, with another version of the framework where one is wanted.

    Args:
        folder: of the requirements.
        name: of the file, without its ending; the framework is its first line.
        version: empty for the pinned one.
        tests: whether the backend is to be tested there.
        source: what stands in the framework's place: a path, or `git+URL`.

    Raises:
        InputError: what should be a version is none, or there is no such file.
    """
    if version and not VERSION.fullmatch(version):
        raise InputError(f"--framework-version takes versions such as 2.13.0, got {version!r}.")
    file = folder / f"{name}.in"
    if not file.exists():
        raise InputError(f"There are no pinned requirements for {name}. Give its Python: --python {name}=PATH.")
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    options = [word for line in lines if line.startswith("--") for word in line.split()]
    framework, *others = [line for line in lines if not line.startswith("--") and (tests or line not in OF_TESTS)]
    if version or source:
        framework = source or f"{framework.partition('==')[0]}=={version}"
        # Its companions are those that pip finds to fit; `pip freeze` is in environment.json.
        if facts.get(name.removesuffix("-gpu"), "COMPANIONS", False):
            others = [other.partition("==")[0] for other in others]
    return [*options, framework, *others]


def pins(folder: Path, name: str) -> list[str]:
    """The arguments that hold pip to the pins of an environment, where there are any; `torch==2.12.1` has none."""
    file = folder / f"{name}.txt"
    return ["-c", str(file)] if file.exists() else []


def digest(folder: Path, name: str) -> str:
    """Digest of the files that decide what an environment holds."""
    files = [folder / f"{name.partition('==')[0]}.in", folder / f"{name}.txt"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()
