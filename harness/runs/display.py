"""What a person sees while a run is under way, on a terminal or in a log file.

Nothing here runs by itself: no thread redraws while a worker is timed. The display changes when a worker
speaks, which it does between timed intervals.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.analysis.comparison import Comparison
from harness.analysis.disturbed import numbers_of
from harness.analysis.statistics import Interval, width
from harness.errors import WorkerFailed
from harness.runs.pace import Pace
from harness.tables import layout

PHASES = {
    "import": "importing",
    "build": "building",
    "first step": "first step",
    "train": "timing training",
    "infer": "timing inference",
}


class Display:
    """Progress of a run on stderr; results themselves go to stdout."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or layout.stderr()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            auto_refresh=False,
        )
        self._comparisons: Table | None = None
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._task: Any = None
        self._round = ""
        self._where = ""

    def __enter__(self) -> Display:
        if self.console.is_interactive:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_interactive:
            self._live.stop()

    def start(self, pieces: int, description: str = "launches") -> None:
        """Say how many pieces of work there will be."""
        if self._task is not None:
            self.progress.remove_task(self._task)
        self._comparisons = None
        self._task = self.progress.add_task(description, total=pieces)
        self._draw()

    def advance(self) -> None:
        """One piece of work is done."""
        self.progress.advance(self._task)
        self._draw()

    def note(self, text: str, style: str = "") -> None:
        """Print a line above the progress bar."""
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def round_started(self, number: int) -> None:
        """Name the round that starts, and empty its bar."""
        self._round = f"round {number}"
        if self._task is not None:
            self.progress.update(self._task, completed=0)

    def training_started(self, number: int, trainings: int) -> None:
        """Name the training of all entrants from one seed that starts, and empty the bar."""
        self._round = f"training {number} of {trainings}" if trainings > 1 else "training"
        if self._task is not None:
            self.progress.update(self._task, completed=0)

    def round_ended(self, pace: Pace) -> None:
        """Show how the entrants stand, and how much is left: a table on a terminal, renewed in place, or a line."""
        left = _round_summary(pace)
        if self.console.is_interactive and pace.found:
            self._comparisons = _table(pace.found, f"after {pace.rounds} round(s): {left}")
            self._draw()
        elif any(each.ratio for each in pace.found):
            self.note(f"after {pace.rounds} round(s): {'; '.join(map(_ratio_of, pace.found))}; {left}")

    def launch_started(self, label: str) -> None:
        """Name the launch that starts."""
        self._where = f"{self._round}  {label}".strip()
        self._describe("starting")

    def turn_started(self, number: int, turns: int) -> None:
        """Say which of the turns the launches of this round are in. Drawn before a turn, never in one."""
        self._where = self._round
        self._describe(f"timing training, turn {number} of {turns}")

    def message(self, message: dict[str, Any]) -> None:
        """Show a phase, or how far an epoch is."""
        if message["event"] == "phase":
            self._describe(PHASES.get(message["name"], message["name"]))
        elif message["event"] == "progress" and self.console.is_interactive:
            self._describe(f"epoch {message['epoch']}: {message['done']:.0%}")

    def epoch(self, label: str, row: dict[str, Any], *, seed: int) -> None:
        """Print the line of an epoch that has ended."""
        self.note(
            f"  {label}: seed {seed}, epoch {row['epoch']}  loss {row['train_loss']:.4f}  "
            f"test accuracy {row['test_accuracy']:.2%}  {row['train_s']:.1f} s"
        )

    def launch_finished(self, row: dict[str, Any], failure: WorkerFailed | None) -> None:
        """Print the line of a launch that has ended."""
        self.progress.advance(self._task)
        if failure:
            self.note(f"FAILED  {self._where}: {failure} It leaves the run; the others go on.", "bold red")
            if failure.log:
                self.note("  " + failure.log.replace("\n", "\n  "), "dim")
        elif row.get("train_images_per_s"):
            inference = row.get("inference_images_per_s")
            parts = [f"{row['train_images_per_s']:,.0f} images/s training"]
            parts += [f"{inference:,.0f} inference"] if inference else []
            parts += [f"first step {row['first_step_s']:.2f} s"] + ([] if row["steady"] else ["UNSTEADY"])
            disturbed = numbers_of(row.get("disturbed_turns"))
            parts += [f"{len(disturbed)} of {row['turns']} turns DISTURBED"] if disturbed else []
            self.note(f"{self._where}: {', '.join(parts)}")
        self._draw()

    def _describe(self, what: str) -> None:
        self.progress.update(self._task, description=escape(f"{self._where}: {what}"))
        self._draw()

    def _draw(self) -> None:
        if self.console.is_interactive:
            parts = [self._comparisons, self.progress] if self._comparisons else [self.progress]
            self._live.update(Group(*parts), refresh=True)


def _table(found: list[Comparison], title: str) -> Table:
    table = Table(title=Text(title, style="italic"), title_justify="left", box=None, pad_edge=False)
    for header in ("", "images/s", *(("ratio", "interval", "width") if len(found) > 1 else ("interval",))):
        table.add_column(header, justify="right" if header else "left", no_wrap=True)
    for each in found:
        ratio = each.ratio
        cells: tuple[str, ...] = ("base", "", "")
        if ratio is not None:
            cells = (f"{ratio.estimate:.3f}", _limits(ratio), _width(ratio))
        elif len(found) == 1:
            cells = (f"{each.speed.low:,.0f}..{each.speed.high:,.0f}" if each.speed.low == each.speed.low else "-",)
        table.add_row(Text(each.label), f"{each.speed.estimate:,.0f}", *cells)
    return table


def _ratio_of(each: Comparison) -> str:
    if each.ratio is None:
        return f"{each.label} {each.speed.estimate:,.0f} images/s"
    return f"{each.label} x {each.ratio.estimate:.3f} ({_limits(each.ratio)})"


def _limits(interval: Interval) -> str:
    return f"{interval.low:.3f}..{interval.high:.3f}" if interval.low == interval.low else "-"


def _width(interval: Interval) -> str:
    return f"{width(interval):.1%}" if interval.low == interval.low else "-"


def _round_summary(pace: Pace) -> str:
    minutes, seconds = divmod(round(pace.left_s()), 60)
    wanted = f", {pace.plan.precision:.1%} wanted" if pace.plan.precision else ""
    widest = f"widest interval {pace.widest:.1%}{wanted}; " if pace.widest < float("inf") else ""
    reason = pace.waits_for()
    return f"{widest}{reason}{'; ' if reason else ''}at most about {minutes}:{seconds:02d} left"
