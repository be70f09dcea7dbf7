"""What a data set is that is kept in files: the seam between `sources`, which knows places, and each form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np


class FileSet(Protocol):
    """A data set that is kept in files, in a form of its own."""

    @property
    def name(self) -> str:
        """What `--data-set` takes, and what its folder is called."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that it consists of."""

    @property
    def counts(self) -> tuple[int, int]:
        """Images to train on, and to test on."""

    @property
    def layout(self) -> tuple[str, ...]:
        """What its folder may hold, for people: how much of it is needed ("one of these"), then each thing."""

    def held(self, folder: Path) -> dict[str, Path]:
        """Return which of `files` a folder has, and the path that each is to be read from; nothing is verified."""

    def read(self, held: dict[str, Path]) -> tuple[list[np.ndarray], tuple[str, ...]]:
        """Read and verify all of `files`.

        Returns:
            Images uint8 (n, c, h, w) and labels uint8 (n,) to train on, then to test on; and the SHA-256 of the
            content of each of `files`, in hex.

        Raises:
            InputError: a file that cannot be read, or whose content is not what everybody has.
        """

    def download(self, cache: Path, notify: Callable[[str], None]) -> str:
        """Put what the cache lacks into it, verified; return one phrase for people: where the data set came from.

        Raises:
            Unreachable: no mirror delivered it, or the cache cannot be written.
        """
