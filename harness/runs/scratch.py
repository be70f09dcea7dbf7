"""The temporary folder of a run, and what workers find in it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from harness.data.sources import Dataset
from harness.errors import LenetBenchError
from harness.files import is_named, try_lock
from harness.worker.batches import PARTS

PREFIX = "lenet-bench-"
OWNER = ".owner"
# As `tempfile.mkdtemp` makes names.
NAME = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")
# How often a folder is made anew where another process swept it before it was locked, and its lock asked for.
TRIES, PAUSE_S = 20, 0.01


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, also after Ctrl-C; after kill -9 the next to be made deletes it.

    Its owner has a lock on a file in it, which the kernel takes away with the process, in whichever container that was:
    a folder is swept only where nobody has its lock. (A pid means nothing outside its container.)
    """
    _sweep(Path(tempfile.gettempdir()))
    try:
        path, owner = _make()
    except OSError as error:
        raise LenetBenchError(f"No temporary folder can be made: {error}. Set TMPDIR.") from None
    try:
        yield path
    finally:
        _delete(path)
        os.close(owner)


def _make() -> tuple[Path, int]:
    """A folder, and its owner's file, locked. One who sweeps may come between making and locking: then another."""
    for _ in range(TRIES):
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(FileNotFoundError):
            owner = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            _lock(owner)
            if is_named(owner, path / OWNER):
                return path, owner
            os.close(owner)
    raise FileNotFoundError(f"{path} was deleted by another process, as {TRIES - 1} before it")


def _lock(owner: int) -> None:
    """Lock it. Where a file system has no locks, nobody gets one, and nothing is swept."""
    for _ in range(TRIES):
        if try_lock(owner):
            return
        # Whoever sweeps has it, and deletes it in this moment.
        time.sleep(PAUSE_S)


def _sweep(place: Path) -> None:
    """Delete the folders of runs that were killed, in whatever moment, of this user alone."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid() or not stat.S_ISDIR(folder.lstat().st_mode):
                continue
            try:
                owner = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
            except FileNotFoundError:
                # Its owner was killed before it had signed, or after it had taken all away: it is empty then.
                if NAME.fullmatch(folder.name):
                    folder.rmdir()
                continue
            try:
                if try_lock(owner):
                    _delete(folder)
            finally:
                os.close(owner)


def _delete(folder: Path) -> None:
    """Delete a folder, its owner's file last: who is killed meanwhile leaves one that is still known for what it is."""
    for each in [*folder.iterdir()] if folder.exists() else []:
        with contextlib.suppress(OSError):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            elif each.name != OWNER:
                each.unlink()
    with contextlib.suppress(OSError):
        (folder / OWNER).unlink(missing_ok=True)
        folder.rmdir()


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write the arrays where workers map them into memory.

    Raises:
        LenetBenchError: the disk is full, most likely.
    """
    with making_room(folder):
        for part in PARTS:
            np.save(folder / f"{part}.npy", getattr(dataset, part), allow_pickle=False)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz that workers read.

    Raises:
        LenetBenchError: the disk is full, most likely.
    """
    with making_room(path.parent):
        np.savez(path, **arrays)  # type: ignore[arg-type]


@contextmanager
def making_room(folder: Path) -> Iterator[None]:
    """Where the disk is full, say which, and what to do. NumPy's errors do not, and some have no number either."""
    try:
        yield
    except OSError as error:
        why = " ".join(str(error.strerror or error).split())
        raise LenetBenchError(f"Cannot write to {folder}: {why}. Set TMPDIR to a folder with more room.") from None
