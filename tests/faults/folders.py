"""Several processes on one run folder, folders that are moved, and clocks that are set."""

from __future__ import annotations

import functools
import signal
from random import Random

from tests.faults import rows
from tests.faults.case import NAME, RUN, Case, Site, complete, resumed, started, wait_for
from tests.faults.place import LIMIT_S, Place, Running
from tests.faults.small import CLOCK

# Seconds by which the clock is set, in whole days and in parts of one.
CLOCKS = {
    "set back by an hour during the run": "-3600@0.8",
    "set back by ten years": "-315360000@0",
    "set forward by a day during the run": "86400@0.8",
    "set back before 1970 during the run": "-1900000000@0.8",
}


def cases() -> list[Case]:
    """All of them."""
    clocks = [Case("clocks", f"clock {what}", functools.partial(_clock, clock=clock)) for what, clock in CLOCKS.items()]
    return [
        Case("folders", "two resumes of one run at once", _two_resumes, times=4),
        Case("folders", "two runs of one name at once", _two_of_a_name, times=4),
        Case("folders", "four runs without a name at once", _four_without_a_name, times=2),
        Case("folders", "holder killed, resumed at once", _holder_killed, times=4),
        Case("folders", "run folder renamed, resumed", _renamed),
        *clocks,
        Case("clocks", "clock set back between kill and resume", _clock_between),
    ]


def _cut(site: Site, place: Place, random: Random) -> rows.Seen:
    """Kill the subject in its middle."""
    run = started(site, place)
    folder = place.results / NAME
    # Whoever resumes needs a plan, and a row that may not be lost.
    wait_for(lambda: bool(rows.read(folder, "launches")) or run.wait(0) is not None, LIMIT_S)
    run.wait(random.uniform(0.0, 0.3) * site.run_s)
    run.send(signal.SIGKILL)
    run.wait(LIMIT_S)
    return rows.see(folder)


def _one_wins(place: Place, runs: list[Running], what: str) -> None:
    """One does the work, each other is told at once that it cannot, and by whom it is held."""
    for run in runs:
        run.wait(LIMIT_S)
    losers = sorted(runs, key=lambda run: run.ended is None or run.ended.code)[1:]
    for run in runs:
        place.finish(run, right=(2, 3) if run in losers else (0,), what=what)
    # Which the last may have found when the first had already ended well: then there was nothing left to do.
    for run in losers:
        if run.ended is not None and run.ended.code in (2, 3) and "lenet-bench: " not in run.said:
            place.outcome.count("endings", f"{what}: no reason given")


def _two_resumes(site: Site, place: Place, random: Random) -> int:
    seen = _cut(site, place, random)
    first = resumed(place)
    first.wait(random.choice((0.0, 0.0, 0.02, 0.3)))
    _one_wins(place, [first, resumed(place)], "one of two resumes")
    complete(place, site.undisturbed, [seen])
    return 1


def _two_of_a_name(site: Site, place: Place, random: Random) -> int:
    first = started(site, place)
    first.wait(random.choice((0.0, 0.0, 0.02, 0.3)))
    _one_wins(place, [first, started(site, place)], "one of two runs of a name")
    complete(place, site.undisturbed, [])
    return 1


def _four_without_a_name(site: Site, place: Place, random: Random) -> int:
    runs = [place.start(*RUN) for _ in range(4)]
    for run in runs:
        run.wait(2 * LIMIT_S)
    for run in runs:
        place.finish(run, what="one of four runs")
    folders = [path for path in place.results.iterdir() if path.is_dir()]
    place.outcome.count("lost", f"{len(folders)} folders of four runs", max(0, 4 - len(folders)))
    for folder in folders:
        missing, more, first = rows.compare(folder, site.undisturbed)
        place.outcome.count("lost", f"against the undisturbed run: {first}", missing)
        place.outcome.count("wrong", f"against the undisturbed run: {first}", more)
    return 1


def _holder_killed(site: Site, place: Place, random: Random) -> int:
    seen = [_cut(site, place, random)]
    for _ in range(2):
        run = resumed(place)
        run.wait(random.uniform(0.05, 0.3) * site.run_s)
        run.send(signal.SIGKILL)
        # Not even waited for: whoever holds a lock and is dead holds nothing.
        seen.append(rows.see(place.results / NAME))
        run.wait(LIMIT_S)
    place.finish(resumed(place), what="a resume right after the kill")
    complete(place, site.undisturbed, seen)
    return 1


def _renamed(site: Site, place: Place, random: Random) -> int:
    seen = _cut(site, place, random)
    moved = place.folder / "moved" / "elsewhere"
    moved.parent.mkdir()
    (place.results / NAME).rename(moved)
    place.finish(place.start("run", "--resume", str(moved)), what="a resume of the moved folder")
    names = {row["run"] for row in rows.read(moved, "launches")}
    place.outcome.count("wrong", f"one run under the names {sorted(names)}", len(names) - 1)
    moved.rename(place.results / NAME)
    complete(place, site.undisturbed, [seen])
    return 1


def _clock(site: Site, place: Place, random: Random, *, clock: str) -> int:
    place.finish(started(site, place, **{CLOCK: clock}), what="with another clock")
    complete(place, site.undisturbed, [])
    return 1


def _clock_between(site: Site, place: Place, random: Random) -> int:
    seen = _cut(site, place, random)
    place.finish(resumed(place, **{CLOCK: "-86400@0"}), what="a resume a day before")
    complete(place, site.undisturbed, [seen])
    return 1
