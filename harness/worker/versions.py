"""The version of a framework that is installed, with the commit that it was built from where that is known.

A nightly build, a repository and a checkout have the version of the next release for months: the commit tells them
apart, `2.14.0+g3fa9c1d2e4b5`. Standard library only. Run as a file, it prints the version of the first of the packages
in its arguments that is installed where it runs, and nothing where none is.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from pathlib import Path

# Written by `lenet-bench install NAME@CHECKOUT` into the environment: pip does not keep a checkout's commit.
STAMP = "lenet-bench-commit"
DIGITS = 12


def version_of(distributions: Sequence[str]) -> str | None:
    """The version of the first of these packages that is here, with its commit; None where none is."""
    for name in distributions:
        try:
            return with_commit(importlib.metadata.version(name), commit_of(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def commit_of(name: str) -> str:
    """The commit that a package was built from, its first digits; empty where nobody knows."""
    try:
        origin = json.loads(importlib.metadata.distribution(name).read_text("direct_url.json") or "{}")
        commit = str(origin.get("vcs_info", {}).get("commit_id", ""))
        if commit or "url" not in origin:
            return commit[:DIGITS]
        return (Path(sys.prefix) / STAMP).read_text(encoding="ascii").strip()
    except (OSError, ValueError, AttributeError, importlib.metadata.PackageNotFoundError):
        return ""


def with_commit(version: str, commit: str) -> str:
    """A version and a commit, as PEP 440 has it; the version alone where it names the commit already."""
    if not commit or commit[:7] in version:
        return version
    return f"{version}{'.' if '+' in version else '+'}g{commit}"


if __name__ == "__main__":
    print(version_of(sys.argv[1:]) or "")
