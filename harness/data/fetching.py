"""Fetch one file from one address into a file: `python -m harness.data.fetching ADDRESS FILE BYTES SECONDS`.

A process of its own, because nothing else can be ended at any moment. The time limits of `requests` are for each wait,
not for all of them together: a mirror that sends a byte of its headers every five seconds keeps `requests.get` busy for
ever, and so do a name that is looked up and a handshake. Whoever starts this sees how the file grows, and ends it.

Prints lines of JSON: first `{"size": ...}`, the bytes that the mirror says there are, where it says so; last what went
wrong, a line of text and whether trying again may help, or `null` where nothing did.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from harness.errors import InputError

ANSWER = 10.0  # seconds that a mirror has to answer at all
STALL = 15.0  # seconds without a byte
_CHUNK = 2**16


def fetch(address: str, path: Path, *, most: int) -> tuple[str, bool] | None:
    """Write what is at an address into a file, at most so many bytes of it.

    Returns:
        what went wrong, in one line, and whether trying again may help; None where nothing did.
    """
    import pooch  # type: ignore[import-untyped]
    import requests

    downloader = pooch.HTTPDownloader(progressbar=_Size(), chunk_size=_CHUNK, timeout=(ANSWER, STALL))
    try:
        with path.open("wb") as file:
            downloader(address, _Sink(file, most), None)
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        return f"HTTP status {status}", status >= 500 or status == 429
    except (requests.RequestException, OSError, ValueError, InputError) as error:
        # A time-out to connect is not tried again: where packets go nowhere, one wait is enough.
        again = isinstance(error, requests.RequestException)
        return one_line(error), again and not isinstance(error, requests.ConnectTimeout)
    return None


class _Size:
    """What pooch takes for a progress bar: it is told the size, and tells whoever started this."""

    @property
    def total(self) -> int:
        """Bytes that there are; 0 where the mirror does not say."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        if total > 0:
            print(json.dumps({"size": total}), flush=True)

    def update(self, size: int) -> None:
        """Whoever started this sees how the file grows."""

    def reset(self) -> None:
        """Nothing is drawn here."""

    def close(self) -> None:
        """Nothing is drawn here."""


class _Sink:
    """A file that takes so many bytes, and whose size is at any time what has come in."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most, self._left = file, most, most

    def write(self, data: bytes) -> int:
        """Write, unless the mirror has sent too much."""
        self._left -= len(data)
        if self._left < 0:
            raise InputError(f"sent more than {self._most:,} bytes")
        return self._file.write(data)

    def flush(self) -> None:
        """As pooch does after each piece."""
        self._file.flush()


def one_line(error: object) -> str:
    """Say what went wrong in one line that fits into a list; a chain of causes is cut to its last one."""
    text = " ".join(str(error).split())
    cause = re.search(r"Caused by \w+\((.*)\)\)", text)  # requests wraps urllib3 wraps the socket's own words
    if cause:
        text = cause[1].rpartition("): ")[2].strip("\"'")
    return (text or type(error).__name__)[:300]


if __name__ == "__main__":
    # Also where whoever started it was killed.
    signal.alarm(int(float(sys.argv[4])) + 1)
    print(json.dumps(fetch(sys.argv[1], Path(sys.argv[2]), most=int(sys.argv[3]))))
