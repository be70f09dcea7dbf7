"""Writing files so that a reader, or a crash, never meets half of one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from harness.errors import InputError, LenetBenchError

# The folder that holds `harness` and `backends`: the repository, where this code is run from one.
ROOT = Path(__file__).resolve().parents[1]
# A disk, a quota or a limit of this process is exhausted.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def user_folder(kind: str) -> Path:
    """The user's folder of lenet-bench's `cache`, `data` or `state`, which need not exist; among the temporary files
    for a user who has no home (a container's, often)."""
    try:
        return Path(getattr(platformdirs, f"user_{kind}_dir")("lenet-bench")).absolute()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"lenet-bench-{os.getuid()}" / kind


def read_regular(path: Path, *, most: int) -> bytes:
    """Read a whole file that came from somewhere else.

    Args:
        most: bytes; a file with more is not read.

    Raises:
        InputError: it is not there, no regular file (opening a pipe would wait forever), too large or not to be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise InputError(f"Cannot read {path}: it is a pipe or device. Give a file.")
        with path.open("rb") as file:
            # One more than allowed: it may have grown, and some of the system's files say that they are empty.
            content = b"" if status.st_size > most else file.read(most + 1)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from None
    if max(status.st_size, len(content)) > most:
        size = f"{status.st_size:,} bytes" if status.st_size > most else "more"
        raise InputError(f"{path} has {size}; at most {most:,} are read. Is it the right file?")
    return content


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
