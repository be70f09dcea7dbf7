"""Download one file from the first of several public mirrors that has it, checked before it is kept.

The file is written beside its destination under a temporary name and moved into place only after the caller's
check has passed, so that an interrupted, truncated or wrong download never looks like a good file.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError

MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # no https
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    "cifar-10": ("https://www.cs.toronto.edu/~kriz/",),
}
MAX_BYTES = 192 * 2**20  # the largest file has about 170 MB; a mirror that sends on and on must not fill the disk
_TRIES = 3
_BACK_OFF = 0.5  # seconds before the second try; doubled before each one after it
_ANSWER = 10.0  # seconds that a mirror has to answer at all
_GRACE = 2.0  # seconds that the others get once one mirror has answered
_STALL = 15.0  # seconds without a byte
_LOCK_WAIT = 600.0  # seconds to wait for another process that downloads the same data set
_PROGRESS_AFTER = 1.0  # seconds


class Unreachable(InputError):
    """No mirror delivered the file, or there is no place to put it; the message gives each mirror's error."""


def mirrors_of(dataset: str) -> tuple[str, ...]:
    """Return the base addresses of a data set, each ending in "/", in the order in which they are tried.

    `LENET_BENCH_MIRRORS` (addresses separated by spaces; `<dataset>/` is appended to each) replaces those of
    `MIRRORS`, for people behind a proxy and for tests.
    """
    own = os.environ.get("LENET_BENCH_MIRRORS", "").split()
    if own:
        return tuple(f"{base.rstrip('/')}/{dataset}/" for base in own)
    return MIRRORS[dataset]


def download(
    name: str,
    folder: Path,
    *,
    mirrors: Sequence[str],
    check: Callable[[Path], object],
    notify: Callable[[str], None],
) -> str:
    """Put the file `name` into `folder`, unless it is there already.

    Args:
        name: file name, the same on every mirror.
        folder: made when missing. Its lock file guards it against other processes that download into it.
        mirrors: base addresses ending in "/", tried in this order; those that don't answer come last.
        check: given the path of the downloaded file before it is put in place; raises InputError to refuse.
        notify: given one line per downloaded file.

    Returns:
        The base address that delivered, or "" where the file was there already.

    Raises:
        Unreachable: every mirror failed, or the folder cannot be written, or its lock cannot be had.
    """
    with _locked(folder, notify):
        if (folder / name).exists():  # another process was faster
            return ""
        for left in folder.glob(f".{name}.*.part"):  # of a process that was killed; we hold the lock
            left.unlink(missing_ok=True)
        failures: dict[str, str] = {}
        for mirror in _answering(mirrors, name, failures):
            started = time.monotonic()
            failure = _from_mirror(mirror + name, folder / name, check)
            if failure is None:
                size, took = (folder / name).stat().st_size / 2**20, time.monotonic() - started
                notify(f"Downloaded {name}: {size:.1f} MiB from {mirror} in {took:.1f} s.")
                return mirror
            failures[mirror] = failure
    listed = "".join(f"\n  {mirror}{name}: {failures[mirror]}" for mirror in mirrors)
    raise Unreachable(f"No mirror delivered {name}:{listed}")


