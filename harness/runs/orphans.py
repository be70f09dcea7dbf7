"""Processes that workers started, and that outlive them: they are found, and ended.

A process that leaves its group, and its parent behind, is still known by two things. It has inherited a variable that
names its launch. And where the harness has declared itself the reaper of its descendants (prctl(2),
PR_SET_CHILD_SUBREAPER), it becomes a child of the harness. What outlives a harness that was killed outright is ended by
a guardian (`harness.runs.guardian`), and where that was killed too, by the next harness that starts a worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

from harness.runs import guardian

# What a process has in its environment that a launch of ours started: the PID namespace, process id and start of the
# harness, and a number. Always as long, because the size of the environment moves a program's stack.
MARK = "LENET_BENCH_LAUNCH"
PR_SET_CHILD_SUBREAPER = 36
# How long processes that fork are killed again, s.
PATIENCE_S = 2.0
_numbers = itertools.count(1)
# Process ids of the workers that have not ended yet.
_at_work: set[int] = set()
_adopting = False
_guardian: subprocess.Popen[bytes] | None = None


def adopt() -> None:
    """Become the parent of every descendant whose own parent ends. For a process that is the harness alone."""
    global _adopting
    if sys.platform == "linux":
        _adopting = ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def new_mark() -> str:
    """The mark of the next launch of this harness."""
    return f"{_of_harness(os.getpid())}-{next(_numbers) % 10**6:06d}"


def started(pid: int) -> None:
    """A worker runs."""
    global _guardian
    _at_work.add(pid)
    if _adopting and _guardian is None:
        with contextlib.suppress(OSError):
            _guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, f"{MARK}={_of_harness(os.getpid())}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Whoever kills the harness's group does not kill it.
                start_new_session=True,
            )


def ended(pid: int, mark: str) -> None:
    """A worker has ended: so do all that it started, and their children."""
    _at_work.discard(pid)
    _kill_all(lambda: _marked(lambda found: found == mark))
    if not _at_work:
        # Nobody is at work: who is a child now has lost its mark.
        _end_adopted()
    _reap()


def end_all() -> None:
    """End whatever this harness has started, where it ends before it has done so launch by launch."""
    if next(_numbers) == 1:
        return
    own = _of_harness(os.getpid())
    _kill_all(lambda: _marked(lambda mark: mark.startswith(own)))
    _end_adopted()


@functools.cache
def end_those_of_the_dead() -> None:
    """End what harnesses have left behind that were killed, once in this process."""
    space = _namespace()

    def is_left(mark: str) -> bool:
        of_harness, _, _ = mark.rpartition("-")
        parts = of_harness.split("-")
        # In another container the same number is another process.
        if len(parts) != 3 or parts[0] != space or not parts[1].isdecimal():
            return False
        return _of_harness(int(parts[1])) != of_harness

    _kill_all(lambda: _marked(is_left))


def adopted(mark: str) -> list[int]:
    """Children of the harness that a launch left there, or that nobody can tell whose they were."""
    if not _adopting:
        return []
    return [pid for pid in _children(recursive=False) if _mark_of(pid) in ("", mark)]


def _end_adopted() -> None:
    if _adopting:
        _kill_all(lambda: _children(recursive=True))


def _children(*, recursive: bool) -> list[int]:
    """Children of the harness that are neither workers nor its guardian."""
    own = _at_work | ({_guardian.pid} if _guardian else set())
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process().children(recursive=recursive) if child.pid not in own]
    return []


def _kill_all(find: Callable[[], Iterable[int]]) -> None:
    """Kill until there are none: one may have forked while its parent was found."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        pids = list(find())
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.01)


def _reap() -> None:
    """Take note of the end of adopted children, so that they are not kept as zombies."""
    if not _adopting:
        return
    with contextlib.suppress(psutil.Error, OSError):
        for pid in _children(recursive=False):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                os.waitpid(pid, os.WNOHANG)


def _marked(wanted: Callable[[str], bool]) -> Iterator[int]:
    """Living processes whose mark is wanted."""
    for pid in psutil.pids():
        mark = _mark_of(pid) if pid != os.getpid() else ""
        if mark and wanted(mark):
            yield pid


def _mark_of(pid: int) -> str:
    """A process's mark; empty where it has none, has ended, or belongs to another user."""
    start = f"{MARK}=".encode()
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((each[len(start) :].decode(errors="replace") for each in variables if each.startswith(start)), "")


def _of_harness(pid: int) -> str:
    return f"{_namespace()}-{pid:07d}-{_start_of(pid):012d}"


def _namespace() -> str:
    """The inode of this process's PID namespace, ten digits."""
    try:
        return f"{os.stat('/proc/self/ns/pid').st_ino:010d}"
    except OSError:
        return "0" * 10


def _start_of(pid: int) -> int:
    """When a process began, in clock ticks since the machine did (proc(5), stat); 0 for one that has ended."""
    try:
        # The second field is the program's name, which may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return 0 if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0
