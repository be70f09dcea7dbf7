"""What a worker prints: a file that it writes to itself, of which the end is kept and shown.

The harness looks at its size when the worker has said something, never while the worker is timed. Until then it is the
kernel that keeps it from filling the disk, which costs nothing: a file of a worker has `MOST_OF_A_FILE` bytes at most.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from pathlib import Path

from harness.visible import visible

# A longer log is cut to its end.
MOST_BYTES = 64 << 20
# The largest file that a worker writes on purpose is a turn's weights, some ten megabytes.
MOST_OF_A_FILE = 1 << 30
# What is kept of one that is cut, and what is read for an error.
TAIL_BYTES = 64 << 10
LINES, LINE_LENGTH = 12, 500
# Less free space than this is a full disk.
LEAST_FREE = 64 << 10


class WorkerLog:
    """The log of one launch.

    It is read through the descriptor that it was made with: what the worker puts in its place is not looked at.
    """

    def __init__(self, path: Path) -> None:
        self._folder, self._longest = path.parent, 0
        # Whoever appends goes on at the new end of a file that was cut.
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Forget it. It is gone with the launch's folder."""
        os.close(self.descriptor)

    def keep_short(self) -> None:
        """Where it has become too long, cut it to its end, and say so in it."""
        size = os.fstat(self.descriptor).st_size
        self._longest = max(self._longest, size)
        if size > MOST_BYTES:
            tail = self._tail(size)
            os.ftruncate(self.descriptor, 0)
            os.write(self.descriptor, b"[%d bytes before this were cut]\n" % (size - len(tail)) + tail)

    def end(self) -> str:
        """The last lines, as a terminal may show them."""
        try:
            lines = self._tail(os.fstat(self.descriptor).st_size).decode(errors="backslashreplace").strip().splitlines()
        except OSError:
            return ""
        return "\n".join(visible(line[:LINE_LENGTH]) for line in lines[-LINES:])

    def disk(self) -> str:
        """A sentence where it found no room: the disk that it is on is full, or it was as long as may be."""
        try:
            free, size = shutil.disk_usage(self._folder).free, os.fstat(self.descriptor).st_size
        except OSError:
            return ""
        if max(size, self._longest) >= MOST_OF_A_FILE:
            return f" Its log had the {MOST_OF_A_FILE:,} bytes that a worker's file may have."
        if free >= LEAST_FREE:
            return ""
        return f" The disk of {self._folder} is full (this log has {size:,} bytes): set TMPDIR to a larger one."

    def _tail(self, size: int) -> bytes:
        return os.pread(self.descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))


def limit_files(pid: int) -> None:
    """Have the kernel refuse what would make a file of a process, or of its children, longer than MOST_OF_A_FILE."""
    # It may have ended already; and a sandbox may know no such call.
    with contextlib.suppress(OSError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        most = MOST_OF_A_FILE if hard == resource.RLIM_INFINITY else min(hard, MOST_OF_A_FILE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
