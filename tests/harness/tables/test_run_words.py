"""What stands around the figures: titles, names that tell entrants apart, marks, footnotes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from harness.results.folder import frame_of
from harness.results.schema import SUMMARY
from harness.tables import run_tables
from tests.harness.tables.five_frameworks import (
    REACHED,
    TABLES,
    rows_of,
    shown,
    sweep_of,
    table_text,
)


def test_conditions_stand_below_the_speeds() -> None:
    """What must be known of the speeds is read before the next table begins."""
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)

    run_tables.show_summary(console, frame_of(rows_of(), SUMMARY), sweep_of(5), conditions=["A [quota] held it."])

    first, _ = out.getvalue().split("Start-up")
    assert first.rstrip().endswith("A [quota] held it.")


def test_runs_have_letters() -> None:
    """Each of several runs has a letter, in the order of their names, behind its backends and explained below."""
    text = shown(rows_of(run="second") + rows_of(run="first") + rows_of(run="third, [bold]"))
    lines = text.splitlines()

    assert lines[-3:] == ["A: first", "B: second", "C: third, [bold]"]
    order = [line.split()[1] for line in lines if line.startswith("paddle")]
    assert order[:3] == ["B", "A", "C"]
    assert "\nA: " not in shown(rows_of())


def test_unpaired_verdicts_are_marked() -> None:
    """A star behind the verdict, and a line that says what it means; none where all is paired or not known."""
    first, *others = rows_of(verdict="slower", paired=True)

    text = shown([first | {"paired": None}, *others[:1], others[1] | {"paired": False}, *others[2:]])

    assert text.count("slower *") == 1
    assert "* between runs: not paired, and the machine may have changed since." in text
    assert "between runs" not in shown(rows_of(verdict="slower", paired=True))
    assert "between runs" not in shown(rows_of())


def test_what_was_not_verified_is_said() -> None:
    """A table with rows that --unverified made says so; one of an older version, which does not know, says nothing."""
    assert "NOT VERIFIED" in shown(rows_of(verified=False))
    assert "NOT VERIFIED" not in shown(rows_of(verified=True))
    assert "NOT VERIFIED" not in shown(rows_of(verified=None))


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("variant", [None, "twin"], ["eager", "eager twin"]),
        ("threads", [1, 2], ["eager 1t", "eager 2t"]),
        ("batch_size", [64, 256], ["eager b64", "eager b256"]),
        ("feed", ["host", "device"], ["eager host", "eager device"]),
        ("launches", [5, 6], ["eager", "eager"]),
    ],
)
def test_what_tells_entrants_apart_is_shown(column: str, values: list[Any], expected: list[str]) -> None:
    """The mode is followed by what differs, and by nothing else; the title has what they share."""
    rows = [rows_of()[1] | {column: value} for value in values]
    out = io.StringIO()

    run_tables.show_summary(Console(file=out, width=200, highlight=False), frame_of(rows, SUMMARY), sweep_of(2))

    title, _, _, *lines = out.getvalue().splitlines()
    assert [line.removeprefix("torch").split("18,277")[0].strip() for line in lines[:2]] == expected
    assert ("torch" in title) == (len(set(expected)) == 2)
    shared = {"threads": "1 thread", "batch_size": "batch 64", "feed": "host"}
    assert all((text in title) == (name != column) for name, text in shared.items())


def test_several_things_that_tell_entrants_apart_are_all_shown() -> None:
    """Threads and feed at once, in a fixed order."""
    rows = [rows_of()[1] | {"threads": t, "feed": f} for t in (1, 2) for f in ("host", "device")]

    text = shown(rows)

    for mode in ("eager 1t host", "eager 2t host", "eager 1t device", "eager 2t device"):
        assert mode in text
    assert "b64" not in text.split("Start-up")[0]


@pytest.mark.parametrize("name", TABLES)
def test_two_modes_of_one_backend_can_be_told_apart_in_every_table(name: str) -> None:
    """Of torch eager and torch compiled every table says which line is whose."""
    rows = [rows_of(**REACHED)[1] | {"mode": mode} for mode in ("eager", "compiled")]

    *_, eager, compiled = table_text(TABLES[name](frame_of(rows, SUMMARY)), 80)

    assert "eager" in eager
    assert "compiled" in compiled


def test_footnotes_say_what_holds_together() -> None:
    """Three entrants share their intervals' 95 %; two do not."""
    assert "all of them hold together" in shown(rows_of())
    assert "all of them hold together" not in shown(rows_of()[:2])
    assert "Intervals are 95 %" in shown(rows_of()[:2])
    assert "Under 4 rounds" not in shown(rows_of())


def test_drawn_digits_are_said_aloud() -> None:
    """Accuracies of drawn digits are never taken for those of MNIST."""
    assert "DRAWN DIGITS, NOT MNIST" in shown(rows_of(data_set="drawn-digits"))
    assert "DRAWN" not in shown(rows_of())


def test_unsteady_launches_are_named() -> None:
    """Who never became steady, how often, and that it is kept; nobody else."""
    rows = rows_of()
    rows[3] |= {"unsteady": 2}

    notes = [line for line in shown(rows).splitlines() if "steady; kept" in line]

    assert notes == ["jax jit: 2 of 5 launches never became steady; kept."]
