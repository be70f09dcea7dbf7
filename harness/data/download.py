"""Download one file from the first of several public mirrors that has it, checked before it is kept.

The file is written beside its destination under a temporary name and moved into place only after the caller's
check has passed, so that an interrupted, truncated or wrong download never looks like a good file. A mirror has a
least rate and a time limit, whatever it sends or does not send; then it is the next one's turn.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.data.fetching import ANSWER, STALL, one_line
from harness.errors import InputError
from harness.files import ROOT

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
_ANSWER = ANSWER
_GRACE = 2.0  # seconds that the others get once one mirror has answered
_WINDOW = STALL + 5  # seconds over which a mirror must reach the least rate: a stall is noticed by `fetching` before
_LEAST_RATE = 16 * 2**10  # bytes a second; the four files of MNIST then take twelve minutes
_DEADLINE = 3600.0  # seconds that a mirror has for one file: 48 KiB a second for the largest
_LOOK = 0.1  # seconds between two looks at how a download grows
_LOCK_WAIT = 3600.0  # seconds to wait for another process that downloads the same data set
_TELL_AGAIN = 30.0  # seconds after which who waits is told again whom for
_PROGRESS_AFTER = 1.0  # seconds
_LINE_EVERY = 10.0  # seconds between two lines that say how far a download is, where there is no terminal


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
            failure = _from_mirror(mirror + name, folder / name, check, notify)
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
    owner = folder / ".download.owner"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, folder, notify)
        now = datetime.datetime.now(datetime.UTC).strftime("%H:%M:%S")
        owner.write_text(f"process {os.getpid()}, since {now} UTC", encoding="utf-8")
    except Timeout:
        raise Unreachable(
            f"Another process{_who(folder)} has held {lock.lock_file} for {_LOCK_WAIT:.0f} s; end it, or set "
            "LENET_BENCH_CACHE to another folder."
        ) from None
    except OSError as error:
        lock.release()
        raise Unreachable(
            f"Cannot write to the cache {folder} ({error.strerror or error}); set LENET_BENCH_CACHE to a "
            "folder that can be written."
        ) from error
    try:
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: Any, folder: Path, notify: Callable[[str], None]) -> None:
    """Wait for the lock, and say whom for; raises filelock's Timeout when `_LOCK_WAIT` is over."""
    from filelock import Timeout

    deadline = time.monotonic() + _LOCK_WAIT
    wait = 0.0
    while True:
        try:
            lock.acquire(timeout=wait)
            return
        except Timeout:
            if time.monotonic() >= deadline:
                raise
        notify(f"Another process is downloading into {folder}{_who(folder)}; waiting for it.")
        wait = min(_TELL_AGAIN, max(0.0, deadline - time.monotonic()))


def _who(folder: Path) -> str:
    """Who downloads into a folder, since when, and how far it is, as far as that is known."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        said = (folder / ".download.owner").read_text(encoding="utf-8")[:100]
        size = sum(part.stat().st_size for part in folder.glob(".*.part"))
        return f" ({said}; {size / 2**20:.1f} MiB of this file)"
    return ""


# --- one mirror ---------------------------------------------------------------------------------------------


def _from_mirror(
    url: str, destination: Path, check: Callable[[Path], object], notify: Callable[[str], None]
) -> str | None:
    """Download, check and put in place; returns None when that worked, else what went wrong, in one line."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_BACK_OFF * 2 ** (attempt - 1))
        failure, again = _attempt(url, destination, check, notify)
        if failure is None or not again:
            return failure
    return f"{failure} ({_TRIES} tries)"


def _attempt(
    url: str, destination: Path, check: Callable[[Path], object], notify: Callable[[str], None]
) -> tuple[str | None, bool]:
    """Try once; returns what went wrong (None: nothing) and whether trying again may help."""
    part, name = None, destination.name
    try:
        handle, part = tempfile.mkstemp(dir=destination.parent, prefix=f".{name}.", suffix=".part")
        os.close(handle)
        failure = _fetch(url, Path(part), name, notify)
        if failure:
            return failure
        try:
            check(Path(part))
        except InputError as error:
            said = str(error).replace(f"{part}: ", "").partition(". Delete the file")[0]  # it isn't kept
            return one_line(f"refused what it sent: {said}"), False
        os.replace(part, destination)
        return None, False
    except OSError as error:
        return one_line(error), False
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)


def _fetch(url: str, part: Path, name: str, notify: Callable[[str], None]) -> tuple[str, bool] | None:
    """Let `harness.data.fetching` fill a file; return what went wrong and whether trying again may help, or None."""
    command = [sys.executable, "-P", "-m", "harness.data.fetching", url, str(part), str(MAX_BYTES), str(_DEADLINE)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        bufsize=0,  # it is read while it comes in
        start_new_session=True,  # Ctrl-C is for us; we end it
    ) as child, contextlib.closing(_Bar(name, notify)) as bar:  # fmt: skip
        said = _Said(child)
        try:
            slow = _watch(child, part, bar, said)
        finally:
            child.kill()
        if slow:
            return slow, False
        lines = said.lines()
    if not lines or isinstance(lines[-1], dict):
        return f"the download's own process ended with the code {child.returncode}", False
    failure = lines[-1]
    return (str(failure[0]), bool(failure[1])) if failure else None


