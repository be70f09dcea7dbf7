"""What a person sees while pip installs: what it is doing, how large that is, how long it has taken.

Nothing is timed meanwhile, so that the clock may tick: once a second on a terminal, every 15 s in a log. Imports the
standard library alone: nox, whose own environment has no more, asks here, too.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

TICK_S, LOG_S = 1.0, 15.0
# So much is worth a line of its own in a log, MB.
LARGE_MB = 20.0
DOWNLOAD = re.compile(r"\s*(?:Downloading|Using cached) (?:\S*/)?(\S+?)(?: \(([0-9.]+) ([kMG]?B)\))?\s*$")
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}


def size_of(folder: Path) -> int:
    """Bytes that a folder's files take, each counted once; those that come and go meanwhile are passed over."""
    found: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except OSError:
                continue
            found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def megabytes(size: float) -> str:
    """As people write it: `532 MB`, `4.7 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


class Progress:
    """The progress of installations, one after the other."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._status: Status | None = None
        self._name, self._folder, self._doing = "", Path(), ""
        self._began = self._told = 0.0

    def begin(self, name: str, folder: Path) -> None:
        """An environment is made in a folder."""
        self._name, self._folder, self._doing = name, folder, "making the environment"
        self._began = self._told = self._clock()
        self._note(f"Installing {name} in {folder}")
        if self._console.is_interactive:
            self._status = self._console.status("")
            self._status.start()

    def end(self) -> None:
        """It has been made, or has failed."""
        if self._status:
            self._status.stop()
        self._status = None

    def lines_of(self, process: subprocess.Popen[bytes]) -> Iterator[str]:
        """Every line that a process prints, while the clock ticks; ends when it has ended."""
        assert process.stdout is not None
        with process.stdout, selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            yield from self._read(process.stdout, selector)
        process.wait()

    def _read(self, stream: IO[bytes], selector: selectors.BaseSelector) -> Iterator[str]:
        left = b""
        while True:
            if selector.select(timeout=TICK_S):
                chunk = os.read(stream.fileno(), 65536)
                *lines, left = (left + chunk).split(b"\n")
                lines += [left] if not chunk and left else []
                for line in lines:
                    text = line.decode(errors="replace")
                    self._hear(text)
                    yield text + "\n"
                if not chunk:
                    return
            self._tick()

    def _hear(self, line: str) -> None:
        download = DOWNLOAD.match(line)
        if download:
            name, size = download[1], float(download[2] or 0) * UNITS.get(download[3] or "B", 1.0)
            known = f", {download[2]} {download[3]}" if download[2] else ""
            self._doing = f"downloading {name}{known}"
            if size >= LARGE_MB and not self._status:
                self._note(f"  {self._doing}")
        elif line.startswith("Installing collected packages:"):
            count = line.count(",") + 1
            self._doing = f"unpacking {count} packages"
        elif line.startswith(("Collecting ", "Processing ")):
            self._doing = f"looking at {line.split()[1].rpartition('/')[2]}"

    def _tick(self) -> None:
        now = self._clock()
        if self._status:
            self._status.update(f"{self._name}: {self._doing} ({now - self._began:.0f} s)")
        elif now - self._told >= LOG_S:
            self._note(
                f"  {self._doing}; {now - self._began:.0f} s so far, {megabytes(size_of(self._folder))} on the disk"
            )

    def _note(self, text: str) -> None:
        self._told = self._clock()
        self._console.print(text, soft_wrap=True)
