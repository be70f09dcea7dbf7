"""Values of options: what is read, and what is refused with a sentence that says what came in."""

from __future__ import annotations

import pytest
import typer

from harness.commands.options import positive, seconds, sizes, whole


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("12", 12), (" 3 ", 3), ("1_000", 1000)])
def test_whole_numbers_are_read(text: str, number: int) -> None:
    """A whole number from the least one up is read as an int; a default, which is no text, too."""
    assert whole(1)(text) == number
    assert whole(1)(number) == number  # type: ignore[arg-type]
    assert isinstance(whole(1)(text), int)


@pytest.mark.parametrize("text", ["x", "", "1.5", "nan", "1,8", "1e3"])
def test_what_is_no_whole_number_is_quoted(text: str) -> None:
    """Text and fractions are refused, and come back in the sentence."""
    with pytest.raises(typer.BadParameter, match=rf"a whole number is wanted, got '{text}'\."):
        whole(0)(text)


@pytest.mark.parametrize(("least", "text"), [(1, "0"), (1, "-3"), (0, "-1"), (4, "3")])
def test_whole_numbers_under_the_least_are_refused(least: int, text: str) -> None:
    """The sentence has the least that there may be, and what came in; the least itself is taken."""
    with pytest.raises(typer.BadParameter, match=rf"a whole number from {least} up is wanted, got {text}\."):
        whole(least)(text)

    assert whole(least)(str(least)) == least


@pytest.mark.parametrize(("text", "number"), [("2", 2.0), ("0.5", 0.5), ("1e-3", 1e-3), ("99.99", 99.99)])
def test_positive_numbers_are_read(text: str, number: float) -> None:
    """A positive number under the limit is read as a float; a default, which is no text, too."""
    assert positive("percentage", below=100)(text) == number
    assert positive("percentage", below=100)(number) == number  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0", "-0.0", "-5", "nan", "inf", "-inf", "x", "", "2 s"])
def test_what_is_not_positive_is_quoted(text: str) -> None:
    """Zero, negative numbers, infinity, not-a-number and text are refused with what was wanted and what came in."""
    with pytest.raises(typer.BadParameter, match=rf"a positive number of seconds is wanted, got '{text}'\."):
        seconds(text)


@pytest.mark.parametrize("text", ["100", "100.5", "1e9"])
def test_the_limit_is_said(text: str) -> None:
    """A number at the limit or over it is refused with the limit."""
    with pytest.raises(typer.BadParameter, match=rf"a positive percentage under 100 is wanted, got '{text}'\."):
        positive("percentage", below=100)(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("1,8", (1, 8)), ("64", (64,)), ("8, 1,8", (1, 8)), ("none", ())], ids=str
)
def test_sizes_are_read(text: str, expected: tuple[int, ...]) -> None:
    """Batch sizes are sorted, each once; `none` is no size at all."""
    assert sizes(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "from 1 up is wanted, got 0"),
        ("8,-1", "from 1 up is wanted, got -1"),
        ("x", "a whole number is wanted, got 'x'"),
        ("1,,8", "a whole number is wanted, got ''"),
        ("1,none", "a whole number is wanted, got 'none'"),
        ("", "a whole number is wanted, got ''"),
    ],
)
def test_what_is_no_size_is_quoted(text: str, message: str) -> None:
    """The part that is not a positive whole number comes back in the sentence."""
    with pytest.raises(typer.BadParameter, match=message):
        sizes(text)
