"""Consoles whose words are looked at."""

from __future__ import annotations

import io
import re

from rich.console import Console


def screen(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, _environ={})


def written(console: Console) -> str:
    """All that was written, without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", console.file.getvalue())  # type: ignore[attr-defined]
