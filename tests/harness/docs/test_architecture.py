"""docs/architecture.md against the code: its rooms are the contracts', and what it names is there."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
NAMED = re.findall(r"`((?:spec|data|worker|results|analysis|tables|runs)\.[a-z_]+\.[A-Za-z_.]+)`", PAGE)


def test_drawing_has_the_rooms_in_the_order_of_the_contract() -> None:
    """From the top down, each with its line; and each is a folder with an explanation of five lines or fewer."""
    drawing = PAGE.partition("```text\n")[2].partition("```")[0]

    assert re.findall(r"^ ([a-z]+)  ", drawing, re.MULTILINE) == LAYERS
    rooms = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert rooms == set(LAYERS)


@pytest.mark.parametrize("room", LAYERS)
def test_room_says_what_it_is_for(room: str) -> None:
    """What for, what never, where to start: in at most six lines."""
    text = importlib.import_module(f"harness.{room}").__doc__ or ""

    assert len(text.strip().splitlines()) <= 6
    assert "Never" in text or "never" in text
    assert "Start with" in text
    for name in re.findall(r"`([a-z_]+\.py)`", text):
        assert (ROOT / "harness" / room / name).exists(), name


@pytest.mark.parametrize("name", NAMED)
def test_named_function_is_there(name: str) -> None:
    """`runs.rounds.Rounds` and its like can be found under that very name."""
    room, module, *parts = name.split(".")
    found = importlib.import_module(f"harness.{room}.{module}")
    for part in parts:
        found = getattr(found, part)


def test_questions_are_answered_by_files_that_are_there() -> None:
    """Every question has a file."""
    answers = PAGE.partition("## Where is")[2]
    files = re.findall(r"^\| Where .*\| `([a-z/_]+\.py)`", answers, re.MULTILINE)

    assert len(files) == 16
    assert all((ROOT / file).exists() for file in files), files
    assert len(NAMED) >= 15
