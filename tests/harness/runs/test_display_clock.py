"""What a person sees go by: a clock that ticks, and nothing that moves by itself while something is timed."""

from __future__ import annotations

import re
import threading
from itertools import pairwise

import pytest

from harness.runs.display import LOG_S, Display
from harness.runs.outlook import Piece
from tests.harness.runs.screens import screen, written


class Clock:
    """A clock that goes on when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Ticks:
    """Stands in for the display's thread: ticks when it is told to, if it is let."""

    def __init__(self, display: Display) -> None:
        self._display, self._ticker = display, display._ticker

    @property
    def is_ticking(self) -> bool:
        return self._ticker.is_ticking

    def tick(self) -> None:
        """A second has gone by."""
        if self._ticker.is_ticking:
            self._display._draw()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_ticks_while_a_launch_is_timed(clock: Clock, terminal: bool) -> None:
    """From its start to the end of its inference, and in epochs; while its answers are held against the reference and
    between rounds the clock may tick. The thread is there only as long as the display is."""
    before = threading.active_count()
    console = screen(terminal)
    with Display(console, clock=clock) as display:
        ticks = Ticks(display)
        display.start(2, "loading")
        assert ticks.is_ticking
        display.round_started(1)
        for name in ("numpy eager", "twin eager"):
            display.launch_started(name)
            assert not ticks.is_ticking
            for phase in ("import", "build", "first step", "train"):
                display.message({"event": "phase", "name": phase})
                assert not ticks.is_ticking, phase
        for turn in (1, 2):
            display.turn_started(turn, 2)
            assert not ticks.is_ticking
            # Whatever a launch says in its turn.
            display.message({"event": "phase", "name": "digests"})
            assert not ticks.is_ticking
        display.launch_started("numpy eager")
        display.message({"event": "phase", "name": "infer"})
        display.note("a note")
        assert not ticks.is_ticking
        display.message({"event": "phase", "name": "digests"})
        assert ticks.is_ticking
        display.message({"event": "phase", "name": "epochs"})
        display.message({"event": "progress", "epoch": 1, "done": 0.5})
        assert not ticks.is_ticking
        display.auditing("numpy eager")
        assert ticks.is_ticking
        with display.aside():
            assert not ticks.is_ticking
        display.doing("timing the machine's peak", timed=True)
        assert not ticks.is_ticking
        assert threading.active_count() == before + 1

    assert threading.active_count() == before


def test_launches_that_are_not_timed_tick_but_in_epochs(clock: Clock) -> None:
    """A launch of the gate or of a proof may take a minute to start: the clock ticks, but while epochs are timed, and
    while it is timed whether `synchronize` waits."""
    with Display(screen(True), clock=clock) as display:
        ticks = Ticks(display)
        display.training_started(1, 2)
        display.launch_started("numpy eager", timed=False)
        for phase, ticking in (("import", True), ("shapes", True), ("epochs", False), ("asynchrony", False)):
            display.message({"event": "phase", "name": phase})
            assert ticks.is_ticking == ticking, phase


def test_clock_of_a_terminal_says_where_it_stands_still(clock: Clock) -> None:
    """A tick shows how long this has been done; while something is timed, words say that the clock does not move."""
    console = screen(True)
    with Display(console, clock=clock) as display:
        ticks = Ticks(display)
        display.start(2)
        display.doing("posing the problem")
        clock.now += 7
        ticks.tick()
        assert "posing the problem (7 s)" in written(console)
        assert "0:07" in written(console)
        assert "stands still" not in written(console)

        display.round_started(2, "round 2 of 5")
        display.launch_started("numpy eager")
        assert "round 2 of 5, numpy eager: starting" in written(console)
        assert written(console).count("0:07; the clock stands still while timing") == 1
        clock.now += 5
        before = written(console)
        ticks.tick()
        assert written(console) == before

        display.turn_started(3, 13)
        assert "round 2 of 5: timing training, turn 3 of 13" in written(console)[len(before) :]
        assert "stands still" not in written(console)[len(before) :]


