"""Names that nobody knows: the nearest of those that there are."""

from __future__ import annotations

import pytest

from harness.errors import unknown


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("compile", ["channels-last", "compiled", "eager"], "compiled"),
        ("md", ["csv", "json", "latex", "markdown", "table"], "markdown"),
        ("tf", ["jax", "tensorflow", "torch"], "tensorflow"),
        ("channels", ["channels-last", "eager"], "channels-last"),
        ("tourch", ["tensorflow", "torch"], "torch"),
        ("qqq", ["csv", "json"], None),
        ("x", ["xla"], None),
        ("", ["csv"], None),
    ],
)
def test_nearest_name(name: str, known: list[str], nearest: str | None) -> None:
    """By its spelling, or what it is short for; none where nothing is near."""
    words = str(unknown("thing", name, known))

    assert words.startswith(f"There is no thing {name!r}. There are: {', '.join(known)}.")
    assert words.endswith(f"Did you mean {nearest!r}?") is (nearest is not None)
