"""Unpack gzip and xz, or read a plain file, within bounds that nothing in the file can move.

Files come from the network. Output is bounded by whoever reads: no more is unpacked than is asked for. Input is bounded
here, in bytes and in streams, because a file may hold millions of empty streams one after the other, or a name of
megabytes in its header, which `gzip.GzipFile` reads byte by byte (77 to 93 s for one such file of 48 MiB). What is done
for each byte is done in C, by zlib and liblzma.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO

# `pigz` and `bgzip` write a stream for each block of at least 64 KiB: of 256 MiB, no more than these.
MAX_STREAMS = 4096
# Bytes that unpacking xz may take; `xz -9` asks for 65 MiB of them.
XZ_MEMORY = 128 * 2**20
_CHUNK = 2**18
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\0"
# zlib's number for "gzip, with the largest window".
_GZIP_WINDOW = 31


class TooLarge(Exception):
    """The file is larger than it may be, or in more pieces; the message is the end of a sentence: `found ...`."""


class _Gzip:
    """zlib's, with the interface that liblzma's has: what has not been used is kept."""

    def __init__(self) -> None:
        self._engine, self._left = zlib.decompressobj(_GZIP_WINDOW), b""

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._left

    def decompress(self, more: bytes, size: int) -> bytes:
        found = self._engine.decompress(self._left + more, size)
        self._left = self._engine.unconsumed_tail
        return found


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


class Content:
    """The content of a file, packed or not, told apart by its first bytes and not by its name.

    Every method raises EOFError where a packed stream ends before its end, zlib.error or lzma.LZMAError where it is
    damaged or asks for more than `XZ_MEMORY`, and TooLarge where the file is longer than `most` or in more than
    `MAX_STREAMS` streams.
    """

    def __init__(self, file: BinaryIO, *, most: int) -> None:
        """
        Args:
            file: open for reading, at its start.
            most: bytes of the file itself that are read at all.
        """
        self._file, self._most, self._read_in, self._streams = file, most, 0, 0
        start = self._more(len(_XZ))
        self._make: Callable[[], _Gzip | lzma.LZMADecompressor] | None = None
        if start.startswith(_GZIP) or start == _XZ:
            self._make = _xz if start == _XZ else _Gzip
        self._waiting = start
        self._engine: _Gzip | lzma.LZMADecompressor | None = None

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only where the content ends. Never takes more memory than twice that, and 1 MiB."""
        found = bytearray()
        while len(found) < size and (piece := self._some(size - len(found))):
            found += piece
        return bytes(found)

    def _some(self, size: int) -> bytes:
        """At least one byte, unless the content is at its end."""
        if self._make is None:
            piece = self._waiting[:size] or self._more(min(size, _CHUNK))
            self._waiting = self._waiting[size:]
            return piece
        while self._begun():
            assert self._engine is not None
            had = not self._engine.needs_input
            more = b"" if had else (self._taken() or self._more(_CHUNK))
            piece = self._engine.decompress(more, size)
            if piece:
                return piece
            if not (had or more or self._engine.eof):
                raise EOFError
        return b""

    def _begun(self) -> bool:
        """Begin the next stream where the one before has ended; False where there is none."""
        assert self._make is not None
        if self._engine is not None and not self._engine.eof:
            return True
        rest = self._engine.unused_data if self._engine is not None else self._taken()
        # Both forms may be padded with zeros.
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._more(_CHUNK)):
                return False
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise TooLarge(f"more than {MAX_STREAMS:,} streams one after the other")
        self._engine, self._waiting = self._make(), rest
        return True

    def _taken(self) -> bytes:
        waiting, self._waiting = self._waiting, b""
        return waiting

    def _more(self, size: int) -> bytes:
        piece = self._file.read(size)
        self._read_in += len(piece)
        if self._read_in > self._most:
            raise TooLarge(f"a file of more than {self._most:,} bytes")
        return piece
