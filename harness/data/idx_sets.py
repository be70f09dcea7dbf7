"""MNIST and Fashion-MNIST: which four IDX files they are, where a folder has them, how they are checked and fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from harness.data.download import download, mirrors_of
from harness.data.idx import NEXT, read_idx
from harness.errors import InputError

# The four files of a data set, in the order of every digest: images and labels to train on, then to test on.
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# SHA-256 of the uncompressed content of `FILES`.
SHA256: dict[str, tuple[str, ...]] = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion-mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


# Where torchvision puts them.
OTHERS_FOLDERS = {"mnist": ("MNIST/raw",), "fashion-mnist": ("FashionMNIST/raw",)}
ENDINGS = (".gz", "", ".xz")


def _dotted(file: str) -> str:
    """The name that the same file has elsewhere: `train-images.idx3-ubyte`."""
    return file.replace("-idx", ".idx")


def _held_in(folder: Path) -> dict[str, Path]:
    """Which of `FILES` are in this very folder, under any of their names; of a folder of that name, the file in it."""
    held = {}
    for file in FILES:
        names = [f"{name}{ending}" for name in (file, _dotted(file)) for ending in ENDINGS]
        inside = [folder / name / name for name in (file, _dotted(file))]
        places = [*(path for name in names if not (path := folder / name).is_dir()), *inside]
        found = next((path for path in places if os.path.lexists(path)), None)
        if found:
            held[file] = found
    return held


class IdxSet:
    """One of `SHA256`'s data sets; `harness.data.file_set.FileSet` says what each attribute and method is for."""

    files = FILES
    counts = (60_000, 10_000)
    layout = (
        "these four files", *(f"{file}.gz (or .xz, or unpacked; also called {_dotted(file)})" for file in FILES),
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name

    def held(self, folder: Path) -> dict[str, Path]:
        """Return which of `FILES` a folder has, and where; none where they are those of another data set.

        They may be in the folder itself or in that of another program, of which the one with most of them is taken.
        """
        found = [_held_in(folder / part) for part in ("", "raw", *OTHERS_FOLDERS.get(self.name, ()))]
        found = [held for held in found if held and not self._another(held)]
        return max(found, key=len, default={})

    def _another(self, held: dict[str, Path]) -> bool:
        """Say whether files are those of another data set: all have the same names, so the test labels decide."""
        last = FILES[-1]
        if last not in held or held[last].parent.name == self.name:
            return False
        try:
            _, digest = read_idx(held[last])
        except InputError:
            return False  # broken, which whoever loads it will be told
        return any(digest == digests[-1] for other, digests in SHA256.items() if other != self.name)

    def read(self, held: dict[str, Path]) -> tuple[list[np.ndarray], tuple[str, ...]]:
        """Read and verify the four files of one folder."""
        arrays = [self._verified(file, held[file]) for file in FILES]
        # The header is part of what was verified, so images have three dimensions; theirs is one channel.
        return [array[:, np.newaxis] if array.ndim == 3 else array for array in arrays], SHA256[self.name]

    def _verified(self, file: str, path: Path) -> np.ndarray:
        """Read one IDX file and compare its content's digest with the table."""
        values, found = read_idx(path)
        expected = SHA256[self.name][FILES.index(file)]
        if found != expected:
            known = {digest: other for other, digests in SHA256.items() for digest in digests}
            whose = f" (a file of {known[found]})" if found in known else ""
            raise InputError(
                f"{path}: expected the {file} of {self.name} with the SHA-256 {expected}; found {found}{whose}. {NEXT}"
            )
        return values

    def download(self, cache: Path, notify: Callable[[str], None]) -> str:
        """Download what the cache lacks of the four files; the first file that fails ends it."""
        mirrors, source = mirrors_of(self.name), f"cache {cache}"
        held = self.held(cache)
        for file in FILES:
            if file in held:
                continue  # of an earlier download that was interrupted
            check = partial(self._verified, file)
            used = download(f"{file}.gz", cache, mirrors=mirrors, check=check, notify=notify)
            if used:  # the mirror that worked comes first for the next file
                mirrors = (used, *(mirror for mirror in mirrors if mirror != used))
                source = f"downloaded from {used} into the cache {cache}"
        return source
