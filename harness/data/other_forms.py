"""Forms in which the same data sets go about that are not read here, so that who has one of them is told why not."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

# Entries of a folder that are looked at, and files that are named.
MOST_ENTRIES, MOST_NAMED = 10_000, 5
FOLDERS = {"cifar-10-batches-py": "CIFAR-10 as pickled Python objects, which could run anything; the binary version is"}
FORMS = {
    ".npz": "an archive of NumPy's, Keras's form; the IDX files are",
    ".csv": "a table of pixels; the IDX files are",
    ".parquet": "a table of Hugging Face's; the IDX files are",
    ".arrow": "a table of Hugging Face's; the IDX files are",
    ".tfrecord": "TensorFlow's form; the IDX files are",
    ".mat": "MATLAB's form; the IDX files are",
    ".pkl": "pickled Python objects, which could run anything; the IDX files are",
    ".pkl.gz": "pickled Python objects, which could run anything; the IDX files are",
    ".pt": "PyTorch's form of torchvision's `processed`; the files of its `raw` are",
    ".bz2": "packed with bzip2; gzip, xz and unpacked files are",
    ".zip": "a ZIP archive; unpack it: its files are",
}


def not_taken(folder: Path) -> list[str]:
    """What of a folder may be a data set in a form that is not read: a phrase each, which ends with what is read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in itertools.islice(entries, MOST_ENTRIES))
    except OSError:
        return []
    found = []
    for name in names:
        what = FOLDERS.get(name) or _form(name)
        if what:
            found.append(f"{folder / name} ({what} read)")
    return found[:MOST_NAMED]


def _form(name: str) -> str:
    lowered = name.lower()
    if lowered.startswith("cifar-10-python"):
        return FOLDERS["cifar-10-batches-py"]
    return next((what for ending, what in FORMS.items() if lowered.endswith(ending)), "")
