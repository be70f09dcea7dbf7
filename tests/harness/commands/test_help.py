"""What the command line says of itself: help with examples, and lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import commands
from harness.commands.cli import COMMANDS
from harness.spec.networks import NETWORKS

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(call: Call, command: str) -> None:
    """Every command explains itself, with examples that start with the tool's name."""
    code, out, _ = call(command, "--help")

    assert code == 0
    assert "Examples" in out
    assert f"lenet-bench {command}" in out.split("Examples")[1]


@pytest.mark.parametrize("module", sorted(Path(commands.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_help_has_no_list_by_accident(module: Path) -> None:
    """A line of a docstring that begins with `1)` is printed as a list of its own, torn out of its sentence."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    texts = [ast.get_docstring(each) or "" for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]

    assert [line for text in texts for line in text.splitlines() if re.match(r" *\d+[.)] ", line)] == []


def test_help_lists_the_commands(call: Call) -> None:
    """The tool itself has help that names its commands, and a version."""
    code, out, _ = call("--help")

    assert code == 0
    assert all(f" {command} " in out for command in COMMANDS)
    assert re.fullmatch(r"lenet-bench \d+\.\d+\.\d+", call("--version")[1])


def test_list_shows_backends_and_how_to_install(call: Call) -> None:
    """`list` has every backend with its version, or with the command that installs it."""
    code, out, _ = call("list")

    assert code == 0
    assert "torch none, runs on cpu" in out
    assert "none: nox -s bench-NAME installs one." in out
    assert re.search(r"numpy \d+\.\d+", out)
    assert "lenet-gluon 44,426 1.52 gluon fashion-mnist sgd" in out
    assert set(NETWORKS) <= set(out.split())


def test_list_shows_a_network(call: Call) -> None:
    """`list --network lenet5` prints shapes, parameters and operations, in millions, with their totals."""
    code, out, _ = call("list", "--network", "lenet5")

    assert code == 0
    assert "61,706" in out
    assert "16 x 5 x 5" in out
    assert re.search(r"all 61,706 0\.833 .* 2\.264", out)
