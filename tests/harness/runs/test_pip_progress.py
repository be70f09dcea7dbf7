"""What is said while pip is at work: large downloads at once, all else every 15 s; sizes as people write them."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.runs import pip_progress
from harness.runs.pip_progress import Progress, megabytes, size_of

WORDS = """
import time
print("Collecting torch==2.13.0")
print("  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (532.1 MB)")
print("  Downloading https://x.y/z/sympy-1.14.0-py3-none-any.whl (6.2 MB)")
print("  Using cached numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (17.0 MB)", flush=True)
time.sleep(0.3)
print("Installing collected packages: a, b, c", flush=True)
time.sleep(0.3)
print("Successfully installed", end="")
"""


def test_a_log_has_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of half a gigabyte at once, small ones not; what is being done, for how long, and how much is there."""
    monkeypatch.setattr(pip_progress, "TICK_S", 0.1)
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    out = io.StringIO()
    ticking = itertools.count(0, 5)
    progress = Progress(Console(file=out, width=200), clock=lambda: float(next(ticking)))
    progress.begin("torch", tmp_path)
    process = subprocess.Popen([sys.executable, "-c", WORDS], stdout=subprocess.PIPE)

    lines = list(progress.lines_of(process))
    progress.end()

    assert process.returncode == 0
    assert lines == [
        f"{line}\n" for line in subprocess.check_output([sys.executable, "-c", WORDS], text=True).split("\n")
    ]
    said = out.getvalue()
    assert said.startswith(f"Installing torch in {tmp_path}\n")
    assert "  downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl, 532.1 MB\n" in said
    # A small wheel has no line of its own; that it is at hand when the clock ticks is right.
    assert "sympy-1.14.0-py3-none-any.whl, 6.2 MB\n" not in said
    assert "unpacking 3 packages; " in said
    assert " s so far, 3 MB on the disk" in said


def test_a_terminal_has_one_line_that_ticks(tmp_path: Path) -> None:
    """It is renewed in place and gone at the end."""
    out = io.StringIO()
    progress = Progress(Console(file=out, width=100, force_terminal=True))
    progress.begin("torch", tmp_path)
    process = subprocess.Popen([sys.executable, "-c", WORDS], stdout=subprocess.PIPE)

    for line in progress.lines_of(process):
        assert line.endswith("\n")
    progress.end()

    assert "torch: " in out.getvalue()
    assert "s so far" not in out.getvalue()


@pytest.mark.parametrize(("size", "text"), [(532.1e6, "532 MB"), (4.71e9, "4.7 GB"), (0, "0 MB"), (999e6, "999 MB")])
def test_sizes(size: float, text: str) -> None:
    """Megabytes under a gigabyte, gigabytes with a decimal from there on."""
    assert megabytes(size) == text


def test_size_counts_links_once(tmp_path: Path) -> None:
    """What the disk has of it."""
    (tmp_path / "a").write_bytes(os.urandom(1 << 20))
    once = size_of(tmp_path)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("a")

    assert 1 << 20 <= once < 2 << 20
    assert size_of(tmp_path) < once + 8192
