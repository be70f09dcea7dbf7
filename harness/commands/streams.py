"""Standard output and standard error that outlast their readers: work of hours does not end with a terminal.

Whatever cannot be written is dropped, and what was wrong with standard output is said at the end: it has results.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import TextIO

from harness.errors import LenetBenchError

OUTPUT, ERROR = 1, 2


class _Lasting(io.FileIO):
    """A descriptor that takes everything.

    Attributes:
        trouble: why it has dropped something; None where it has not.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.trouble: OSError | None = None

    def write(self, content: object) -> int:
        while self.trouble is None:
            try:
                written = super().write(content)  # type: ignore[arg-type]
                if written is not None:
                    return written
                # Another process has made it non-blocking.
                select.select([], [self.fileno()], [])
            except OSError as error:
                self.trouble = error
        return len(content)  # type: ignore[arg-type]


class Streams:
    """Standard output and error of this process, made to last."""

    def __init__(self) -> None:
        _open_closed()
        self._output, self._error = _Lasting(OUTPUT), _Lasting(ERROR)
        sys.stdout, sys.stderr = _text(self._output, sys.stdout), _text(self._error, sys.stderr, lines=True)

    def close(self, code: int) -> int:
        """Write what is left; return the exit code, which is that of an error where results could not be shown."""
        sys.stdout.flush()
        trouble = self._output.trouble
        # A reader that has gone (`| head`) wanted no more.
        if code == 0 and trouble is not None and trouble.errno != errno.EPIPE:
            why = "it is closed" if trouble.errno == errno.EBADF else trouble.strerror
            words = f"Standard output cannot be written: {why}. Send it where there is room for it."
            print(f"lenet-bench: {words}", file=sys.stderr)
            code = LenetBenchError.exit_code
        sys.stderr.flush()
        return code


def _open_closed() -> None:
    """Put something in the place of a standard stream that is closed, lest the next file that is opened be there."""
    for descriptor in (0, OUTPUT, ERROR):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDONLY)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)


def _text(raw: _Lasting, before: TextIO | None, *, lines: bool = False) -> TextIO:
    """As the interpreter makes them; what the encoding does not have is written out (`\\u2713`)."""
    if before is not None:
        with contextlib.suppress(OSError):
            before.flush()
    encoding = getattr(before, "encoding", None) or "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=lines or raw.isatty()
    )
