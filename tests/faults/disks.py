"""Disks that are full, become full, or can only be read; files that may not grow. On small tmpfs, made by root."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.faults import rows
from tests.faults.case import NAME, RUN, Case, Site, complete, resumed, started
from tests.faults.outcome import Skip
from tests.faults.place import Place, Running

# A worker's files of the small data set are under a megabyte, a run's folder is 60 kB.
SIZE = "12m"
# It could not be done: said so, and not as "worse".
REFUSED = (2, 3)


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(
            "disks", f"{where} {how} from the start, then mended", functools.partial(_from_start, where=where, how=how)
        )
        for where in ("results", "tmp")
        for how in ("full", "without inodes", "read-only")
    ]
    # A run holds the lock of its folder open for writing: the kernel lets no such disk become read-only.
    found += [
        Case("disks", f"{where} {how} during the run, mended, resumed",
             functools.partial(_during, where=where, how=how), times=3)
        for where, how in (("results", "full"), ("tmp", "full"), ("tmp", "read-only"))
    ]  # fmt: skip
    return [*found, Case("disks", "files that may not grow (ulimit -f)", _no_growth)]


@contextlib.contextmanager
def _small_disk(folder: Path, options: str = f"size={SIZE}") -> Iterator[None]:
    """Mount a tmpfs over a folder.

    Raises:
        Skip: this user may not.
    """
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        raise Skip(f"no tmpfs can be mounted: {mounted.stderr.strip()[:80]}")
    try:
        yield
    finally:
        # Lazily: a process that is being ended may still have a file of it open.
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _folder(place: Place, where: str) -> Path:
    return {"results": place.results, "tmp": place.temporary}[where]


def _spoil(folder: Path, how: str) -> Callable[[], None]:
    """Make a mounted folder as it is not wanted; return what makes it good again."""
    if how == "read-only":
        _remount(folder, "ro")
        return lambda: _remount(folder, "rw")
    if how == "without inodes":
        _remount(folder, "nr_inodes=1")
        return lambda: _remount(folder, "nr_inodes=100000")
    filler = folder / ".filler"
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return lambda: filler.unlink()


def _remount(folder: Path, options: str) -> None:
    for _ in range(200):
        if subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], capture_output=True).returncode == 0:
            return
        # A file that is open for writing keeps it from becoming read-only.
        time.sleep(0.02)
    raise Skip(f"the tmpfs cannot be remounted as {options}")


def _from_start(site: Site, place: Place, random: Random, *, where: str, how: str) -> int:
    folder = _folder(place, where)
    with _small_disk(folder):
        mend = _spoil(folder, how)
        run = started(site, place)
        # Python has other places for temporary files, and takes them where TMPDIR cannot be written to.
        place.finish(run, right=(0, *REFUSED) if where == "tmp" else REFUSED, what=f"with {where} {how}")
        if run.ended is not None and run.ended.code:
            _sentence(place, run)
        mend()
        # Nothing was measured; whether there is a folder to go on with or not.
        place.finish(resumed(place), what="once it was mended")
        complete(place, site.undisturbed, [])
    return 1


def _during(site: Site, place: Place, random: Random, *, where: str, how: str) -> int:
    folder = _folder(place, where)
    with _small_disk(folder):
        run = started(site, place)
        run.wait(random.uniform(0.1, 0.8) * site.run_s)
        if run.ended is not None:
            return 0
        try:
            mend = _spoil(folder, how)
        except Skip:
            # Some file was open for writing all the time.
            place.finish(run, what="the run beside which nothing happened")
            return 0
        before = rows.see(place.results / NAME)
        place.finish(run, right=(0, *REFUSED), what=f"with {where} {how} from then on")
        place.outcome.count("lost", f"rows, when {where} became {how}", rows.lost(before, place.results / NAME))
        mend()
        seen = []
        if run.ended is None or run.ended.code:
            _sentence(place, run)
            seen.append(rows.see(place.results / NAME))
            place.finish(resumed(place), what="once it was mended")
        complete(place, site.undisturbed, seen)
    return 1


def _sentence(place: Place, run: Running) -> None:
    """The system's own word for it is in what was said."""
    words = (os.strerror(number) for number in (28, 30, 13, 27))
    if not any(word in run.said for word in words):
        place.outcome.count("endings", f"the disk is not named: {run.said.strip()[-200:]}")


def _no_growth(site: Site, place: Place, random: Random) -> int:
    run = place.fresh(*RUN, "--name", NAME, shell="ulimit -f 8; $COMMAND")
    place.finish(run, right=REFUSED, what="with ulimit -f")
    place.finish(resumed(place), what="without it")
    complete(place, site.undisturbed, [])
    return 1
