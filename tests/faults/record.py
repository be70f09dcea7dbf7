"""The table of what came of faults: printed, and put into docs/reliability.md between two marks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from tests.faults.outcome import COLUMNS, Tally
from tests.faults.preloaded import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: written by nox -s faults -- --write -->", "<!-- faults: end -->"


def table(tallies: Sequence[Tally]) -> str:
    """A row a fault, in Markdown."""
    lines = [
        f"| fault | tries | {' | '.join(COLUMNS.values())} |",
        f"| --- | ---: |{' ---: |' * len(COLUMNS)}",
    ]
    for tally in tallies:
        cells = [str(getattr(tally.outcome, column)) for column in COLUMNS]
        tries = f"{tally.tries or ''} skipped: {tally.skipped}".strip() if tally.skipped else str(tally.tries)
        lines.append(f"| {tally.fault} | {tries} | {' | '.join(cells)} |")
    sums = [str(sum(getattr(tally.outcome, column) for tally in tallies)) for column in COLUMNS]
    lines.append(f"| **all** | {sum(tally.tries for tally in tallies)} | {' | '.join(sums)} |")
    return "\n".join(lines)


def notes(tallies: Sequence[Tally], most: int = 3) -> list[str]:
    """What went wrong, some of it of each fault."""
    return [f"{tally.fault}: {note}" for tally in tallies for note in tally.outcome.notes[:most]]


def write(tallies: Sequence[Tally], *, command: str, took_s: float) -> None:
    """Put the table in the place of the one that the page has, dated, with its command."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = f"`{command}`, {today}, {took_s / 60:.0f} minutes:\n\n{table(tallies)}"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"# Reliability\n\n{BEGIN}\n{END}\n"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no place for the table: put these two lines there: {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
