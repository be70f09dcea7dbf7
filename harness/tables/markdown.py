"""Text for Markdown: shown as it is, whatever it says."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from harness.visible import visible

# What Markdown would read as more than a letter, GitHub's mentions and issue numbers included.
MARKED = re.compile(r"([\\`*_\[\]#+!|~@:])")


def plain(text: str) -> str:
    """Text as Markdown shows it, on one line, without any meaning of its own."""
    return MARKED.sub(r"\\\1", html.escape(visible(" ".join(text.split())), quote=False))


def row(cells: Iterable[str]) -> str:
    """A row of a table; cells without anything in them are dashes."""
    return "| " + " | ".join(plain(cell) or "-" for cell in cells) + " |"
