"""A host that was given another name is another machine to its digest; whoever resumes is told that this is all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.commands import run as run_command
from harness.errors import InputError
from harness.results.folder import RunFolder
from harness.runs.machine import this_machine


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This host has another name."""
    monkeypatch.setattr("platform.node", lambda: "heart-of-gold")
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


def test_resume_says_that_the_name_differs(
    finished_run: Path, tiny_commands: None, tmp_path: Path, renamed: None
) -> None:
    """Not `another machine (X); this is X`; and the name itself is in no file, nor in the message."""
    shutil.copytree(finished_run, tmp_path / "first")

    with pytest.raises(
        InputError, match=r"another machine. It differs: processor, .* so it is the host's name"
    ) as told:
        run_command.resume_run(tmp_path / "first", pythons={})

    assert "heart-of-gold" not in str(told.value)


def test_resume_says_what_else_differs(finished_run: Path, tiny_commands: None, tmp_path: Path, renamed: None) -> None:
    """A part that is recorded is named with both values."""
    shutil.copytree(finished_run, tmp_path / "first")
    folder = RunFolder(tmp_path / "first")
    environment = folder.read_environment()
    environment["machine"]["cpus"] = "64"
    folder.write_environment(environment)

    with pytest.raises(InputError, match=rf"It differs: CPUs 64 → {this_machine().details['cpus']}\. Start a new run"):
        run_command.resume_run(folder.path, pythons={})
