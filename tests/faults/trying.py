"""Carrying out cases, several at a time, and adding up what came of each fault."""

from __future__ import annotations

import math
import shutil
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from random import Random

from tests.faults import disks, endings, folders, mirrors, workers
from tests.faults import kills as killing
from tests.faults.case import Case, Site
from tests.faults.outcome import Outcome, Skip, Tally

FAMILIES = (
    "kills", "workers", "pipes", "logs", "children", "signals", "streams", "disks", "folders", "clocks", "mirrors",
)  # fmt: skip
# Of cases that mostly wait.
WAITING = 12
OUT_OF_TIME = "the time was over"


def all_cases(*, kills: int, torch_kills: int, quick: bool = False) -> list[Case]:
    """All faults that there are; or those that CI tries."""
    found = [*killing.cases(kills, torch_kills), *workers.cases()]
    found += [*endings.cases(), *disks.cases(), *folders.cases(), *mirrors.cases()]
    return [case for case in found if case.quick or not quick]


def attempt_all(
    cases: Iterable[Case],
    folder: Path,
    *,
    seed: int,
    jobs: int,
    tell: Callable[[int, int, Tally | None], None],
    times: int | None = None,
    limit_s: float = math.inf,
) -> list[Tally]:
    """Try all cases, and return a tally each, in their order.

    Args:
        folder: empty, for everything.
        tell: called with how many attempts are done, of how many, and the tally that the last was added to.
        times: of each case; None for as many as it says.
        limit_s: after which no attempt is begun; what was not tried for that is skipped, and says so.
    """
    cases = [case for case in cases if case.times]
    tallies = {case.fault: Tally(case.family, case.fault) for case in cases}
    # Each once, before any of them again.
    todo = sorted(((case, n) for case in cases for n in range(times or case.times)), key=lambda each: each[1])
    end = time.monotonic() + limit_s
    site = Site(folder)
    tell(0, len(todo), None)
    try:
        with ThreadPoolExecutor(jobs) as busy, ThreadPoolExecutor(WAITING) as waiting:
            futures = {
                (waiting if case.waits else busy).submit(
                    _attempt, site, case, f"{seed}/{case.fault}/{number}", end
                ): case
                for case, number in todo
            }
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    tally = tallies[futures[future].fault]
                    tries, outcome, skipped = future.result()
                    tally.add(outcome, tries)
                    tally.skipped = tally.skipped or skipped
                    tell(done, len(todo), tally)
            except KeyboardInterrupt:
                # Those under way end by themselves, and take down what they have mounted.
                for future in futures:
                    future.cancel()
                raise
    finally:
        site.close()
    return list(tallies.values())


def _attempt(site: Site, case: Case, seed: str, end: float) -> tuple[int, Outcome, str]:
    """Try a case once: how often it was brought about, what came of it, why it was skipped."""
    if time.monotonic() > end:
        return 0, Outcome(), OUT_OF_TIME
    place = site.place()
    try:
        tries = case.attempt(site, place, Random(seed))
    except Skip as reason:
        return 0, Outcome(), str(reason)
    except Exception:
        # A fault of this suite, or of a file that cannot be read at all: never a green row.
        place.outcome.count("endings", f"the try itself failed: {traceback.format_exc().strip()[-600:]}")
        tries = 1
    place.no_orphans("the try")
    if place.outcome.good:
        shutil.rmtree(place.folder, ignore_errors=True)
    return tries, place.outcome, ""
