"""The README's promises that a test can hold."""

from __future__ import annotations

import re
from pathlib import Path

from harness.commands.cli import COMMANDS, whole_tool
from harness.results import dictionary
from harness.worker import catalogue
from tests.attacks import record, trial
from tools import site_pages

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_readme_test_command():
    """The command that the README gives for the tests stands word for word in .ci/run."""
    lines = [line for line in README.splitlines() if line.startswith("python3.11") and line.endswith("-s tests")]

    assert len(lines) == 1
    assert lines[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_attacks_are_counted():
    """The README has as many as were tried (docs/attacks.md), docs/verification.md as many as there are."""
    tried = {(kind, attack) for kind, attack, _ in record.read()}
    page = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    said = re.findall(r"([\d,]+) wrong and cheating backends were tried", README)
    kept = re.findall(r"keeps (\d+) mistakes and (\d+) cheats", page)

    assert said == [f"{len(tried):,}"]
    assert kept == [tuple(str(len(trial.KINDS[kind])) for kind in ("mistakes", "cheats"))]


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
    called = set(re.findall(r"`lenet-bench ([a-z]+(?:-[a-z]+)?)", pages))

    assert named - known == set()
    assert called - set(COMMANDS) == set()
    assert {"doctor", "selftest", "compare"} <= called


def test_options_in_the_docs_exist():
    """Every option that stands behind a `lenet-bench` command or a `bench` session, in any page, is that command's."""
    commands = dict(site_pages.every_command(whole_tool()))
    options = {name: {each for param in command.params for each in param.opts} for name, command in commands.items()}
    pages = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))]
    text = "\n".join(pages)
    called = re.findall(
        r"(?:lenet-bench|python -m harness) ((?:baseline|backend) [a-z]+|[a-z]+(?:-[a-z]+)?)((?: [^`\n|]*)?)", text
    )
    called += [(("run", "gate")["gate" in name], given) for name, given in re.findall(
        r"nox -s (bench(?:-[a-z]+)?|gate) -- ([^`\n|]*)", text
    )]  # fmt: skip

    checked = 0
    for name, given in called:
        for option in re.findall(r"(?<=\s)(--[a-z][a-z0-9-]*|-[a-z])(?=[\s=`]|$)", f" {given.split('#')[0]}"):
            if name in options:
                assert option in options[name] | {"--help"}, (name, option)
                checked += 1
    assert checked >= 60
