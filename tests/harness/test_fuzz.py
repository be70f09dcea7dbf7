"""All inputs on which a reader was once wrong, and those that the fuzzer begins from; `nox -s fuzz` makes more."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.runs import interpreters
from tests.fuzz import targets

FOUND = [(path.parent.name, path) for path in sorted(targets.CORPUS.glob("*/*"))]


@pytest.fixture(autouse=True)
def own_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets set the variable themselves; it is put back."""
    monkeypatch.setenv(interpreters.MAP_VARIABLE, "")


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.name}" for name, path in FOUND])
def test_what_was_found_is_found_no_more(name: str, path: Path):
    """Every input of the corpus is read, or refused with a sentence."""
    targets.check(name, path.read_bytes())


@pytest.mark.parametrize("name", targets.TARGETS)
def test_readers_bear_what_the_fuzzer_begins_from(name: str):
    """Whole inputs, cut ones, and such with a byte of another."""
    for content in targets.TARGETS[name].seeds():
        for changed in (
            content,
            content[: len(content) // 2],
            content[:-1] + b"\xff",
            content[:9] + b"\0" + content[10:],
        ):
            targets.check(name, changed)


@pytest.mark.parametrize(
    "name", ["idx", "cifar", "tables", "baseline", "environment", "interpreters", "messages", "settings"]
)
def test_some_of_what_it_begins_from_is_right(name: str):
    """A fuzzer whose every input is refused at the door would find nothing behind it."""
    good = 0
    for content in targets.TARGETS[name].seeds():
        try:
            targets.TARGETS[name].read(content)
        except InputError:
            continue
        good += 1

    assert good


def test_an_error_that_says_nothing_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    """The rule is held by the function that the fuzzer calls."""

    def refuse(content: bytes) -> None:
        raise InputError(content.decode())

    monkeypatch.setitem(targets.TARGETS, "idx", targets.Target(refuse, list, 1))

    targets.check("idx", b"It is no such file.")
    with pytest.raises(AssertionError, match="without words"):
        targets.check("idx", b" ")
    with pytest.raises(AssertionError, match="characters"):
        targets.check("idx", b"x" * 4000)