@pytest.mark.parametrize(("since", "said"), [(4, False), (6, True)])
def test_log_says_what_is_timed_before_it_is(clock: Clock, since: float, said: bool) -> None:
    """Nothing can be said while the clock stands still: behind a line of ten seconds ago, that is a long silence."""
    console = screen(False)
    with Display(console, clock=clock) as display:
        display.start(1)
        display.launch_started("numpy eager")
        display.note("a line")
        clock.now += since
        display.message({"event": "phase", "name": "build"})
        assert ("numpy eager: building" in written(console)) is said
        display.turn_started(1, 30)
        assert "turn 1 of 30" not in written(console)


def test_log_has_a_line_every_15_s_of_work(clock: Clock) -> None:
    """While nothing is timed, the clock sees to it; while something is, the next word between two timed intervals does:
    what is being done, since when, what is left. No line comes sooner after another than LOG_S."""
    console = screen(False)
    with Display(console, clock=clock) as display:
        ticks, seen = Ticks(display), [clock.now]
        display.start(1)
        display.outlook.expect([Piece("verifying", "b", guess_s=30.0)])
        display.doing("verifying numpy eager (1 of 2)", piece=Piece("verifying", "a", guess_s=70.0))
        display.message({"event": "phase", "name": "import"})
        for _ in range(60):
            clock.now += 1
            before = written(console)
            ticks.tick()
            if written(console) != before:
                seen.append(clock.now)
        lines = written(console).splitlines()
        assert [after - before for before, after in pairwise(seen)] == [LOG_S] * 6
        assert re.fullmatch(
            r"  verifying numpy eager \(1 of 2\): importing, since \d\d:\d\d:\d\d \(10 s\); about 90 s left", lines[0]
        )
        assert lines[-1].endswith("(60 s); about 40 s left")

        display.round_started(1, "round 1 of 3")
        display.launch_started("numpy eager")
        clock.now += 40
        before = written(console)
        ticks.tick()
        assert written(console) == before
        display.turn_started(1, 30)
        for turn in range(2, 31):
            clock.now += 1
            display.turn_started(turn, 30)
        turns = written(console)[len(before) :].splitlines()
        assert len(turns) == 3
        assert "round 1 of 3: timing training, turn 11 of 30, since" in turns[1]
        display.launch_started("numpy eager")
        for done in range(100):
            clock.now += 0.5
            display.message({"event": "progress", "epoch": 1, "done": done / 100})
    lines = written(console).splitlines()
    assert "round 1 of 3, numpy eager: epoch 1: " in lines[-1]
    assert len(lines) == 6 + 3 + 5


def test_words_of_a_worker_are_not_all_drawn(clock: Clock) -> None:
    """How far an epoch is comes many times a second, and while the next block is timed: it is drawn once a second."""
    console = screen(True)
    with Display(console, clock=clock) as display:
        display.launch_started("numpy eager")
        for done in range(100):
            clock.now += 0.1
            display.message({"event": "progress", "epoch": 1, "done": done / 100})

    assert len(set(re.findall(r"epoch 1: (\d+%)", written(console)))) == 10


def test_lines_of_others_stay(clock: Clock) -> None:
    """What is printed while the display is aside is not wiped out by it; before that, its own lines are gone."""
    console = screen(True)
    with Display(console, clock=clock) as display:
        display.start(2, "posing the problem")
        with display.aside():
            before = console.file.getvalue()  # type: ignore[attr-defined]
            print("a table", file=console.file)
        display.doing("verifying")
        after = console.file.getvalue()[len(before) :]  # type: ignore[attr-defined]

    erase_a_line, up = "\x1b[2K", "\x1b[1A"
    assert before.removesuffix("\x1b[?25h").endswith(f"{up}{erase_a_line}")
    assert up not in after[: after.index("verifying")]


def test_series_is_named_and_looked_ahead(clock: Clock) -> None:
    """Of several runs, as the duels of the self-test: which it is, and what all that come after it will take."""
    console = screen(True)
    with Display(console, clock=clock) as display:
        display.series("duel 2 of 6", [Piece("duel", guess_s=100.0)] * 4)
        display.start(2)
        display.round_started(1, "round 1 of 5")
        display.launch_started("numpy eager")

    assert "duel 2 of 6, round 1 of 5, numpy eager: starting" in written(console)
    assert "about 7 min left" in written(console)
