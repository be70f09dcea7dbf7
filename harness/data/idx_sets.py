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


class IdxSet:
    """One of `SHA256`'s data sets; `harness.data.file_set.FileSet` says what each attribute and method is for."""

    files = FILES
    counts = (60_000, 10_000)
    layout = ("these four files", *(f"{file}.gz (or unpacked, without .gz)" for file in FILES))

    def __init__(self, name: str) -> None:
        self.name = name

    def held(self, folder: Path) -> dict[str, Path]:
        """Return which of `FILES` a folder has, and where; none where they are those of another data set."""
        held = {}
        for file in FILES:
            for path in (folder / f"{file}.gz", folder / file):
                if os.path.lexists(path):
                    held[file] = path
                    break
        return {} if self._another(held) else held

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
