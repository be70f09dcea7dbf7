"""Values of options: what is read, and what is refused with a sentence that says what came in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from harness.commands import cli
from harness.commands.options import parse_pythons, positive, run_name, seconds, sizes, whole
from harness.errors import InputError


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


@pytest.mark.parametrize(("read", "most"), [(whole(1), 2**31 - 1), (whole(0, 2**62), 2**62)])
def test_what_no_cell_could_hold_is_refused(read: Callable[[str], int], most: int) -> None:
    """The largest number is taken, the next is not, and a number of a thousand digits is not repeated."""
    assert read(str(most)) == most
    with pytest.raises(typer.BadParameter, match=rf"a whole number up to {most} is wanted, got '{most + 1}'\."):
        read(str(most + 1))
    for digits in (1000, 9999):
        with pytest.raises(typer.BadParameter, match=r"is wanted, got '9{60}\.\.\.'\."):
            read("9" * digits)


NAMES = ["../x", "..", ".", "", " ", "a/b", "a\\b", "/tmp/x", "-x", ".hidden", "[/bold]", "<b>", "=cmd()", "@x", "+1",
         "a\x00b", "a\x1b[31m", "a\u202eb", "a\nb", " a", "a ", "n" * 201, "ü" * 101]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_bad_names_are_refused(name: str) -> None:
    """What leads elsewhere, is a formula, cannot be seen, or is too long: what came in, and what to give."""
    with pytest.raises(InputError, match=r"(?s)^--name '.*'.*\. Give letters, digits") as refused:
        run_name(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["a", "2026-11-20T10-00-00-torch", "ünïcode x", "_x", "x[bold]", "漢字", "n" * 200])
def test_good_names_are_taken(name: str) -> None:
    """Any letters, and brackets, which are shown as they are."""
    assert run_name(name) == name


def test_pythons_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path, one from home and a bare name become absolute, as workers run elsewhere; links stay links."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for path in ("bin/python", "./bin/python", "~/bin/python", "python", f"{tmp_path}/bin/python"):
        assert parse_pythons([f"numpy={path}"]) == {"numpy": f"{tmp_path}/bin/python"}
    for path in ("", "no-such-python", "./none", "~nobody-of-this-name/x", "bin"):
        with pytest.raises(InputError, match=f"--python numpy={path}: "):
            parse_pythons([f"numpy={path}"])


def test_here_is_the_environment_of_lenet_bench() -> None:
    """--here gives every backend this interpreter, but for those that were given another."""
    given = ["numpy=python3"]

    assert parse_pythons([], here=["torch", "numpy"]) == {"torch": sys.executable, "numpy": sys.executable}
    assert parse_pythons(given, here=["torch", "numpy"])["torch"] == sys.executable
    assert parse_pythons(given, here=["torch", "numpy"])["numpy"].endswith("/python3")
    assert parse_pythons([]) == {}


@pytest.mark.parametrize(("text", "number"), [("2", 2.0), ("0.5", 0.5), ("1e-3", 1e-3), ("99.99", 99.99)])
def test_positive_numbers_are_read(text: str, number: float) -> None:
    """A positive number under the limit is read as a float; a default, which is no text, too."""
    assert positive("percentage", below=100)(text) == number
    assert positive("percentage", below=100)(number) == number  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0", "-0.0", "-5", "nan", "inf", "-inf", "x", "", "2 s"])
def test_what_is_not_positive_is_quoted(text: str) -> None:
    """Zero, negative numbers, infinity, not-a-number and text are refused with what was wanted and what came in."""
    with pytest.raises(
        typer.BadParameter, match=rf"a positive number of seconds under 100,000,000 is wanted, got '{text}'\."
    ):
        seconds(text)


@pytest.mark.parametrize("text", ["100", "100.5", "1e9", "1e308"])
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


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("lenet-bench ru", {"run"}),
        ("lenet-bench re", {"report", "reproduce"}),
        ("lenet-bench run --ro", {"--rounds"}),
        ("lenet-bench baseline u", {"update"}),
        ("lenet-bench gate --st", {"--strict"}),
    ],
)
def test_shells_are_helped(session_environment: dict[str, str], tmp_path: Path, words: str, wanted: set[str]) -> None:
    """Commands, and options of a command that is imported only now; lenet-bench.toml is not told of meanwhile."""
    (tmp_path / "lenet-bench.toml").write_text("[gate]\nstrict = true\n[run]\nrounds = 5\n")
    own = {"_LENET_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    program = "import sys; sys.argv = ['lenet-bench']; from harness.__main__ import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", program], env=session_environment | own, cwd=tmp_path, capture_output=True, text=True
    )

    assert set(done.stdout.split()) == wanted
    assert "lenet-bench.toml" not in done.stderr


def test_the_list_of_commands_says_what_each_says() -> None:
    """`lenet-bench --help` is written without importing the commands, whose own help begins with the same line."""
    assert {name: command.help.splitlines()[0] for name, command in cli.whole_tool().commands.items()} == cli.COMMANDS
