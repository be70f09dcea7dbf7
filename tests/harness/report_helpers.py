"""What the report's tests share: a page taken apart, a CSV edited by hand, the command line called in this process."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.commands import cli
from harness.results.folder import write_table

Call = Callable[..., tuple[int, str, str]]


class Parsed(HTMLParser):
    """A page, taken apart as a browser does.

    Attributes:
        tags: name and attributes of every start tag.
        texts: by the innermost element, what stands in it.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._within = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append((self._within, data))

    def of(self, tag: str) -> list[dict[str, str]]:
        """Attributes of all elements of this name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def scripts(self) -> list[str]:
        """Contents of the script elements."""
        return [text for tag, text in self.texts if tag == "script" and text.strip()]

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script draws and filters by."""
        return dict(json.loads(self.scripts[0]))

    @property
    def words(self) -> str:
        """All texts but those of scripts and styles."""
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())


def change(path: Path, edit: Callable[[pd.DataFrame], None]) -> None:
    """Edit a CSV as text."""
    frame = pd.read_csv(path, dtype="string", keep_default_na=False)
    edit(frame)
    write_table(path, frame)


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the command line in this process: exit code, what it said on stdout and stderr."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lenet-bench", *map(str, arguments)])
        code = cli.command_line()
        out, err = capsys.readouterr()
        return code, " ".join(out.split()), " ".join(err.split())

    return run


@contextlib.contextmanager
def visits(
    browser: Any, page: Path, *, ours: Callable[[str], bool], viewport: dict[str, int]
) -> Iterator[Callable[..., Any]]:
    """A function that opens the page in a browser; whatever it complains of, or asks for elsewhere, fails the test.

    Args:
        ours: whether an address that is asked for is the page's own.
        viewport: unless the function is given another one.
    """
    opened: list[Any] = []
    complaints: list[str] = []

    def visit(**options: Any) -> Any:
        context = browser.new_context(**({"viewport": viewport} | options))
        opened.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        tab.on("request", lambda request: None if ours(request.url) else complaints.append(request.url))
        tab.goto(page.as_uri(), wait_until="load")
        tab.wait_for_selector("html[data-drawn]", state="attached")
        return tab

    yield visit
    for context in opened:
        context.close()
    assert complaints == []
