"""How every table of ours looks: the console that it is printed on, its frame, its columns."""

from __future__ import annotations

import codecs
import os
import sys
import textwrap
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment
from rich.text import Text

from harness.tables.fitting import FittingTable
from harness.visible import visible

WIDTH = 80
# What our tables have that ASCII has not, for terminals and files that take nothing else.
_ASCII = str.maketrans({"±": "~", "→": ">", "×": "x", "–": "-", "µ": "u", "…": "."} | dict(zip("▁▂▃▄▅▆▇█", "12345678")))  # noqa: RUF001


def stdout() -> Console:
    """The console that results are printed on: as wide as the terminal or as COLUMNS says, else 80 columns.

    It is never narrower. A narrow terminal folds the lines itself, which loses nothing.
    """
    found = _console(sys.stdout)
    known = found.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return found if known and found.width >= WIDTH else _console(sys.stdout, width=WIDTH)


def stderr() -> Console:
    """The console for progress, warnings and errors, so that what is piped on stays a table."""
    return _console(sys.stderr)


def say(console: Console, text: str, style: str = "") -> None:
    """Print sentences: on a terminal folded between words, in a log a line each, however long.

    A word that is too long, a path for instance, is left whole: the terminal folds it, and it can be copied.
    """
    if console.is_interactive:
        text = "\n".join(_folded(line, console.width) for line in text.splitlines())
    console.print(Text(text, style=style), soft_wrap=True)


def _folded(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, max(width, len(indent) + 1), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
        expand_tabs=False, replace_whitespace=False,
    )  # fmt: skip


def _console(stream: TextIO, width: int | None = None) -> Console:
    """A console that shows all text as it is: no markup, no emoji, nothing that a terminal would obey.

    It is interactive on a terminal alone: FORCE_COLOR asks for colours in a log, not for a cursor that moves there.
    """
    interactive = None if stream.isatty() else False
    made = Console(
        stderr=stream is sys.stderr, highlight=False, markup=False, emoji=False, width=width,
        force_interactive=interactive,
    )  # fmt: skip
    made.push_render_hook(_Visible())
    return made


class _Visible(RenderHook):
    """Shows escapes of terminals and the like, which come with names and messages, in place of obeying them."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(each) for each in renderables]


class _Shown:
    """A renderable whose text is visible once it is laid out; the console's own colours are added behind that."""

    def __init__(self, renderable: Any) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for segment in console.render(self._renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def take_any_text() -> None:
    """Let standard output and error take every character, whatever their encoding: a known one as ASCII, else escaped.

    Called once, before anything is printed.
    """
    codecs.register_error("lenet-bench", _substitute)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="lenet-bench")


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def make_table() -> FittingTable:
    """A table without lines, as all of ours are, that fits where it is printed."""
    return FittingTable()


def make_columns(table: FittingTable, left: list[str], right: list[str], last: str | None) -> None:
    """Add columns: names to the left, which every part of the table begins with; figures to the right; words last.

    A header that would be read two ways alone has a line above it: `ratio` above `interval`, a unit's name above `s`.
    """
    table.keys = len(left)
    for header in left:
        table.add_column(header)
    for header in right:
        table.add_column(header, justify="right")
    if last is not None:
        table.add_column(last)
