"""Markdown of names and errors: words, and nothing that Markdown or HTML would act on."""

from __future__ import annotations

import pytest

from harness.tables.markdown import plain, row


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("torch eager", "torch eager"),
        ("a|b", r"a\|b"),
        ("<b>&", r"&lt;b&gt;&amp;"),
        ("`c` *d* _e_ ~f~", r"\`c\` \*d\* \_e\_ \~f\~"),
        ("![x](y) [z](w)", r"\!\[x\](y) \[z\](w)"),
        ("@someone #1 https://x", r"\@someone \#1 https\://x"),
        ("two\nlines\ttabbed", "two lines tabbed"),
    ],
)
def test_marks_are_escaped(text: str, shown: str) -> None:
    """Whatever has a meaning in Markdown, HTML or on GitHub is shown as it is, on one line."""
    assert plain(text) == shown


def test_a_row_has_its_cells() -> None:
    """Nothing in a cell ends it, and an empty one is a dash."""
    assert row(["a|b", "", " ", "c"]) == r"| a\|b | - | - | c |"
