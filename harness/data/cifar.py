"""CIFAR-10 in its official binary form: six files of records, in a folder or in a tar archive.

Format (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"): a record is one byte of label and 3,072 bytes
of pixels, 1,024 red, then green, then blue, each row by row; a file has 10,000 records.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.data.archive import read_archive
from harness.data.download import download, mirrors_of
from harness.data.idx import NEXT
from harness.errors import InputError

NAME = "cifar-10"
# The six files, in the order of every digest: five to train on, then the one to test on.
FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
# SHA-256 of the content of `FILES`. Of the archive there is none: gzipped or xz, packed by anyone, it is the same data.
SHA256 = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
)
ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-binary.tar.xz", "cifar-10-binary.tar")
FOLDER = "cifar-10-batches-bin"  # that the archive has the files in
IMAGE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # bytes
RECORDS = 10_000  # of each file
CLASSES = 10


class Cifar10:
    """The data set; `harness.data.file_set.FileSet` says what each attribute and method is for."""

    name = NAME
    files = FILES
    counts = (50_000, 10_000)
    layout = ("one of these", *ARCHIVES, f"{FOLDER}/, or the files in it: {', '.join(FILES)}")

    def held(self, folder: Path) -> dict[str, Path]:
        """Return which of `FILES` a folder has, and where; in an archive it has them all, at the archive's path."""
        loose = {}
        for file in FILES:
            for path in (folder / FOLDER / file, folder / file):
                if os.path.lexists(path):
                    loose[file] = path
                    break
        if len(loose) == len(FILES):  # before an archive: nothing has to be unpacked
            return loose
        for archive in ARCHIVES:
            if os.path.lexists(folder / archive):
                return dict.fromkeys(FILES, folder / archive)
        return loose

    def read(self, held: dict[str, Path]) -> tuple[list[np.ndarray], tuple[str, ...]]:
        """Read and verify the six files of one folder, or of one archive."""
        contents = _contents(held)
        halves: list[tuple[np.ndarray, np.ndarray]] = []
        for file, expected in zip(FILES, SHA256):
            found = hashlib.sha256(contents[file]).hexdigest()
            if found != expected:
                raise InputError(
                    f"{held[file]}: expected the {file} of {NAME} with the SHA-256 {expected}; found {found}. {NEXT}"
                )
            halves.append(_parse(contents[file], file, held[file]))
        images, labels = zip(*halves)
        arrays = [np.concatenate(part) for part in (images[:-1], labels[:-1], images[-1:], labels[-1:])]
        return arrays, SHA256

    def download(self, cache: Path, notify: Callable[[str], None]) -> str:
        """Download the archive into the cache."""
        used = download(ARCHIVES[0], cache, mirrors=mirrors_of(NAME), check=self._check, notify=notify)
        return f"downloaded from {used} into the cache {cache}" if used else f"cache {cache}"

    def _check(self, archive: Path) -> None:
        self.read(dict.fromkeys(FILES, archive))


def _contents(held: dict[str, Path]) -> dict[str, bytes]:
    """Return the content of each of `FILES`, which has the right size; nothing else about it is known to be right."""
    size = RECORDS * RECORD
    if len(paths := set(held.values())) == 1:
        return read_archive(paths.pop(), dict.fromkeys(FILES, size))
    return {file: _content(path, size) for file, path in held.items()}


def _content(path: Path, size: int) -> bytes:
    """Return the content of one file; what has another size is not read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait forever
            raise InputError(f"{path}: expected a regular file; found a folder, pipe or device. {NEXT}")
        if status.st_size != size:
            raise InputError(f"{path}: expected {size:,} bytes; found {status.st_size:,}. {NEXT}")
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: expected a readable file; found: {reason}. {NEXT}") from error


def _parse(content: bytes, file: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Split whole records into images uint8 (n, 3, 32, 32) and labels uint8 (n,), both views of the content.

    Raises:
        InputError: a label that is no class.
    """
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0]
    wrong = np.flatnonzero(labels >= CLASSES)
    if len(wrong):
        raise InputError(
            f"{path}: expected labels from 0 to {CLASSES - 1} in {file}; "
            f"found {labels[wrong[0]]} in record {wrong[0]}, counted from 0. {NEXT}"
        )
    return records[:, 1:].reshape(-1, *IMAGE), labels
