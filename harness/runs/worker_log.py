"""What a worker prints: a file that it writes to itself, of which the end is kept and shown.

The harness looks at its size when the worker has said something, never while the worker is timed, so a worker may
fill the disk before it speaks again; then it fails, and the sentence names the disk.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.visible import visible

# A longer log is cut to its end.
MOST_BYTES = 64 << 20
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
        self._folder = path.parent
        # Whoever appends goes on at the new end of a file that was cut.
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Forget it. It is gone with the launch's folder."""
        os.close(self.descriptor)

    def keep_short(self) -> None:
        """Where it has become too long, cut it to its end, and say so in it."""
        size = os.fstat(self.descriptor).st_size
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
        """A sentence where the disk that it is on is full; else nothing."""
        try:
            free, size = shutil.disk_usage(self._folder).free, os.fstat(self.descriptor).st_size
        except OSError:
            return ""
        if free >= LEAST_FREE:
            return ""
        return f" The disk of {self._folder} is full (this log has {size:,} bytes): set TMPDIR to a larger one."

    def _tail(self, size: int) -> bytes:
        return os.pread(self.descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
