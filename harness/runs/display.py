"""What a person sees while a run is under way, on a terminal or in a log file: what is being done, and what is left.

While nothing is timed, a clock ticks (`harness.runs.ticker`). While something is, nothing here runs by itself: the
display changes when a worker speaks. It speaks between timed intervals, and does not wait until that is shown: how far
an epoch is may be drawn beside its next block, once a second.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from harness.analysis.disturbed import numbers_of
from harness.errors import WorkerFailed
from harness.runs import durations, standings
from harness.runs.outlook import Outlook, Piece
from harness.runs.pace import Pace
from harness.runs.ticker import TICK_S, Ticker
from harness.tables import layout

PHASES = {
    "import": "importing",
    "build": "building",
    "first step": "first step",
    "train": "warming up",
    "infer": "timing inference",
    "digests": "reading weights and batches back",
    "trials": "short trainings from trained weights",
    "quantities": "a hundred steps",
    "asynchrony": "timing whether synchronize waits",
    "shapes": "warming up for epochs",
    "epochs": "training",
}
# Phases in which something is timed, whatever the launch is for, and those in which nothing is.
TIMED, UNTIMED = ("asynchrony", "epochs"), ("digests", "shapes")
# The phase in which launches take turns.
IN_TURNS = "timing training"
# In a log, what is being done is said so long after the last line, s; sooner, where it is timed and nothing can be
# said meanwhile.
LOG_S, BEFORE_TIMING_S = 10.0, 5.0


class Display:
    """Progress of a run on stderr; results themselves go to stdout.

    Attributes:
        outlook: what is left.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or layout.stderr()
        self.outlook = Outlook(durations.read(), clock=clock)
        self.progress = Progress(
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=self.console,
            auto_refresh=False,
        )
        self._comparisons: Table | None = None
        self._live: Live | None = None
        self._ticker = Ticker(self._draw)
        self._task: Any = None
        self._pieces = 0
        self._series = self._round = self._title = self._where = ""
        # What is being done, in which phase, how far that is; whether it is a launch that is timed; whether the display
        # will not move until it has ended.
        self._head = self._phase = self._detail = ""
        self._is_timed = self._stands_still = False
        self._clock = clock
        self._began = self._since = self._told = self._drawn = clock()
        self._known, self._since_text = ("", ""), ""

    def __enter__(self) -> Display:
        self._began = self._told = self._clock()
        self._open()
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._ticker.stop()
        finally:
            self._close()
        if kind is None:
            self.outlook.end()
        durations.keep(self.outlook.took)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the screen to others for a while."""
        self._ticker.stand_still()
        self._close()
        yield
        self._open()
        self._told = self._clock()

    def _open(self) -> None:
        if self.console.is_interactive:
            # A new one each time: an old one would wipe out as many lines as it had, whosever these are by now.
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()

    def _close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def start(self, pieces: int, description: str = "") -> None:
        """Say how many pieces of work there will be: as long as a bar; none where there are none."""
        if self._task is not None:
            self.progress.remove_task(self._task)
        self._comparisons, self._round, self._title = None, "", ""
        self._pieces, self._task = pieces, self.progress.add_task("", total=pieces) if pieces else None
        self.doing(description)

    def series(self, name: str, later: Iterable[Piece] = ()) -> None:
        """Name the one of several runs that begins, and what is to come behind it."""
        self._series = name
        self.outlook.expect_later(later)

    def doing(self, what: str, *, timed: bool = False, piece: Piece | None = None) -> None:
        """Say what is being done, where it is no launch.

        Args:
            timed: whether something is: the clock then stands still.
            piece: of the outlook, that begins with this.
        """
        if piece is not None:
            self.outlook.begin(piece)
        self._head, self._is_timed = self._in_series(what), timed
        self._describe("", timed=timed)

    def advance(self) -> None:
        """One piece of work is done."""
        self.progress.advance(self._task)
        self._draw()

    def note(self, text: str, style: str = "") -> None:
        """Print a line above the progress bar."""
        with self._ticker.lock:
            self._told = self._clock()
            layout.say(self.console, text, style)

    def round_started(self, number: int, title: str = "") -> None:
        """Name the round that starts, and empty its bar.

        Args:
            title: `round 2 of 5`; without it, the number alone.
        """
        self._begin_round(f"round {number}", title or f"round {number}")

    def training_started(self, number: int, trainings: int) -> None:
        """Name the training of all entrants from one seed that starts, and empty the bar."""
        name = f"training {number} of {trainings}" if trainings > 1 else "training"
        self._begin_round(name, name)

    def _begin_round(self, name: str, title: str) -> None:
        self._round, self._title = name, title
        if self._task is not None:
            self.progress.update(self._task, completed=0)

    def round_ended(self, pace: Pace) -> None:
        """Show how the entrants stand: a table on a terminal, renewed in place, or a line, with what is left."""
        if self.console.is_interactive and pace.found:
            self._comparisons = standings.table(pace.found, standings.title(pace))
            self._draw()
        elif any(each.ratio for each in pace.found):
            self.note(standings.line(pace, self.outlook.words))

    def launch_started(self, label: str, *, timed: bool = True) -> None:
        """Name the launch that starts.

        Args:
            timed: whether it is timed from its start on; else its epochs alone are.
        """
        self._where = f"{self._round}  {label}".strip()
        self._head, self._is_timed = self._in_series(self._title, label), timed
        self._describe("starting", timed=timed)

    def auditing(self, label: str) -> None:
        """A launch has said all, and is held against the reference."""
        self._head = self._in_series(self._title, label)
        self._describe("holding a turn against the reference")

    def turn_started(self, number: int, turns: int) -> None:
        """Say which of the turns the launches of this round are in. Drawn before a turn, never in one."""
        self._where, self._head = self._round, self._in_series(self._title)
        self._describe(IN_TURNS, f", turn {number} of {turns}", timed=True, moves=True)

    def message(self, message: dict[str, Any]) -> None:
        """Show a phase, or how far an epoch is; nothing of what a launch says in its turn: the next one follows."""
        if self._phase == IN_TURNS:
            return
        if message["event"] == "phase":
            name = message["name"]
            timed = name in TIMED or (self._is_timed and name not in UNTIMED)
            self._describe(PHASES.get(name, name), timed=timed)
        elif message["event"] == "progress":
            phase = f"epoch {message['epoch']}"
            # A worker says so many times a second, and goes on.
            if phase != self._phase or self._clock() - self._drawn >= TICK_S:
                self._describe(phase, f": {message['done']:.0%}", timed=True, moves=True)

    def epoch(self, label: str, row: dict[str, Any], *, seed: int) -> None:
        """Print the line of an epoch that has ended."""
        self.note(
            f"  {label}: seed {seed}, epoch {row['epoch']}  loss {row['train_loss']:.4f}  "
            f"test accuracy {row['test_accuracy']:.2%}  {row['train_s']:.1f} s"
        )

    def launch_finished(self, row: dict[str, Any], failure: WorkerFailed | None) -> None:
        """Print the line of a launch that has ended."""
        if self._task is not None:
            self.progress.advance(self._task)
        if failure:
            self.note(f"FAILED  {self._where}: {failure} It leaves the run; the others go on.", "bold red")
            if failure.log:
                self.note("  " + failure.log.replace("\n", "\n  "), "dim")
        elif row.get("train_images_per_s"):
            inference = row.get("inference_images_per_s")
            parts = [f"{row['train_images_per_s']:,.0f} images/s training"]
            parts += [f"{inference:,.0f} inference"] if inference else []
            first_step = row.get("first_step_s")
            parts += [] if first_step is None else [f"first step {first_step:.2f} s"]
            parts += [] if row["steady"] else ["UNSTEADY"]
            disturbed = numbers_of(row.get("disturbed_turns"))
            parts += [f"{len(disturbed)} of {row['turns']} turns DISTURBED"] if disturbed else []
            self.note(f"{self._where}: {', '.join(parts)}")
        self._draw()

    def _in_series(self, *parts: str) -> str:
        return ", ".join(part for part in (self._series, *parts) if part)

    def _describe(self, phase: str, detail: str = "", *, timed: bool = False, moves: bool = False) -> None:
        """Show what is being done from now on.

        Args:
            timed: whether it is: then the clock does not tick.
            moves: whether the display changes meanwhile all the same, when a worker speaks or before a turn.
        """
        if timed:
            self._ticker.stand_still()
        with self._ticker.lock:
            if (self._head, phase) != self._known:
                self._known = (self._head, phase)
                self._since, self._since_text = self._clock(), time.strftime("%H:%M:%S")
            self._phase, self._detail, self._stands_still = phase, detail, timed and not moves
            self._draw()
        if not timed:
            self._ticker.go()

    def _draw(self) -> None:
        """Show how it stands now: drawn anew on a terminal; in a log a line, if the last one is a while ago."""
        with self._ticker.lock:
            self._drawn = now = self._clock()
            if self._live is not None:
                parts = [self._comparisons, self._sentence(now), self._bar(now)]
                self._live.update(Group(*(each for each in parts if each)), refresh=True)
            elif not self.console.is_interactive and self._head and now - self._told >= self._log_s:
                left = self.outlook.words
                since = f"since {self._since_text} ({now - self._since:.0f} s)"
                self.note("  " + "; ".join([f"{self._what}, {since}", *[left] * bool(left)]))

    @property
    def _log_s(self) -> float:
        return BEFORE_TIMING_S if self._stands_still else LOG_S

    @property
    def _what(self) -> str:
        return f"{self._head}{': ' * bool(self._phase)}{self._phase}{self._detail}"

    def _sentence(self, now: float) -> Text | None:
        so_far = f" ({now - self._since:.0f} s)" if now - self._since >= TICK_S else ""
        return Text(self._what + so_far, no_wrap=True, overflow="ellipsis") if self._head else None

    def _bar(self, now: float) -> Progress | Text | None:
        if self._task is None:
            return None
        minutes, seconds = divmod(int(now - self._began), 60)
        left = self.outlook.words
        parts = [", ".join([f"{minutes}:{seconds:02d}", *[left] * bool(left)])]
        parts += ["the clock stands still while timing"] * self._stands_still
        if self._pieces == 1:
            # A bar of one piece is empty, and then it is full.
            return Text("; ".join(parts), no_wrap=True, overflow="ellipsis")
        self.progress.update(self._task, description="; ".join(parts))
        return self.progress