@contextlib.contextmanager
def _locked(folder: Path, notify: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a download folder, which is made when missing."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".download.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            notify(f"Another process is downloading into {folder}; waiting for it.")
            lock.acquire(timeout=_LOCK_WAIT)
    except Timeout:
        raise Unreachable(
            f"Another process has held {lock.lock_file} for {_LOCK_WAIT:.0f} s; end it, or set "
            "LENET_BENCH_CACHE to another folder."
        ) from None
    except OSError as error:
        raise Unreachable(
            f"Cannot write to the cache {folder} ({error.strerror or error}); set LENET_BENCH_CACHE to a "
            "folder that can be written."
        ) from error
    try:
        yield
    finally:
        lock.release()


# --- one mirror ---------------------------------------------------------------------------------------------


def _from_mirror(url: str, destination: Path, check: Callable[[Path], object]) -> str | None:
    """Download, check and put in place; returns None when that worked, else what went wrong, in one line."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_BACK_OFF * 2 ** (attempt - 1))
        failure, again = _attempt(url, destination, check)
        if failure is None or not again:
            return failure
    return f"{failure} ({_TRIES} tries)"


def _attempt(url: str, destination: Path, check: Callable[[Path], object]) -> tuple[str | None, bool]:
    """Try once; returns what went wrong (None: nothing) and whether trying again may help."""
    import requests

    part, name = None, destination.name
    try:
        handle, part = tempfile.mkstemp(dir=destination.parent, prefix=f".{name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            _fetch(url, _Sink(file, name))
        try:
            check(Path(part))
        except InputError as error:
            said = str(error).replace(f"{part}: ", "").partition(". Delete the file")[0]  # it isn't kept
            return _one_line(f"refused what it sent: {said}"), False
        os.replace(part, destination)
        return None, False
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        return f"HTTP status {status}", status >= 500 or status == 429
    except (requests.RequestException, OSError, ValueError, InputError) as error:
        # A time-out to connect is not tried again: where packets go nowhere, one wait is enough.
        again = isinstance(error, requests.RequestException)
        return _one_line(error), again and not isinstance(error, requests.ConnectTimeout)
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)


def _fetch(url: str, sink: _Sink) -> None:
    """Send the content of an address into a sink."""
    import pooch  # type: ignore[import-untyped]

    downloader = pooch.HTTPDownloader(progressbar=sink, chunk_size=2**16, timeout=(_ANSWER, _STALL))
    try:
        downloader(url, sink, None)
    finally:
        sink.close()


class _Sink:
    """What pooch writes to and reports to: a bounded file that shows progress once a download takes long.

    It is output file and progress bar in one, because pooch tells a progress bar the size of its chunks, not
    what really came in.
    """

    def __init__(self, file: Any, name: str) -> None:
        self.total = 0  # set by pooch; 0 where the mirror does not say
        self._file, self._name, self._written = file, name, 0
        self._started = time.monotonic()
        self._bar: Any = None

    def write(self, data: bytes) -> int:
        """Write to the file, unless the mirror has sent too much."""
        self._written += len(data)
        if self._written > MAX_BYTES:
            raise InputError(f"sent more than {MAX_BYTES:,} bytes")
        slow = time.monotonic() - self._started > _PROGRESS_AFTER
        if slow and self._bar is None and sys.stderr.isatty():
            self._show()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._written)
        return int(self._file.write(data))

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._name, total=self.total or None)
        self._bar.start()

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed, not after each chunk."""

    def update(self, size: int) -> None:
        """Ignore pooch's chunk sizes; `write` knows better."""

    def reset(self) -> None:
        """Ignore pooch's wish to fill the bar at the end."""

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


# --- which mirrors answer -----------------------------------------------------------------------------------


def _answering(mirrors: Sequence[str], name: str, failures: dict[str, str]) -> list[str]:
    """Ask all mirrors at once; returns them with those that answered first, or none if none answered.

    `requests` bounds the time to connect per address, not per mirror, and not the look-up of names at all:
    where packets are dropped, one mirror after the other could take minutes. Here they have `_ANSWER` seconds
    together. Any HTTP status is an answer. Fills `failures` for the others.
    """
    answers: dict[str, str] = {}  # mirror: "" when it answered, else its error
    changed = threading.Condition()
    for mirror in mirrors:
        threading.Thread(target=_ask, args=(mirror, name, answers, changed), daemon=True).start()
    deadline = time.monotonic() + _ANSWER
    answered = False
    with changed:
        while len(answers) < len(mirrors) and answers.get(mirrors[0]) != "":
            if not answered and "" in answers.values():
                answered, deadline = True, min(deadline, time.monotonic() + _GRACE)
            if not changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                break
        known = dict(answers)
    for mirror in mirrors:
        if known.get(mirror) != "":
            failures[mirror] = known.get(mirror, f"no answer within {_ANSWER:.0f} s")
    good = [mirror for mirror in mirrors if known.get(mirror) == ""]
    return good + [mirror for mirror in mirrors if mirror not in good] if good else []


def _ask(mirror: str, name: str, answers: dict[str, str], changed: threading.Condition) -> None:
    """Find out, in a thread, whether a mirror answers, and tell the one who waits on `changed`."""
    import requests

    failure = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_BACK_OFF * 2 ** (attempt - 1))
        try:
            with requests.head(mirror + name, timeout=_ANSWER):
                failure = ""
                break
        except Exception as error:  # whatever it is, the one who waits must hear of it
            failure = _one_line(error)
    with changed:
        answers[mirror] = failure
        changed.notify_all()


def _one_line(error: object) -> str:
    """Say what went wrong in one line that fits into a list; a chain of causes is cut to its last one."""
    text = " ".join(str(error).split())
    cause = re.search(r"Caused by \w+\((.*)\)\)", text)  # requests wraps urllib3 wraps the socket's own words
    if cause:
        text = cause[1].rpartition("): ")[2].strip("\"'")
    return (text or type(error).__name__)[:300]
