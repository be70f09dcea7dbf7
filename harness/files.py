"""Writing files so that a reader, or a crash, never meets half of one."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

import platformdirs

from harness.errors import InputError, LenetBenchError

# The folder that holds `harness` and `backends`: the repository, where this code is run from one.
ROOT = Path(__file__).resolve().parents[1]
# A disk, a quota or a limit of this process is exhausted.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Control characters but tab and newline; those that turn the direction of text around; halves of surrogate pairs, which
# stand for bytes of a name that are not UTF-8.
NOT_PRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with what a file or a terminal cannot hold, or would obey, written out: `\\x1b`, `\\udcff`."""
    return NOT_PRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def user_folder(kind: str) -> Path:
    """The user's folder of lenet-bench's `cache`, `data` or `state`, which need not exist; among the temporary files
    for a user who has no home (a container's, often)."""
    try:
        return Path(getattr(platformdirs, f"user_{kind}_dir")("lenet-bench")).absolute()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"lenet-bench-{os.getuid()}" / kind


def write_text_atomically(path: Path, text: str) -> None:
    """As `write_atomically`, in UTF-8 with the line ends that the text has; what UTF-8 does not have is written out."""
    write_atomically(path, text.encode(errors="backslashreplace"))


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file, flush to the disk, then rename over it (rename(2) is atomic within a folder).

    Raises:
        InputError: the folder cannot be written to.
        LenetBenchError: the disk is full.
    """
    try:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115
            dir=path.parent, prefix=f".{path.name}.", delete=False
        )
    except OSError as error:
        raise _cannot_write(path, error, "Give a folder that you may write to.") from None
    try:
        with handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(handle.name, 0o644)
        os.replace(handle.name, path)
    except BaseException as error:
        Path(handle.name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from None
        raise


def _cannot_write(path: Path, error: OSError, advice: str = "") -> LenetBenchError:
    """A full disk is no fault of what was asked for."""
    if error.errno in FULL:
        return LenetBenchError(f"Cannot write {path}: {error.strerror}. Make room; what was written before is kept.")
    return InputError(f"Cannot write {path}: {error.strerror}. {advice}".strip())
