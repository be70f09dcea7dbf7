"""What a person sees while a run is under way, on a terminal or in a log file.

Nothing here runs by itself: no thread redraws while a worker is timed. The display changes when a worker
speaks, which it does between timed intervals.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.errors import WorkerFailed

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
        self.console = console or Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            auto_refresh=False,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: Any = None

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def start(self, pieces: int, description: str = "launches") -> None:
        """Say how many pieces of work there will be."""
        self._task = self.progress.add_task(description, total=pieces)
        self.progress.refresh()

    def advance(self) -> None:
        """One piece of work is done."""
        self.progress.advance(self._task)
        self.progress.refresh()

    def note(self, text: str, style: str = "") -> None:
        """Print a line above the progress bar."""
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def launch_started(self, label: str, number: int, rounds: int) -> None:
        """Name the launch that starts."""
        self._where = f"round {number}/{rounds}  {label}"
        self._describe("starting")

    def message(self, label: str, message: dict[str, Any]) -> None:
        """Show a phase, or how far an epoch is."""
        if message["event"] == "phase":
            self._describe(PHASES.get(message["name"], message["name"]))
        elif message["event"] == "progress" and self.console.is_terminal:
            self._describe(f"epoch {message['epoch']}: {message['done']:.0%}")

    def epoch(self, label: str, row: dict[str, Any]) -> None:
        """Print the line of an epoch that has ended."""
        self.note(
            f"  {label}: epoch {row['epoch']}  loss {row['train_loss']:.4f}  "
            f"test accuracy {row['test_accuracy']:.2%}  {row['train_s']:.1f} s"
        )

    def launch_finished(self, label: str, row: dict[str, Any], failure: WorkerFailed | None) -> None:
        """Print the line of a launch that has ended."""
        self.progress.advance(self._task)
        if failure:
            self.note(f"FAILED  {self._where}: {failure} It leaves the run; the others go on.", "bold red")
            if failure.log:
                self.note("  " + failure.log.replace("\n", "\n  "), "dim")
        elif row.get("train_images_per_s"):
            unsteady = "" if row["steady"] else "  (unsteady)"
            self.note(
                f"{self._where}: {row['train_images_per_s']:,.0f} images/s training, "
                f"{row['inference_images_per_s']:,.0f} inference, first step {row['first_step_s']:.2f} s{unsteady}"
            )
        self.progress.refresh()

    def _describe(self, what: str) -> None:
        self.progress.update(self._task, description=escape(f"{self._where}: {what}"))
        self.progress.refresh()
