"""A package that brings a backend, installed in an environment of its own: what pip would leave there, without pip."""

from __future__ import annotations

import venv
from pathlib import Path

import numpy as np

FACTS = '''"""NumPy, brought by a package."""

DISTRIBUTIONS = ("numpy",)
MODES = {"eager": "as the NumPy backend"}
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
'''
MORE = """TITLE, PLAIN, COLOUR = "Acme's Library", "eager", "#6a4c93"
ENVIRONMENT = {"ACME_CACHE": "{scratch}/acme", "TF_CPP_MIN_LOG_LEVEL": "0"}
SET_ASIDE = ("ACME_",)
VARIABLES = ("ACME_CACHE",)
"""
CODE = '''"""The reference, under another name; the environment that was asked for must be there."""

import os

from backends.numpy.backend import Backend as Right

from .inside import NOTHING


class Backend(Right):
    """Nothing is changed."""

    def describe(self) -> dict[str, str]:
        assert os.environ["ACME_CACHE"].endswith("/acme"), NOTHING
        return super().describe() | {"layout": "asked" if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0" else "not asked"}
'''


def make_environment(folder: Path) -> Path:
    """A venv that has what this interpreter's environment has; returns its site-packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "shared.pth").write_text(f"{Path(np.__file__).parents[1]}\n", encoding="utf-8")
    return site


def install(site: Path, name: str, *, package: str, facts: str = FACTS + MORE, value: str = "") -> Path:
    """Put a package there that brings the backend `name`; returns its folder.

    Args:
        value: of its entry point; the package where it is not given.
    """
    folder = site / package
    folder.mkdir()
    for file, text in (("__init__.py", facts), ("backend.py", CODE), ("inside.py", "NOTHING = 'not asked'\n")):
        (folder / file).write_text(text, encoding="utf-8")
    announce(site, name, package=package, value=value)
    return folder


def announce(site: Path, name: str, *, package: str, value: str = "") -> None:
    """The entry point alone, of a package that is installed otherwise."""
    info = site / f"{package}-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.3\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[lenet_bench.backends]\n{name} = {value or package}\n", encoding="utf-8")
