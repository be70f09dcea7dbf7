"""docs/reliability.md: the tests that it names as holding its promises are there."""

from __future__ import annotations

import re
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[1]
PAGE = (HARNESS.parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_promises_name_tests_that_are_there() -> None:
    """Files below tests/harness, and functions in them; `::test` alone is of the file before it."""
    file, found = "", 0
    for name, test in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", PAGE):
        if not (name or test):
            continue
        file = name or file
        path = HARNESS / file
        assert path.is_file(), file
        assert not test or f"def {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"
        found += 1

    assert found >= 20
