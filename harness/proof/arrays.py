"""Reading what a worker computed: archives of arrays, of which nothing is believed before it has been looked at."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Container
from pathlib import Path

import numpy as np

from harness.errors import WorkerFailed
from harness.visible import visible

# Of all arrays of one file: the largest of ours, 100 steps of the largest network's quantities, is under 100 MB.
MOST_BYTES = 1 << 30


def read_content(file: Path) -> bytes:
    """The bytes of a file that a worker wrote.

    Raises:
        WorkerFailed: there is no such file, it is no plain one, or it is too long.
    """
    try:
        # A pipe would keep its reader waiting.
        if not file.is_file():
            raise WorkerFailed("What it was to write is no file (FileNotFoundError).")
        if file.stat().st_size > MOST_BYTES:
            raise WorkerFailed(f"It wrote a file of more than {MOST_BYTES:,} bytes.")
        return file.read_bytes()
    except OSError as error:
        raise WorkerFailed(f"What it wrote cannot be read ({type(error).__name__}).") from None


def read_arrays(source: Path | bytes, *, wanted: Container[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz.

    Args:
        source: the file, or its content.
        wanted: names of those that are read; None for all.

    Raises:
        WorkerFailed: it cannot be read, has other things than numbers in it, or has too much.
    """
    try:
        file = io.BytesIO(source if isinstance(source, bytes) else read_content(source))
        with zipfile.ZipFile(file) as members:
            size = sum(each.file_size for each in members.infolist())
            if size > MOST_BYTES:
                raise WorkerFailed(f"It wrote arrays of {size:,} bytes, and {MOST_BYTES:,} is the most.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files if wanted is None or name in wanted}
    except WorkerFailed:
        raise
    except Exception as error:
        # A damaged archive raises what zipfile, zlib and NumPy's reader of headers have: a dozen kinds.
        raise WorkerFailed(f"What it wrote cannot be read ({type(error).__name__}).") from None
    for name, value in found.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            raise WorkerFailed(f"What it wrote has {visible(name)}, which is no array of numbers.")
    return found
