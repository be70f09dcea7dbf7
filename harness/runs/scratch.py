"""The temporary folder of a run, and what workers find in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from harness.data.sources import Dataset
from harness.errors import LenetBenchError
from harness.worker.batches import PARTS


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, also after Ctrl-C."""
    try:
        path = Path(tempfile.mkdtemp(prefix="lenet-bench-"))
    except OSError as error:
        raise LenetBenchError(f"No temporary folder can be made: {error}. Set TMPDIR.") from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


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
