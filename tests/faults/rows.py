"""Two runs row by row: which rows there are, which of them count, and which cells must be the same in both."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import LenetBenchError
from harness.results.folder import TABLES, RunFolder

Row = dict[str, str]
OF_LAUNCHES = ("epochs", "inference", "latency", "blocks")
# Cells that do not depend on time, place or chance; all others are measured, drawn, or say where and when. Turns that
# something else disturbed are taken again, so their number depends on it.
ENTRANT = ("backend", "mode", "feed", "device", "dtype", "threads", "batch_size", "network", "environment", "variant")
FIXED = (
    *ENTRANT, "status", "seed", "framework_version", "recipe", "data_set", "data_sha256", "verified",
    "weights_sha256", "batches_sha256", "block_steps",
)  # fmt: skip
FIXED_EPOCHS = (*ENTRANT, "seed", "epoch", "train_loss", "test_accuracy", "weights_sha256")
# What resuming may write anew in a row that is there.
MAY_CHANGE = ("counted", "schema_version")


@dataclass
class Seen:
    """What was on the disk when a process was killed.

    Attributes:
        launches: rows of launches.csv that had ended well.
        others: rows of the other tables that belong to these, by table.
    """

    launches: list[Row] = field(default_factory=list)
    others: dict[str, list[Row]] = field(default_factory=dict)

    def cut(self, entrants: int) -> set[tuple[str, str]]:
        """Launches of rounds that do not have all their entrants."""
        sizes = Counter(row["round"] for row in self.launches)
        return {key_of(row) for row in self.launches if sizes[row["round"]] < entrants}


def read(folder: Path, table: str) -> list[Row]:
    """A table as text; no rows where there is none."""
    path = folder / f"{table}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def key_of(row: Row) -> tuple[str, str]:
    """What a launch is known by in its run."""
    return row["round"], row["position"]


def see(folder: Path) -> Seen:
    """Read what must not be lost any more."""
    launches = [row for row in read(folder, "launches") if row["status"] == "ok"]
    keys = {key_of(row) for row in launches}
    return Seen(launches, {name: [row for row in read(folder, name) if key_of(row) in keys] for name in OF_LAUNCHES})


def lost(seen: Seen, folder: Path) -> int:
    """How many of the rows that were seen are not there any more, cell by cell."""
    now = see(folder)
    missing = Counter(map(_frozen, seen.launches)) - Counter(map(_frozen, now.launches))
    for name, rows in seen.others.items():
        missing += Counter(map(_frozen, rows)) - Counter(map(_frozen, now.others[name]))
    return missing.total()


def _frozen(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple((name, cell) for name, cell in row.items() if name not in MAY_CHANGE)


def counted(folder: Path) -> list[Row]:
    """Launches that count."""
    return [row for row in read(folder, "launches") if row.get("counted", "True") != "False" and row["status"] == "ok"]


def compare(folder: Path, undisturbed: Path) -> tuple[int, int, str]:
    """Compare a run with one that nothing happened to.

    Returns:
        rows that it lacks, rows that it has beyond them, and what the first of these is about.
    """
    missing: Counter[object] = Counter()
    more: Counter[object] = Counter()
    for table, columns in (("launches", FIXED), ("epochs", FIXED_EPOCHS)):
        has, ought = (_fixed(each, table, columns) for each in (folder, undisturbed))
        missing += ought - has
        more += has - ought
    first = next(iter([*missing, *more]), "")
    return missing.total(), more.total(), str(first)[:300]


def _fixed(folder: Path, table: str, columns: tuple[str, ...]) -> Counter[object]:
    keys = {key_of(row) for row in counted(folder)}
    rows = [row for row in read(folder, table) if key_of(row) in keys]
    return Counter((table, *((name, row[name]) for name in columns if name in row)) for row in rows)


def faults(folder: Path, entrants: int | None) -> list[str]:
    """What is wrong with a run's rows in themselves, a sentence each.

    Args:
        entrants: of each round; None where some may have left the run.
    """
    found = []
    for table in TABLES:
        try:
            RunFolder(folder).read(table)
        except LenetBenchError as error:
            found.append(f"{table} cannot be read: {error}")
    rows = counted(folder)
    sizes = Counter(row["round"] for row in rows) if entrants else {}
    found += [f"round {number} counts with {size} of {entrants}" for number, size in sizes.items() if size != entrants]
    keys = {key_of(row) for row in read(folder, "launches")}
    for table in OF_LAUNCHES:
        stray = [row for row in read(folder, table) if key_of(row) not in keys]
        found += [f"{len(stray)} rows of {table} belong to no launch"] * bool(stray)
    summarised = sum(int(row["launches"]) for row in read(folder, "summary"))
    timed = [row for row in rows if row["train_images_per_s"]]
    if summarised != len(timed):
        found.append(f"the summary is of {summarised} launches, {len(timed)} count")
    return found
