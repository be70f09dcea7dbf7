"""The consoles: text is shown as it is, on any terminal, in any encoding, in logs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from rich.text import Text

from harness.tables import layout

Stream = Callable[..., io.TextIOWrapper]


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Return a function that puts a stream of some encoding, a terminal or not, in the place of standard output."""

    def make(encoding: str = "utf-8", *, terminal: bool = False, **variables: str) -> io.TextIOWrapper:
        made = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(made, "isatty", lambda: terminal, raising=False)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, made)
        for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return made

    return make


def said(made: io.TextIOWrapper) -> str:
    made.flush()
    return made.buffer.getvalue().decode(made.encoding)  # type: ignore[attr-defined]


def table_of(cell: str) -> object:
    table = layout.make_table()
    layout.make_columns(table, ["backend"], ["images/s"], None)
    table.add_row(cell, "1 ±.02")
    return table


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "[/bold]", ":smile:", "\\[x]"])
def test_a_name_is_no_markup(stream: Stream, name: str) -> None:
    """Brackets and colons are what they are, alone and in a table."""
    made = stream()
    layout.stdout().print(f"Results: {name}", soft_wrap=True)
    layout.stdout().print(table_of(name))
    layout.stderr().print(Text(name))
    assert said(made).count(name) == 3


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_sentences_are_folded_between_words_on_a_terminal(stream: Stream, columns: int) -> None:
    """No word is cut, a path is left whole so that it can be copied, and lines keep their indent and their order."""
    path = "/a/folder/with-a-long-name/" + "x" * columns
    made = stream(terminal=True, COLUMNS=str(columns))
    layout.say(layout.stderr(), f"  Results are in a folder: {path}, as was asked for.\n\nA second line.")
    lines = said(made).splitlines()
    assert " ".join(" ".join(lines).split()) == f"Results are in a folder: {path}, as was asked for. A second line."
    assert all(len(line) <= columns or line.strip() == f"{path}," for line in lines)
    assert all(line.startswith("  ") for line in lines[: lines.index("")])


def test_sentences_are_whole_in_a_log(stream: Stream) -> None:
    """However long: a log is searched line by line. Colours that are asked for make no terminal of it."""
    made = stream(COLUMNS="80", FORCE_COLOR="1")
    layout.say(layout.stderr(), "word " * 50 + "end")
    assert said(made).count("\n") == 1


def test_a_name_is_no_escape(stream: Stream) -> None:
    """What a terminal would obey is shown, however it is printed; colours of our own still are colours."""
    made = stream(terminal=True)
    for printed in ("\x1b]0;title", Text("\x1b[2J\u202e", style="red"), table_of("\x1b[8mhidden")):
        layout.stdout().print(printed)
    text = said(made)
    for shown in (r"\x1b]0;title", r"\x1b[2J\u202e", r"\x1b[8mhidden", "\x1b[31m"):
        assert shown in text
    assert "\u202e" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_any_encoding_is_enough(stream: Stream, encoding: str) -> None:
    """A stream that cannot hold a character gets another one in its place, or an escape, and no error."""
    made = stream(encoding)
    layout.take_any_text()
    layout.stdout().print(table_of("a → b ▁▂█ \udc80 漢"))
    print("数 ▃")
    text = said(made)
    assert "~.02" in text if encoding == "ascii" else "±.02" in text
    assert "a > b 128" in text
    assert r"\udc80" in text
    assert r"\u6f22" in text
    assert r"\u6570 3" in text


def test_colours_in_a_log(stream: Stream) -> None:
    """FORCE_COLOR gives colours without a cursor that moves; NO_COLOR none, on a terminal too."""
    forced = stream(FORCE_COLOR="1")
    assert not layout.stderr().is_interactive
    layout.stdout().print(Text("x", style="red"))
    assert "\x1b[31mx" in said(forced)
    plain = stream(terminal=True, NO_COLOR="1")
    layout.stdout().print(Text("x", style="red"))
    assert "31m" not in said(plain)


@pytest.mark.parametrize("terminal", [True, False])
def test_narrow_terminal_loses_nothing(stream: Stream, terminal: bool) -> None:
    """Tables are 80 columns wide at the least: a narrow terminal folds lines, it does not lose figures."""
    made = stream(terminal=terminal, COLUMNS="20", FORCE_COLOR="1")
    layout.stdout().print(table_of("a-name-that-is-longer-than-twenty-columns"))
    assert "a-name-that-is-longer-than-twenty-columns" in said(made)
