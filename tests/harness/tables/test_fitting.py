"""Every table fits where it is printed: rows are lines, figures are whole, and what is cut stands whole below."""

from __future__ import annotations

import io
import random
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.tables import run_tables
from harness.tables.layout import make_columns, make_table, stdout
from tests.harness.tables import made_up_runs

WIDTHS = (80, 100, 200)


def printed(table: object, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("seed", range(40))
def test_any_table_fits(seed: int) -> None:
    """Any columns, in any width: no line is too long, no figure is cut, a row is one line in each part."""
    drawn = random.Random(seed)
    width, rows = drawn.choice(WIDTHS), drawn.randint(1, 40)
    left, right = drawn.randint(1, 3), drawn.randint(0, 14)
    words = drawn.randint(0, 2)
    table = make_table()
    make_columns(table, [f"name{n}" for n in range(left)], [f"figure\n{n}" for n in range(right)], None)
    for number in range(words):
        table.add_column(f"words{number}")
    figures = []
    for row in range(rows):
        names = [made_up_runs.name(drawn, 3, 60) for _ in range(left)]
        mine = [f"{row}/{n}={'7' * drawn.randint(0, 12)}" for n in range(right)]
        figures += mine
        table.add_row(*names, *mine, *(made_up_runs.name(drawn, 3, 300) for _ in range(words)))

    lines = printed(table, width)

    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    made_up_runs.check_marks(text)
    table_lines = re.split(made_up_runs.BELOW, text, maxsplit=1)[0].splitlines()
    parts = sum(line.startswith("name0") for line in table_lines)
    # A line that begins with a blank is the upper one of a header; a folded row would have one, too.
    assert sum(not line.startswith((" ", "name0")) for line in table_lines) == parts * rows
    assert sum(line.startswith(" ") for line in table_lines) <= parts
    assert set(figures) <= set(text.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", range(8))
def test_any_run_fits(seed: int, width: int) -> None:
    """1 to 40 entrants with all that may tell them apart: nothing is wider, each speed and each name can be read."""
    drawn = random.Random(seed)
    entrants = (1, 2, 3, 5, 8, 12, 20, 40)[seed]
    summary, sweep = made_up_runs.summary(drawn, entrants)
    out = io.StringIO()

    run_tables.show_summary(Console(file=out, width=width, highlight=False), summary, sweep, conditions=["A. " * 60])

    text = out.getvalue()
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= width
    # All tables of a run say once, together, what they cut.
    below = re.findall(made_up_runs.BELOW, text)
    assert len(below) == len(set(below))
    made_up_runs.check_marks(text)
    once = " ".join(text.split())
    for _, row in summary.iterrows():
        assert f"{row['train_images_per_s']:,.0f}" in text.split()
        assert f"{row['ratio_low']:.3f}..{row['ratio_high']:.3f}" in text.split()
        assert row["mode"] in once
        assert row["backend"] in once


@pytest.mark.parametrize("name", ["\x1b[2J" * 9 + "\n", "漢字" * 20, "\u202e" * 30, "a\tb" * 20])
def test_names_that_are_longer_than_they_look_fit(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes are measured as they are shown, wide letters by their width, and a line end in a name ends no row."""
    table = make_table()
    make_columns(table, ["entrant", "mode"], ["images/s"] * 5, "verdict")
    table.add_row(name, name, *["1,234,567"] * 5, "cannot tell")

    stdout().print(table)

    lines = capsys.readouterr().out.splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= 80
    assert " ".join(lines).count("1,234,567") == 5
    made_up_runs.check_marks("\n".join(lines))


def test_names_are_joined_before_anything_is_cut() -> None:
    """Of two columns that name a row, the longest names need not meet in one row."""
    table = make_table()
    make_columns(table, ["backend", "mode"], ["images/s"], None)
    table.add_row("tensorflow", "graph", "15,083")
    table.add_row("torch", "channels-last", "11,882")

    assert printed(table, 80)[1] == "tensorflow graph           15,083"
    assert printed(table, 30)[1:] == ["tensorflow graph      15,083", "torch channels-last   11,882"]


def test_words_are_cut_before_figures_need_a_second_part() -> None:
    """They get all that figures and names leave, and not less."""
    table = make_table()
    make_columns(table, ["backend", "mode"], ["images/s", "ratio"], "words")
    table.add_row("torch", "eager", "11,882", "1.000", "w" * 60)

    lines = printed(table, 60)

    assert lines[:2] == ["backend mode  images/s ratio words", f"torch   eager   11,882 1.000 {'w' * 29}…1"]
    assert "".join(lines[2:]) == f"…1:{'w' * 60}"


def test_a_name_is_cut_no_shorter_than_figures_need() -> None:
    """One that has room for more than its share of the line takes it."""
    table = make_table()
    make_columns(table, ["name"], ["images/s"], None)
    table.add_row("n" * 70, "11,882")

    assert printed(table, 60)[1] == f"{'n' * 49}…1   11,882"


def test_style_of_a_row_stays() -> None:
    """Means below single figures are bold."""
    table = make_table()
    make_columns(table, ["seed"], ["torch"], None)
    table.add_row("0", "98.62")
    table.add_row("mean", "98.62", style="bold")
    out = io.StringIO()

    Console(file=out, width=80, force_terminal=True, color_system="standard").print(table)

    plain, bold = out.getvalue().splitlines()[1:]
    assert "\x1b[1m" in bold
    assert "\x1b[1m" not in plain
