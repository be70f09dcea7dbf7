"""The temporary folder of a run, and what workers find in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
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
    """Write the arrays where workers map them into memory."""
    for part in PARTS:
        np.save(folder / f"{part}.npy", getattr(dataset, part), allow_pickle=False)
