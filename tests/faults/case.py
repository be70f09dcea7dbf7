"""What families of faults are made of: cases, and the site on which they are tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults import rows, small
from tests.faults.place import Place, Running, base_environment
from tests.faults.preloaded import Preloaded

# A run of two entrants and two rounds, of which one trains an epoch; with steps of a millisecond.
ENTRANTS = 2
TIMED = ("--steady-s", "0.05", "--inference-sizes", "none", "--unverified", "--results-dir", "results")
RUN = ("run", "-b", "numpy", "--batch-size", "1,2", "--rounds", "2", "--epochs", "1", "--seeds", "1", *TIMED)
NAME = "subject"


class Site:
    """All that cases share: a process to fork from, and a run that nothing happens to.

    Attributes:
        undisturbed: that run's folder.
        run_s: seconds that it took.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        small.draw(folder / "small.npz")
        self.environment = base_environment(folder)
        self.preloaded = Preloaded(self.environment)
        self._places = 0
        start = time.monotonic()
        self.undisturbed, self.run_s = self.reference(*RUN), 0.0
        self.run_s = time.monotonic() - start

    def place(self) -> Place:
        """A new place for a try."""
        self._places += 1
        return Place(self.folder / f"{self._places}", self.preloaded, self.environment)

    def reference(self, *arguments: str, **variables: str) -> Path:
        """Carry out a run to which nothing happens, and return its folder.

        Raises:
            RuntimeError: something was wrong with it all the same.
        """
        place = self.place()
        run = place.start(*arguments, "--name", NAME, **variables)
        place.finish(run, what="the undisturbed run")
        folder = place.results / NAME
        if not place.outcome.good or not rows.counted(folder):
            raise RuntimeError(f"the undisturbed run failed: {'; '.join(place.outcome.notes)}")
        return folder

    def close(self) -> None:
        """End what was started."""
        self.preloaded.close()


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        attempt: brings it about and counts in the place's outcome what goes wrong; returns how often it did so.
        waits: whether it mostly waits, so that many may be tried at once.
        times: in the long form; in each with another number drawn.
        quick: whether CI tries it.
    """

    family: str
    fault: str
    attempt: Callable[[Site, Place, Random], int]
    times: int = 1
    waits: bool = False
    quick: bool = False


def complete(place: Place, undisturbed: Path, seen: list[rows.Seen], *, entrants: int = ENTRANTS) -> None:
    """Hold a run that was carried on to its end against an undisturbed one, and against what was seen on the disk."""
    folder, outcome = place.results / NAME, place.outcome
    missing, more, first = rows.compare(folder, undisturbed)
    outcome.count("lost", f"against the undisturbed run: {first}", missing)
    outcome.count("wrong", f"against the undisturbed run: {first}", more)
    found = rows.faults(folder, entrants)
    outcome.count("wrong", "; ".join(found), len(found))
    for each in seen:
        outcome.count("lost", "rows that were on the disk when it was ended", rows.lost(each, folder))
    keys = {rows.key_of(row) for row in rows.counted(folder)}
    # A round that was cut when a process ended was never measured as one; what ended it later does not make it one.
    cut = set().union(*(each.cut(entrants) for each in seen))
    outcome.count("wrong", f"launches of cut rounds that count: {sorted(cut & keys)[:4]}", len(cut & keys))
    place.nothing_left(folder)


def started(site: Site, place: Place, *arguments: str, **variables: str) -> Running:
    """Start the subject."""
    return place.start(*(arguments or RUN), "--name", NAME, **variables)


def resumed(place: Place, **variables: str) -> Running:
    """Go on with the subject; or start it, where it was ended before it had a plan."""
    folder = place.results / NAME
    if not (folder / "environment.json").exists():
        return place.start(*RUN, "--name", NAME, **variables)
    return place.start("run", "--resume", f"results/{NAME}", **variables)


def wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    """Look every few milliseconds until something is so; false where it is not in time."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.003)
    return True
