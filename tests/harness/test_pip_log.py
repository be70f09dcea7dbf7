"""What nox says in a log while pip is at work: sizes before downloads; the end of its words where it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import pip_log

DOWNLOADS = "print('Collecting torch'); print('  Downloading torch-2.13.0-cp311.whl (532.1 MB)')"


def test_large_downloads_are_named_with_their_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And all else that pip says is not."""
    assert pip_log.run([sys.executable, "-c", DOWNLOADS], "torch", tmp_path) == ""
    assert capsys.readouterr().out == (
        f"Installing torch in {tmp_path}\n  downloading torch-2.13.0-cp311.whl, 532.1 MB\n"
    )


def test_failure_has_the_end_of_its_words(tmp_path: Path) -> None:
    """Or the exit code, where it said nothing."""
    failing = f"{DOWNLOADS}; print('no room'); raise SystemExit(2)"
    assert pip_log.run([sys.executable, "-c", failing], "torch", tmp_path).endswith("no room\n")
    assert pip_log.run([sys.executable, "-c", "raise SystemExit(2)"], "torch", tmp_path) == "exit code 2\n"


def test_nox_has_all_that_it_takes() -> None:
    """Its own environment has the standard library alone: with nothing else to import, it is imported."""
    root = Path(pip_log.__file__).parents[1]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import tools.pip_log"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
