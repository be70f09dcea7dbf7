"""Wheels of what the harness needs and a machine with frameworks may lack: for one without a package index."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from benchmarks.gpu.trial import ROOT

# What a machine has on which PyTorch, JAX and the usual packages around them are installed.
THERE = frozenset((
    "numpy", "pandas", "scipy", "rich", "typer", "psutil", "threadpoolctl", "filelock", "requests", "jinja2",
    "py-cpuinfo", "pytest", "packaging", "narwhals",
))  # fmt: skip
PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# MNIST's four files, gzipped, travel with them.
MNIST_BYTES = 12_000_000
MOST_BYTES = 40_000_000


def missing() -> list[str]:
    """The harness's requirements that such a machine lacks, as pip takes them, from pyproject.toml."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [each for each in asked if re.split(r"[<>=!~\[; ]", each)[0].lower() not in THERE]


def fetch(folder: Path) -> int:
    """Download the wheels with pip, print names and sizes, and return the bytes of all.

    Raises:
        SystemExit: pip could not have one of them, or together with MNIST they are over 40 MB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    platforms = [option for each in PLATFORMS for option in ("--platform", each)]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version",
            PYTHON, "--implementation", "cp", *platforms, "--dest", str(folder), *missing(),
        ],
        check=True,
    )  # fmt: skip
    sizes = {file.name: file.stat().st_size for file in sorted(folder.glob("*.whl"))}
    for name, size in sizes.items():
        print(f"{size / 1e6:6.1f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total / 1e6:6.1f} MB  together; {(total + MNIST_BYTES) / 1e6:.1f} MB with MNIST")
    if total + MNIST_BYTES > MOST_BYTES:
        raise SystemExit(f"Too much: {(total + MNIST_BYTES) / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:.0f} MB travel.")
    return total
