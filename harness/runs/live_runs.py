"""Which runs are under way on this machine: each holds a locked file that others can look at.

The lock (flock(2)) ends with its process, however that ends, so that a file which can be locked is left over and is
taken away by whoever meets it. Nothing here runs by itself: others are looked for when a launch starts and ends, never
while one is timed. Runs in containers are seen where they share the folder: LENET_BENCH_LIVE_RUNS names another.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from harness.files import is_named

FOLDER_VARIABLE = "LENET_BENCH_LIVE_RUNS"
# Not TMPDIR, which may be each user's own: runs of all users take the same CPUs.
SHARED_FOLDER = Path("/tmp/lenet-bench-runs")
# What is read of a file that another user may have written, and how many files are looked at.
MOST_BYTES, MOST_FILES = 4096, 256
MOST_WORDS = 200


@dataclass(frozen=True)
class LiveRun:
    """A run, or a verification, that is under way.

    Attributes:
        pid: of its harness; in another container, a number of that container's.
        what: `run results/2026-...`, as people should read it.
        cpus: that its launches are pinned to; none where they are not.
    """

    pid: int
    what: str
    cpus: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """Who it is, for people."""
        pinned = f", pinned to CPU {', '.join(map(str, self.cpus))}" if self.cpus else ""
        return f"Process {self.pid} is at work on {self.what}{pinned}."


def folder() -> Path:
    """Where runs of this machine are noted down, whoever they belong to."""
    return Path(os.environ.get(FOLDER_VARIABLE) or SHARED_FOLDER)


@contextmanager
def announced(what: str, cpus: Sequence[int]) -> Iterator[None]:
    """Let others see this process for a while. Where that cannot be, nothing is said: they see other load instead.

    Args:
        what: is under way, with `~` for the home folder: everybody on the machine may read it.
        cpus: that launches are pinned to.
    """
    with contextlib.ExitStack() as ending:
        with contextlib.suppress(OSError):
            place = _open_folder(make=True)
            ending.callback(os.close, place)
            name, file = _hold(place, json.dumps(asdict(LiveRun(os.getpid(), what[:MOST_WORDS], tuple(cpus)))).encode())
            ending.callback(os.close, file)
            # Called first: once the lock is given back, the name might be another's.
            ending.callback(_remove, place, name)
        yield


def others() -> list[LiveRun] | None:
    """Runs of other processes that are under way now; None where that cannot be known."""
    try:
        place = _open_folder(make=False)
    except FileNotFoundError:
        return []
    except OSError:
        return None
    try:
        names = [name for name in sorted(os.listdir(place)) if not name.startswith(_own())][:MOST_FILES]
        return [found for found in (_look(place, name) for name in names) if found is not None]
    finally:
        os.close(place)


def warnings(cpus: Sequence[int]) -> list[str]:
    """What to tell whoever starts a run that would be pinned to these CPUs; nothing where it is alone."""
    found = []
    for each in others() or []:
        shared = sorted(set(cpus) & set(each.cpus))
        text = f"Another lenet-bench is under way on this machine. {each.sentence} Both will be slower for it."
        if shared:
            text += (
                f" Both are pinned to CPU {', '.join(map(str, shared))}, of which each has half: let one end first, or "
                "begin this one with taskset -c and other CPUs."
            )
        found.append(text)
    return found


def _open_folder(*, make: bool) -> int:
    """A descriptor of the folder, through which all files are reached: a name in /tmp may become another's meanwhile.

    Raises:
        OSError: there is none, or it is a link, or may not be read.
    """
    path = folder()
    if make:
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            # As /tmp: everybody may add files, and nobody take away another's.
            path.chmod(0o1777)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _own() -> str:
    """How names of this process's files begin; in another container there may be a process with this number."""
    return f"{os.getpid()}-{psutil.Process().create_time():.2f}-"


def _hold(place: int, content: bytes) -> tuple[str, int]:
    """Write a file and lock it, under a name of its own; return the name and the descriptor that has the lock.

    Raises:
        OSError: the folder does not let us.
    """
    while True:
        name = f"{_own()}{os.urandom(4).hex()}"
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=place)
        fcntl.flock(file, fcntl.LOCK_EX)
        if is_named(file, name, folder=place):
            os.fchmod(file, 0o644)
            os.write(file, content)
            return name, file
        # Somebody looked between these lines, could lock it, and took it for one that is left over.
        os.close(file)


def _remove(place: int, name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=place)


def _look(place: int, name: str) -> LiveRun | None:
    """The run that holds a file; None where none does any more, and then the file goes, or where it is no file of ours.

    Whatever lies in a folder that all may write to is looked at with care: no link is followed, no pipe waited for.
    """
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            return None
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # Nobody's any more. Another user's is left to him.
        if found.st_uid == os.geteuid() and is_named(file, name, folder=place):
            _remove(place, name)
        return None
    except BlockingIOError:
        return _read(os.read(file, MOST_BYTES))
    except OSError:
        return None
    finally:
        os.close(file)


def _read(content: bytes) -> LiveRun:
    """What a file says. One that is held by somebody and says nothing of use is a run all the same."""
    try:
        values = json.loads(content)
        pid, what, cpus = int(values["pid"]), str(values["what"]), tuple(int(cpu) for cpu in values["cpus"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return LiveRun(0, "something that it does not name", ())
    # Another user's words go to this user's terminal.
    return LiveRun(pid, "".join(each if each.isprintable() else "?" for each in what[:MOST_WORDS]), cpus)
