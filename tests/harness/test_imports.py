"""What is loaded where: no framework on the harness's side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.worker import catalogue

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "jaxlib", "flax", "optax", "mxnet", "paddle", "numba", "llvmlite"}
HARNESS_SIDE = {"pandas", "rich", "typer", "scipy", "requests", "pooch", "platformdirs", "cpuinfo"}
ROOT = Path(__file__).parents[2]
# Stands in for every framework: importing one is an error, although none is installed here.
GUARD = """
import importlib.abc, json, sys
class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in NAMES:
            print(f"imports {name}", file=sys.stderr)
            sys.exit(99)
sys.meta_path.insert(0, Guard())
"""
# The command line with one word.
CALL = """
sys.argv = ["lenet-bench", "{}"]
from harness.commands.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded_by(code: str, environment: dict[str, str]) -> set[str]:
    """Return the top-level modules that are loaded after `code`; fail if it so much as tries a framework."""
    program = GUARD.replace("NAMES", repr(FRAMEWORKS)) + code + "\nprint(json.dumps(sorted(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    return {name.split(".")[0] for name in json.loads(process.stdout.splitlines()[-1])}


@pytest.mark.parametrize("module", ["harness", "harness.commands.cli", "harness.proof.problem", "backends"])
def test_harness_imports_no_framework(session_environment: dict[str, str], module: str) -> None:
    """Importing the harness, down to its command line, does not try to import a framework."""
    modules = loaded_by(f"import {module}", session_environment)

    assert modules & FRAMEWORKS == set()
    assert module.split(".")[0] in modules


def test_commands_import_no_framework(session_environment: dict[str, str]) -> None:
    """Nor does any command, when it is called for and imported."""
    modules = loaded_by("from harness.commands import cli\ncli.whole_tool()", session_environment)

    assert modules & FRAMEWORKS == set()
    assert {"pandas", "scipy"} <= modules


def test_help_is_quick(session_environment: dict[str, str]) -> None:
    """The list of commands imports none of them: pandas alone takes as long as all the rest."""
    slow = {"numpy", "pandas", "scipy", "plotly", "jinja2", "requests", "pyarrow"}
    assert loaded_by(CALL.format("--help"), session_environment) & slow == set()


def test_list_command_imports_no_framework(session_environment: dict[str, str]) -> None:
    """`list` tells of versions and modes of every backend and does not try to import one of the frameworks."""
    assert loaded_by(CALL.format("list"), session_environment) & FRAMEWORKS == set()


def test_facts_import_no_framework(session_environment: dict[str, str]) -> None:
    """The facts of all backends are to be had without any framework."""
    code = "from harness.worker import catalogue\nfor name in catalogue.FRAMEWORKS: catalogue.facts(name).MODES"

    assert loaded_by(code, session_environment) & FRAMEWORKS == set()


def test_worker_side_imports_nothing_of_the_harness_side(session_environment: dict[str, str]) -> None:
    """The modules of a worker, and the reference, load no table, progress bar or statistics."""
    modules = [f"harness.worker.{file.stem}" for file in sorted((ROOT / "harness" / "worker").glob("*.py"))]
    code = "\n".join(f"import {name}" for name in (*modules, "backends.numpy.backend"))

    assert loaded_by(code, session_environment) & (HARNESS_SIDE | FRAMEWORKS) == set()


def test_folder_of_a_backend_is_not_its_framework(session_environment: dict[str, str]) -> None:
    """`backends/numpy` is never imported as `numpy`."""
    code = "import numpy\nfrom harness.worker import catalogue\ncatalogue.facts('numpy')\nnumpy.zeros(3)"

    loaded_by(code, session_environment)


def test_extra_backends_follow_the_known_ones(mutant_class: Callable[[str], object]) -> None:
    """The folder of LENET_BENCH_BACKENDS adds its backends behind the seven."""
    names = catalogue.names()

    assert names[:7] == [*catalogue.FRAMEWORKS, "numpy", "numba"]
    assert {"average_pool", "flatten_hwc", "summed_loss", "twin"} <= set(names[6:])
