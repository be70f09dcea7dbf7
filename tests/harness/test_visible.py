"""Text from outside can do nothing but be read: escapes, direction marks, formulas."""

from __future__ import annotations

import pytest

from harness.visible import quoted, silent, unquoted, visible

FORMULAS = ["=cmd()", "+1+cmd()", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("torch eager 2×, 64 µs → ±3 %", "torch eager 2×, 64 µs → ±3 %"),  # noqa: RUF001
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("\ufeff\u200b\x00\x85\u2028", r"\ufeff\u200b\x00\x85\u2028"),
        ("half \udc80 a pair", r"half \udc80 a pair"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_what_is_not_seen_is_escaped(text: str, shown: str) -> None:
    """Characters that do something without being seen are shown; all others are as they were."""
    assert visible(text) == shown
    assert visible(shown) == shown
    shown.encode()


def test_the_first_silent_character() -> None:
    """Which one it is, tabs and line ends too."""
    assert silent("a name, ünïcode") == ""
    assert silent("a\tb") == "\t"
    assert silent("a\u202eb\n") == "\u202e"


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_quoted(cell: str) -> None:
    """No cell begins as a formula does, however often it is quoted; and it comes back."""
    assert quoted(cell) == f"'{cell}"
    for _ in range(3):
        assert unquoted(quoted(cell)) == cell
        assert quoted(cell)[0] == "'"
        cell = quoted(cell)


@pytest.mark.parametrize("cell", ["", "-1", "+2.5e-3", "torch", "'tis", "'", "a=b", "2.13.0"])
def test_other_cells_are_left(cell: str) -> None:
    """An apostrophe alone means nothing."""
    assert quoted(cell) == unquoted(cell) == cell
