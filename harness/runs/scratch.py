"""The temporary folder of a run, and what workers find in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from harness.data.sources import Dataset
from harness.errors import LenetBenchError
from harness.files import try_lock
from harness.worker.batches import PARTS

PREFIX = "lenet-bench-"
OWNER = ".owner"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, also after Ctrl-C; after kill -9 the next to be made deletes it.

    Its owner has a lock on a file in it, which the kernel takes away with the process, in whichever container that was:
    a folder is swept only where nobody has its lock. (A pid means nothing outside its container.)
    """
    _sweep(Path(tempfile.gettempdir()))
    try:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        owner = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise LenetBenchError(f"No temporary folder can be made: {error}. Set TMPDIR.") from None
    try:
        # Nobody sweeps a folder whose file says nothing: it may be this moment's.
        if try_lock(owner):
            os.write(owner, str(os.getpid()).encode())
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(owner)


def _sweep(place: Path) -> None:
    """Delete the folders of runs that were killed, of this user alone."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid() or not stat.S_ISDIR(folder.lstat().st_mode):
                continue
            owner = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if os.fstat(owner).st_size and try_lock(owner):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(owner)


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
