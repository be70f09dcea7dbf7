"""Writing files so that a reader, or a crash, never meets half of one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import platformdirs

from harness.errors import InputError, LenetBenchError

# The folder that holds `harness` and `backends`: the repository, where this code is run from one.
ROOT = Path(__file__).resolve().parents[1]
# What comes with the code: where it stands in a checkout. A wheel has it in harness/shipped (pyproject.toml).
SHIPPED = {"requirements": "requirements", "baselines": "results/baselines", "conformance": "tests/backends"}
# How the name of a file ends that is being written, or whose writer was killed.
PARTIAL = ".partial"
# A disk, a quota or a limit of this process is exhausted.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def in_checkout() -> bool:
    """Whether this code is run from a checkout, where nox makes the environments; not, where it was installed."""
    return (ROOT / "noxfile.py").exists()


def shipped(kind: str) -> Path:
    """The folder of what comes with the code; `kind` is one of SHIPPED."""
    packed = ROOT / "harness" / "shipped" / kind
    return packed if packed.is_dir() else ROOT / SHIPPED[kind]


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

    What killed writers of the same file have left beside it is deleted first.

    Raises:
        InputError: the folder cannot be written to.
        LenetBenchError: the disk is full.
    """
    try:
        _sweep(path)
        handle = _begin(path)
    except OSError as error:
        raise _cannot_write(path, error, "Give a folder that you may write to.") from None
    try:
        with handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
            os.chmod(handle.name, 0o644)
            # While it is still locked: see `_sweep`.
            os.replace(handle.name, path)
    except BaseException as error:
        Path(handle.name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from None
        raise
    sync_folder(path.parent)


def _cannot_write(path: Path, error: OSError, advice: str = "") -> LenetBenchError:
    """A full disk is no fault of what was asked for."""
    if error.errno in FULL:
        return LenetBenchError(f"Cannot write {path}: {error.strerror}. Make room; what was written before is kept.")
    return InputError(f"Cannot write {path}: {error.strerror}. {advice}".strip())


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, where its file system can: a rename is on it only then."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Have a folder for oneself, as far as all ask for it: to read a file in it, and write it with something added.

    Waits for others, who take milliseconds. Where the file system has no locks, or there is no folder, nobody waits.
    """
    opened = None
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(opened, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if opened is not None:
            os.close(opened)


def try_lock(opened: int) -> bool:
    """Lock an open file for this process alone, without waiting; False where another process has it.

    The lock goes with the process, however that ends (flock(2)). Where a file system has no locks, nobody gets one.
    """
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_named(opened: int, name: Path | str, *, folder: int | None = None) -> bool:
    """Whether an open file is still the one of that name: somebody may have deleted it, or put another in its place.

    Args:
        folder: the descriptor of the folder that the name is in; None for a path.
    """
    try:
        return os.path.samestat(os.fstat(opened), os.stat(name, dir_fd=folder, follow_symlinks=False))
    except OSError:
        return False


def _begin(path: Path) -> IO[bytes]:
    """A new file beside the one that is to be written, locked as long as it is open."""
    while True:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115
            dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL, delete=False
        )
        # Somebody who swept between these two lines may have taken it for a dead writer's.
        if try_lock(handle.fileno()) and not os.fstat(handle.fileno()).st_nlink:
            handle.close()
            continue
        return handle


def _sweep(path: Path) -> None:
    """Delete what writers of this file have left who are no more: nobody has a lock on it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"):
        with contextlib.suppress(OSError):
            opened = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if try_lock(opened):
                    left.unlink()
            finally:
                os.close(opened)
