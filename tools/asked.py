"""What a session of nox must install for the options that stand after --. Needs no nox, so that tests can read it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from harness.runs.wheels import VERSION

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
BACKEND = ("--backend", "-b")
VERSIONS = ("--versions", "--framework-version")


def values(options: Sequence[str], names: Sequence[str]) -> list[str]:
    """Every value that an option has: `-b torch`, `-btorch`, `--backend torch`, `--backend=torch`."""
    found = []
    for option, after in itertools.pairwise([*options, ""]):
        if option in names:
            found.append(after)
        for name in names:
            glued = f"{name}=" if name.startswith("--") else name
            if option.startswith(glued) and option != name:
                found.append(option.removeprefix(glued))
    return found


def backends(options: Sequence[str], frameworks: Sequence[str]) -> list[str]:
    """The backends of `-b torch,jax`, `all` being the frameworks; empty where none is named."""
    named = [name.strip() for value in values(options, BACKEND) for name in value.split(",")]
    return list(dict.fromkeys(itertools.chain(*(frameworks if name == "all" else (name,) for name in named))))


def versions(options: Sequence[str], chosen: Sequence[str]) -> dict[str, list[str]]:
    """Backend -> versions of `--versions torch=2.12.1,2.13.0`; the name may be left out where one backend is chosen.

    Args:
        chosen: the backends that are installed; at least one.

    Raises:
        ValueError: a backend that is not chosen, none of several, or what is no version.
    """
    found: dict[str, list[str]] = {}
    for value in values(options, VERSIONS):
        backend, _, text = value.rpartition("=")
        if not backend and len(chosen) > 1:
            raise ValueError(f"--versions {value}: of which backend? Say {chosen[0]}={value}, for instance.")
        backend = backend or chosen[0]
        if backend not in chosen:
            raise ValueError(f"--versions {value}: {backend} is not among the backends {', '.join(chosen)}.")
        for version in (part.strip() for part in text.split(",")):
            if not VERSION.fullmatch(version):
                raise ValueError(f"--versions takes versions such as 2.13.0, got {version!r}.")
            if version not in found.setdefault(backend, []):
                found[backend].append(version)
    return found


def pinned(name: str) -> str:
    """The version of a framework in its own environment: the first requirement of requirements/<name>.in."""
    lines = (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if line and not line.startswith(("#", "-")))
    return first.partition("==")[2].strip()
