"""How every table of ours looks: the console that it is printed on, its frame, its columns."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

WIDTH = 80


def stdout() -> Console:
    """The console that results are printed on; as wide as the terminal, 80 columns where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def make_table() -> Table:
    """A table without lines, as all of ours are."""
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def make_columns(table: Table, left: list[str], right: list[str], last: str | None) -> None:
    """Add columns: names to the left, figures to the right, and one of words at the end."""
    for header in left:
        table.add_column(header, overflow="fold", no_wrap=header == "version")
    for header in right:
        # An interval that is folded in two cannot be read; names can.
        table.add_column(header, justify="right", overflow="fold", no_wrap=header == "interval")
    if last is not None:
        table.add_column(last, overflow="fold")
