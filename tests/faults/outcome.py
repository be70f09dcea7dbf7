"""What came of one try of a fault, and of all tries of it: whole numbers, of which each should be 0."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

# Column of the table -> what it counts.
COLUMNS = {
    "lost": "rows lost",
    "wrong": "wrong rows",
    "endings": "wrong endings",
    "orphans": "orphans",
    "left": "files left",
    "hangs": "hangs",
    "tracebacks": "tracebacks",
}


@dataclass
class Outcome:
    """What went wrong.

    Attributes:
        lost: rows that were on the disk, or that an undisturbed run has, and that are not there at the end.
        wrong: rows that an undisturbed run would not have, that count though their round was cut, or cannot be read.
        endings: exit codes that are not right, and refusals that were none.
        orphans: processes that outlived what should have ended them.
        left: files that nobody needs any more.
        hangs: processes that did not end in time.
        tracebacks: of Python, in what was printed.
        notes: a sentence for each of these.
    """

    lost: int = 0
    wrong: int = 0
    endings: int = 0
    orphans: int = 0
    left: int = 0
    hangs: int = 0
    tracebacks: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, column: str, note: str, times: int = 1) -> None:
        """Add to a column, with a sentence that says what it was."""
        if times:
            setattr(self, column, getattr(self, column) + times)
            self.notes.append(f"{COLUMNS[column]}: {note}" + (f" ({times} times)" if times > 1 else ""))

    @property
    def good(self) -> bool:
        """Whether every column is 0."""
        return not any(getattr(self, column) for column in COLUMNS)


@dataclass
class Tally:
    """All tries of one fault.

    Attributes:
        tries: how often it was brought about; a kill that came too late is none.
        skipped: why it could not be tried here; empty where it was.
    """

    family: str
    fault: str
    tries: int = 0
    skipped: str = ""
    outcome: Outcome = field(default_factory=Outcome)

    def add(self, other: Outcome, tries: int) -> None:
        """Add what came of more tries."""
        self.tries += tries
        for each in fields(Outcome):
            setattr(self.outcome, each.name, getattr(self.outcome, each.name) + getattr(other, each.name))


class Skip(Exception):
    """This fault cannot be brought about here; the message says why."""
