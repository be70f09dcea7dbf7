"""The README's promises that a test can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import schema

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_readme_test_command():
    """The command that the README gives for the tests stands word for word in .ci/run."""
    lines = [line for line in README.splitlines() if line.startswith("python3.11") and line.endswith("-s tests")]

    assert len(lines) == 1
    assert lines[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("table", ["LAUNCHES", "EPOCHS", "SUMMARY", "BASELINE"])
def test_result_columns_are_documented(table: str):
    """The README lists every column of every file with unit and meaning, as harness/schema.py has it."""
    assert schema.as_markdown(getattr(schema, table)) in README