class _Said:
    """What a download's process has said so far."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self._pipe, self._said = child.stdout, b""
        os.set_blocking(self._pipe.fileno(), False)

    def lines(self) -> list[Any]:
        """The whole lines of it."""
        while chunk := self._pipe.read(65536):
            self._said += chunk
        return [json.loads(line) for line in self._said.splitlines(keepends=True) if line.endswith(b"\n")]

    def size(self) -> int | None:
        """Bytes that the mirror says there are; None where it does not say, or not yet."""
        return next((each["size"] for each in self.lines() if isinstance(each, dict)), None)


def _watch(child: subprocess.Popen[bytes], part: Path, bar: _Bar, said: _Said) -> str:
    """Wait until a download ends; return why it is not waited for any longer, or nothing."""
    started = window = time.monotonic()
    before = 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_LOOK)
            return ""
        now, size = time.monotonic(), part.stat().st_size
        bar.show(size, of=said.size())
        if now - started > _DEADLINE:
            return f"not done after {_DEADLINE:.0f} s ({size:,} bytes)"
        if now - window > _WINDOW:
            if size - before < _LEAST_RATE * (now - window):
                return f"too slow: {size - before:,} bytes in {now - window:.0f} s"
            window, before = now, size


class _Bar:
    """How far a download is, once it takes long: a bar on a terminal, else a line now and then."""

    def __init__(self, name: str, notify: Callable[[str], None]) -> None:
        self._name, self._notify, self._started = name, notify, time.monotonic()
        self._bar: Any = None
        self._next = self._started + _PROGRESS_AFTER

    def show(self, size: int, *, of: int | None) -> None:
        """Draw the bar, if it is time for one.

        Args:
            of: all bytes, where that is known.
        """
        now = time.monotonic()
        if self._bar is None and now > self._next and sys.stderr.isatty():
            self._start()
        elif self._bar is None and now > self._next:
            self._next = now + _LINE_EVERY
            whole = f" of {of / 2**20:.1f}" if of and size <= of else ""
            self._notify(f"Downloading {self._name}: {size / 2**20:.1f}{whole} MiB after {now - self._started:.0f} s.")
        if self._bar is not None:
            # A mirror that packs what it sends has said how long that is, and more comes out of it.
            self._bar.tasks[0].total = of if of and size <= of else None
            self._bar.update(self._task, completed=size)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._name, total=None)
        self._bar.start()

    def close(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


# --- which mirrors answer -----------------------------------------------------------------------------------


def _answering(mirrors: Sequence[str], name: str, failures: dict[str, str]) -> list[str]:
    """Ask all mirrors at once; returns them with those that answered first, or none if none answered.

    `requests` bounds the time to connect per address, not per mirror, and not the look-up of names at all:
    where packets are dropped, one mirror after the other could take minutes. Here they have `_ANSWER` seconds
    together. Any HTTP status is an answer. Fills `failures` for the others. Nobody is asked again after that: what
    follows may be timed.
    """
    answers: dict[str, str] = {}  # mirror: "" when it answered, else its error
    changed, over = threading.Condition(), threading.Event()
    for mirror in mirrors:
        threading.Thread(target=_ask, args=(mirror, name, answers, changed, over), daemon=True).start()
    try:
        known = _wait(mirrors, answers, changed)
    finally:
        over.set()
    for mirror in mirrors:
        if known.get(mirror) != "":
            failures[mirror] = known.get(mirror, f"no answer within {_ANSWER:.0f} s")
    good = [mirror for mirror in mirrors if known.get(mirror) == ""]
    return good + [mirror for mirror in mirrors if mirror not in good] if good else []


def _wait(mirrors: Sequence[str], answers: dict[str, str], changed: threading.Condition) -> dict[str, str]:
    """What is known once the first mirror has answered, or all have, or the time is over."""
    deadline = time.monotonic() + _ANSWER
    answered = False
    with changed:
        while len(answers) < len(mirrors) and answers.get(mirrors[0]) != "":
            if not answered and "" in answers.values():
                answered, deadline = True, min(deadline, time.monotonic() + _GRACE)
            if not changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                break
        return dict(answers)


def _ask(mirror: str, name: str, answers: dict[str, str], changed: threading.Condition, over: threading.Event) -> None:
    """Find out, in a thread, whether a mirror answers, and tell the one who waits on `changed`, until it is over."""
    import requests

    failure = ""
    for attempt in range(_TRIES):
        if attempt and over.wait(_BACK_OFF * 2 ** (attempt - 1)):
            return
        try:
            with requests.head(mirror + name, timeout=_ANSWER):
                failure = ""
                break
        except Exception as error:  # whatever it is, the one who waits must hear of it
            failure = one_line(error)
    with changed:
        answers[mirror] = failure
        changed.notify_all()
