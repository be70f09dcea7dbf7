"""The harness is killed (SIGKILL) at a moment that is drawn, gone on with, killed again, and so on to the end."""

from __future__ import annotations

import functools
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults import rows
from tests.faults.case import ENTRANTS, NAME, TIMED, Case, Site, complete, resumed
from tests.faults.outcome import Skip
from tests.faults.place import LIMIT_S, ROOT, Place, Running

# Kills of one try: of one run, or of several where one ends before the next kill.
MOST_KILLS = 12
# Seconds between two looks at a folder that is being written: a file takes some milliseconds.
LOOK_S = 0.0005
TORCH = ("run", "-b", "torch,numpy", "--batch-size", "1", "--rounds", "2", "--epochs", "1", *TIMED)


def cases(kills: int, torch_kills: int) -> list[Case]:
    """So many kills, half of them aimed at a write, and some with PyTorch."""
    each, most = -(-kills // (2 * MOST_KILLS)), min(kills, MOST_KILLS)
    return [
        # CI has a test of its own for them: tests/harness/runs/test_killed.py.
        Case("kills", "harness killed at any time, resumed", functools.partial(_at_any_time, most=most), times=each),
        Case("kills", "harness killed while it writes, resumed", _while_it_writes, times=each),
        Case("kills", "harness killed at any time, PyTorch", _torch, times=-(-torch_kills // 4)),
    ]


def _at_any_time(site: Site, place: Place, random: Random, *, most: int) -> int:
    def moment(run: Running) -> None:
        # A round is half of the run, and one that is cut is done again: some kills must come after it, or all would be
        # of the first.
        run.wait(random.uniform(0.0, 0.6 * site.run_s))

    return _until_done(place, site.undisturbed, moment, resume=resumed, most=most)


def _while_it_writes(site: Site, place: Place, random: Random) -> int:
    folder = place.results / NAME

    def moment(run: Running) -> None:
        """Wait until a file of the folder is written the so manieth time, or a temporary one appears."""
        changes, before = random.randint(1, 9), _look(folder)
        end = time.monotonic() + 0.7 * site.run_s
        while changes and time.monotonic() < end and run.wait(0) is None:
            now = _look(folder)
            changes -= len(set(now.items()) - set(before.items())) if now != before else 0
            changes, before = max(0, changes), now
            if changes:
                time.sleep(LOOK_S)
            # In the very middle, or some hundred microseconds later.
        time.sleep(random.choice((0.0, 0.0, 0.0003, 0.001, 0.003)))

    return _until_done(place, site.undisturbed, moment, resume=resumed, most=MOST_KILLS)


def _look(folder: Path) -> dict[str, int]:
    try:
        return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    except FileNotFoundError:
        return {}


def _torch(site: Site, place: Place, random: Random) -> int:
    known = ROOT / ".nox" / "3.11" / "torch" / "bin" / "python"
    if not known.exists():
        raise Skip("PyTorch is not installed: nox -s bench-torch")
    pythons = place.folder / "pythons.json"
    pythons.write_text(json.dumps({"torch": str(known)}))
    variables = {"LENET_BENCH_INTERPRETERS": str(pythons)}
    undisturbed, run_s = _torch_reference(site, str(pythons))

    def moment(run: Running) -> None:
        run.wait(random.uniform(0.0, 0.7 * run_s))

    def resume(place: Place) -> Running:
        if not (place.results / NAME / "environment.json").exists():
            return place.start(*TORCH, "--name", NAME, **variables)
        return place.start("run", "--resume", f"results/{NAME}", **variables)

    return _until_done(place, undisturbed, moment, resume=resume, most=4)


@functools.cache
def _torch_reference(site: Site, pythons: str) -> tuple[Path, float]:
    start = time.monotonic()
    return site.reference(*TORCH, LENET_BENCH_INTERPRETERS=pythons), time.monotonic() - start


def _until_done(
    place: Place, undisturbed: Path, moment: Callable[[Running], object], *, resume: Callable[..., Running], most: int
) -> int:
    """Kill and go on, `most` times, over as many runs as that takes. Return how often it was really killed."""
    killed = 0
    for _ in range(most):
        killed += _one_run(place, undisturbed, moment, resume=resume, most=most - killed)
        if killed == most or not place.outcome.good:
            break
        shutil.rmtree(place.results / NAME)
    return killed


def _one_run(
    place: Place, undisturbed: Path, moment: Callable[[Running], object], *, resume: Callable[..., Running], most: int
) -> int:
    """Kill and go on, `most` times or until it ends before it is killed; then let it go on to its end."""
    folder, seen = place.results / NAME, []
    for _ in range(most):
        run = resume(place)
        moment(run)
        if not run.send(signal.SIGKILL):
            place.finish(run, what="a resumed run")
            break
        if run.wait(LIMIT_S) is None:
            place.outcome.count("hangs", "killed, and still there")
        place.look(run, "a killed run")
        place.no_orphans("a kill of the harness")
        seen.append(rows.see(folder))
    else:
        place.finish(resume(place), what="the last resume")
    complete(place, undisturbed, seen, entrants=ENTRANTS)
    return len(seen)
