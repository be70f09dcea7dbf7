"""What a person sees: lines in a log file, a table that is drawn anew on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from harness.analysis.comparison import Comparison
from harness.analysis.statistics import Interval
from harness.errors import WorkerFailed
from harness.runs.display import Display
from harness.runs.outlook import Piece
from harness.runs.pace import Pace
from harness.runs.plan import MOST_ROUNDS, Plan
from tests.harness.runs.screens import screen, written

LAUNCH = {
    "train_images_per_s": 12345.6, "inference_images_per_s": 70000.4, "first_step_s": 0.125, "steady": True,
}  # fmt: skip
SPEED = Interval(12345.6, 12000.0, 12700.0, 5)
BASE = Comparison("numpy eager", pd.DataFrame(), SPEED, None, "")


def flat(text: str) -> str:
    """The text with single spaces: titles are folded to the width of their table."""
    return " ".join(text.split())


def other(label: str, *, low: float, estimate: float, high: float, count: int = 5) -> Comparison:
    return Comparison(label, pd.DataFrame(), SPEED, Interval(estimate, low, high, count), "slower")


@pytest.fixture
def make_pace(make_plan: Callable[..., Plan]) -> Callable[..., Pace]:
    """Return a function that makes a pace after some rounds of 10 s, with these standings."""

    def make(*found: Comparison, rounds: int = 5, **changes: Any) -> Pace:
        options = {"rounds": 5, "most_rounds": MOST_ROUNDS, "precision": 0.02, "budget_s": 200.0} | changes
        now = [0.0]
        pace = Pace(make_plan(*(each.label.split()[0] for each in found), **options), clock=lambda: now[0])
        for number in range(1, rounds + 1):
            assert pace.wants_round(number)
            now[0] += 10
            pace.round_ended(list(found))
        return pace

    return make


def launch_twice(display: Display, pace: Pace | None = None) -> None:
    """Show a round of two launches, behind which two are to come that will take a minute each."""
    display.outlook.expect([Piece("round", guess_s=60.0)] * 2)
    display.start(2)
    display.round_started(3)
    for label in ("numpy eager", "twin eager"):
        display.launch_started(label)
        for name in ("import", "build", "first step", "train", "infer"):
            display.message({"event": "phase", "name": name})
        display.message({"event": "progress", "epoch": 1, "done": 0.5})
        display.launch_finished(dict(LAUNCH), None)
    if pace:
        display.round_ended(pace)


def test_log_file_has_a_line_a_launch_and_a_round(make_pace: Callable[..., Pace]) -> None:
    """Where there is no terminal: one line for every launch, one for the round, nothing that is drawn twice."""
    console = screen(terminal=False)
    with Display(console) as display:
        launch_twice(display, make_pace(BASE, other("twin eager", low=0.96, estimate=0.98, high=1.0)))

    *launches, standings = written(console).splitlines()
    assert launches == [
        "round 3  numpy eager: 12,346 images/s training, 70,000 inference, first step 0.12 s",
        "round 3  twin eager: 12,346 images/s training, 70,000 inference, first step 0.12 s",
    ]
    assert re.fullmatch(
        r"after 5 round\(s\): numpy eager 12,346 images/s; twin eager x 0\.980 \(0\.960\.\.1\.000\); "
        r"widest interval 4\.1%, 2\.0% wanted; about 2 min left",
        standings,
    )
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_terminal_has_a_table_of_standings(make_pace: Callable[..., Pace]) -> None:
    """After a round: every entrant with speed, ratio, interval and width; how wide, how wide wanted, time left."""
    console = screen(terminal=True)
    pace = make_pace(
        BASE, other("twin eager", low=0.96, estimate=0.98, high=1.0), other("crashing eager", low=0.4, estimate=0.5,
        high=0.6),
    )  # fmt: skip
    with Display(console) as display:
        launch_twice(display)
        before = written(console)
        display.round_ended(pace)
        table = written(console)[len(before) :]

    assert "width" not in before
    for words in (
        r"after 5 round\(s\): widest interval 40\.0%, 2\.0% wanted",
        r"2/2 0:00, about 2 min left",
        r"images/s ratio interval width",
        r"numpy eager 12,346 base",
        r"twin eager 12,346 0\.980 0\.960\.\.1\.000 4\.1%",
        r"crashing eager 12,346 0\.500 0\.400\.\.0\.600 40\.0%",
    ):
        assert re.search(words, flat(table)), words
    assert max(map(len, table.splitlines())) <= 80


def test_phases_are_drawn_on_a_terminal() -> None:
    """A terminal shows what the worker is doing, and how far an epoch is; a log file does not."""
    terminal, log = screen(terminal=True), screen(terminal=False)
    for console in (terminal, log):
        with Display(console) as display:
            launch_twice(display)

    for words in ("numpy eager: starting", "numpy eager: warming up", "twin eager: epoch 1: 50%", "2/2"):
        assert words in written(terminal), words
        assert words not in written(log)


@pytest.mark.parametrize("terminal", [False, True])
def test_first_round_has_no_interval(make_pace: Callable[..., Pace], terminal: bool) -> None:
    """After one round there are ratios and no intervals: none is shown, and no `inf` or `nan`."""
    console = screen(terminal)
    nan = float("nan")
    with Display(console) as display:
        launch_twice(display, make_pace(BASE, other("twin eager", low=nan, estimate=0.98, high=nan, count=1), rounds=1))

    text = flat(written(console))
    assert "after 1 round(s)" in text
    assert "0.980" in text
    assert not re.search(r"\b(inf|nan)\b", text)


@pytest.mark.parametrize("terminal", [False, True])
def test_run_without_precision_names_none(make_pace: Callable[..., Pace], terminal: bool) -> None:
    """Where the number of rounds was given, no precision is said to be wanted."""
    console = screen(terminal)
    pace = make_pace(
        BASE, other("twin eager", low=0.96, estimate=0.98, high=1.0), rounds=2, precision=0.0, budget_s=0.0,
        most_rounds=5,
    )  # fmt: skip
    with Display(console) as display:
        launch_twice(display, pace)

    text = flat(written(console))
    assert re.search(r"after 2 round\(s\): .*widest interval 4\.1%", text)
    assert "wanted" not in text


def test_one_entrant_has_its_speed_alone(make_pace: Callable[..., Pace]) -> None:
    """Where nothing is compared, a terminal shows the speed and its interval, which sharpen; a log has its launches."""
    console, log = screen(True), screen(False)
    for each in (console, log):
        with Display(each) as display:
            launch_twice(display)
            before = each.file.getvalue()  # type: ignore[attr-defined]
            display.round_ended(make_pace(BASE))
            shown = each.file.getvalue()[len(before) :]  # type: ignore[attr-defined]

            assert shown == "" or each is console
            assert each is log or "12,000..12,700" in shown
            assert "ratio" not in shown


def test_one_launch_has_no_bar() -> None:
    """A bar of one piece would be empty, then full: the time is said without one. Two launches have one."""
    for pieces, bars in ((1, False), (2, True)):
        console = screen(terminal=True)
        with Display(console) as display:
            display.start(pieces)
            display.launch_started("twin eager", timed=False)
        text = written(console)
        assert "0:00" in text
        assert (f"0/{pieces}" in text) is bars


@pytest.mark.parametrize("terminal", [False, True])
def test_failure_is_said_with_its_log(terminal: bool) -> None:
    """A failed launch has its name, the reason, what follows from it, and the end of its log, brackets and all."""
    console = screen(terminal)
    with Display(console) as display:
        display.start(1)
        display.round_started(1)
        display.launch_started("twin eager")
        display.launch_finished({}, WorkerFailed("It broke [badly].", "first [red]\nsecond"))

    text = written(console)
    assert "FAILED round 1 twin eager: It broke [badly]. It leaves the run; the others go on." in flat(text)
    assert "  first [red]\n  second\n" in text


def test_line_of_a_launch_says_what_was_wrong_or_left_out() -> None:
    """An unsteady launch is called so; without inference there is no figure of it; untimed launches have no line."""
    console = screen(terminal=False)
    with Display(console) as display:
        display.start(3)
        display.launch_started("numpy eager")
        display.launch_finished(LAUNCH | {"steady": False, "inference_images_per_s": None}, None)
        display.launch_finished({"test_accuracy": 0.9}, None)
        display.epoch("numpy eager", {"epoch": 2, "train_loss": 0.25, "test_accuracy": 0.9875, "train_s": 1.25}, seed=3)

    assert written(console).splitlines() == [
        "numpy eager: 12,346 images/s training, first step 0.12 s, UNSTEADY",
        "  numpy eager: seed 3, epoch 2  loss 0.2500  test accuracy 98.75%  1.2 s",
    ]


def test_labels_are_no_markup(make_pace: Callable[..., Pace]) -> None:
    """Names with brackets are shown as they are, in the bar and in the table."""
    console = screen(terminal=True)
    with Display(console) as display:
        display.start(1)
        display.launch_started("twin [bold]")
        pace = make_pace(BASE, other("twin [bold]", low=0.96, estimate=0.98, high=1.0))
        display.round_ended(pace)

    assert "twin [bold]: starting" in written(console)
    assert re.search(r"twin \[bold\] +12,346", written(console))


def test_next_piece_of_work_has_the_screen_to_itself(make_pace: Callable[..., Pace]) -> None:
    """A second start, as in every duel of the self-test, replaces the bar and the table of the first."""
    console = screen(terminal=True)
    with Display(console) as display:
        launch_twice(display, make_pace(BASE, other("twin eager", low=0.96, estimate=0.98, high=1.0)))
        before = written(console)
        display.start(2, "duel two")
        drawn = written(console)[len(before) :]

    assert "duel two" in drawn
    assert drawn.count("/2") == 1
    assert "0.960..1.000" not in drawn
