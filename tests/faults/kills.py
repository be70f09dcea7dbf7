"""The harness is killed (SIGKILL) at a moment that is drawn, gone on with, killed again, and so on to the end."""

from __future__ import annotations

import functools
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults import rows
from tests.faults.case import ENTRANTS, NAME, TIMED, Case, Site, complete, resumed
from tests.faults.outcome import Skip
from tests.faults.place import LIMIT_S, ROOT, Place, Running

# Kills of one run, after which it is let go on to its end.
MOST_KILLS = 8
TORCH = ("run", "-b", "torch,numpy", "--batch-size", "4", "--rounds", "2", "--epochs", "1", *TIMED)


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
        # Half of the run at the most: a round is a third of it, and one that is cut is done again.
        run.wait(random.uniform(0.0, 0.5 * site.run_s))

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
    undisturbed = _torch_reference(site, str(pythons))

    def moment(run: Running) -> None:
        run.wait(random.uniform(0.0, 12.0))

    def resume(place: Place) -> Running:
        if not (place.results / NAME / "environment.json").exists():
            return place.start(*TORCH, "--name", NAME, **variables)
        return place.start("run", "--resume", f"results/{NAME}", **variables)

    return _until_done(place, undisturbed, moment, resume=resume, most=4)


@functools.cache
def _torch_reference(site: Site, pythons: str) -> Path:
    return site.reference(*TORCH, LENET_BENCH_INTERPRETERS=pythons)


def _until_done(
    place: Place, undisturbed: Path, moment: Callable[[Running], object], *, resume: Callable[..., Running], most: int
) -> int:
    """Kill and go on, `most` times; then go on to the end. Return how often it was really killed."""
    folder, seen, killed = place.results / NAME, [], 0
    for _ in range(most):
        run = resume(place)
        moment(run)
        if not run.send(signal.SIGKILL):
            place.finish(run, what="a resumed run")
            break
        if run.wait(LIMIT_S) is None:
            place.outcome.count("hangs", "killed, and still there")
        killed += 1
        place.look(run, "a killed run")
        place.no_orphans("a kill of the harness")
        seen.append(rows.see(folder))
    else:
        place.finish(resume(place), what="the last resume")
    complete(place, undisturbed, seen, entrants=ENTRANTS)
    return killed
