"""The README's promises that a test can hold."""

from __future__ import annotations

import re
from pathlib import Path

from harness.commands.cli import COMMANDS
from harness.results import dictionary
from harness.worker import catalogue

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_readme_test_command():
    """The command that the README gives for the tests stands word for word in .ci/run."""
    lines = [line for line in README.splitlines() if line.startswith("python3.11") and line.endswith("-s tests")]

    assert len(lines) == 1
    assert lines[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_result_columns_are_documented():
    """docs/results.md lists every column of every file with unit and meaning, as harness/results/schema.py has it."""
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == dictionary.document()


def test_commands_in_the_readme_exist():
    """Every `nox -s` session and every `lenet-bench` command that the README or docs/ name is there."""
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"^def (\w+)\(session: nox.Session\)", noxfile, re.MULTILINE))
    sessions |= set(re.findall(r'^@nox\.session\(name="([\w-]+)"', noxfile, re.MULTILINE))
    known = sessions | {f"{what}-{name}" for what in ("bench", "verify", "tests") for name in catalogue.names()}
    pages = README + "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))

    named = set(re.findall(r"nox -s ([a-z]+(?:-[a-z]+)?)", pages))
    called = set(re.findall(r"`lenet-bench ([a-z]+)", pages))

    assert named - known == set()
    assert called - set(COMMANDS) == set()
    assert {"doctor", "selftest", "compare"} <= called
