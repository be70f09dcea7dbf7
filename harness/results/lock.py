"""The lock of a run folder: one process at a time writes into it, and nobody waits for one that is dead."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.errors import InputError
from harness.files import is_named

NAME = ".lock"
# What flock(2) says on file systems without locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class FolderLock:
    """A lock on a folder, held by whoever is within `hold`, once or several times over.

    The kernel has it (flock(2) on a file in the folder), so it ends with its process, also by kill -9, and means the
    same in every container that shares the folder. The file says who holds it, and goes when the lock does; one that a
    killed process left is no lock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._depth = 0

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Have the lock.

        Raises:
            InputError: another process has it; the message says which, and since when.
        """
        if self._depth:
            # This object has it already.
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        opened = self._acquire()
        self._depth = 1
        try:
            yield
        finally:
            self._depth = 0
            # Before it is let go: whoever opened it meanwhile finds that its name is gone, and makes a new one.
            with contextlib.suppress(OSError):
                (self._folder / NAME).unlink()
            os.close(opened)

    def _acquire(self) -> int:
        path = self._folder / NAME
        while True:
            try:
                opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            except OSError as error:
                raise InputError(f"Cannot write into {self._folder}: {error.strerror}.") from None
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(opened)
                if error.errno not in NO_LOCKS:
                    os.close(opened)
                    raise InputError(
                        f"{self._folder} is being written by another lenet-bench ({holder}). Wait until it has ended, "
                        "or stop it."
                    ) from None
                warning = f"{self._folder} cannot be locked ({error.strerror}): start no second run in it."
                print(warning, file=sys.stderr)
            if is_named(opened, path):
                _sign(opened)
                return opened
            os.close(opened)


def _sign(opened: int) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # What cannot be written on a full disk is only missed in somebody's error message.
    with contextlib.suppress(OSError):
        os.ftruncate(opened, 0)
        os.pwrite(opened, json.dumps({"pid": os.getpid(), "since": now}).encode(), 0)


def _holder(opened: int) -> str:
    try:
        said = json.loads(os.pread(opened, 1000, 0))
        return f"process {int(said['pid'])}, since {str(said['since'])[:40]}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has only just begun"
