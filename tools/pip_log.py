"""pip in a log file, where nobody sees its bars: what is downloaded and how large, and a line every 15 s.

Standard library and `harness.runs.pip_progress` alone: nox, whose own environment has no more, asks here.
"""

from __future__ import annotations

import collections
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from harness.runs.pip_progress import Progress

# Of pip's words, so many lines are shown where it fails.
SHOWN_LINES = 12


class _Lines:
    """Stands in for a console that is no terminal."""

    is_interactive = False

    def print(self, text: str, *, soft_wrap: bool) -> None:
        print(text, flush=True)


def run(command: Sequence[str], name: str, folder: Path) -> str:
    """Run pip; return the end of its words where it fails, and nothing where it does not.

    Args:
        name: of the environment that it fills.
        folder: of that.
    """
    progress = Progress(cast("Any", _Lines()))
    progress.begin(name, folder)
    process = subprocess.Popen(
        [*command, "--progress-bar", "off"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        last = collections.deque(progress.lines_of(process), maxlen=SHOWN_LINES)
    finally:
        process.kill()
        process.wait()
    return "".join(last) or f"exit code {process.returncode}\n" if process.returncode else ""
