"""Building the wheel as a user's pip does; where pip can reach no index, tests that need one skip with its words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What pip says where the index is out of reach: the build backend, or a package, is then in none of its versions.
UNREACHED = (
    "No matching distribution found",
    "Could not find a version",
    "Connection",
    "ProxyError",
    "ResolutionError",
)


def pip(python: Path | str, *arguments: str) -> None:
    """Run pip; skip where it cannot reach an index."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    words = done.stdout + done.stderr
    if done.returncode and any(word in words for word in UNREACHED):
        pytest.skip(f"pip reaches no index here: {words.strip().splitlines()[-1]}")
    assert done.returncode == 0, words


def build(folder: Path) -> Path:
    """The wheel of this checkout, in a folder."""
    pip(sys.executable, "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(folder))
    (wheel,) = folder.glob("lenet_bench-*.whl")
    return wheel
