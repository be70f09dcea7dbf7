"""Read a few files out of a tar archive, plain, gzipped or xz, into memory; nothing is ever written to the disk.

Format (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html, "ustar Interchange Format"): before each
file a header of one block (512 bytes), after it zeros up to a whole block; a block of zeros ends the archive.

Archives come from the network, so nothing in a header is believed, and what a good archive has no reason to hold is
refused. They are not read by `tarfile`: in Pythons that are still in use, a hostile archive can keep it busy for as
long as it likes (https://github.com/python/cpython/issues/121285, https://github.com/python/cpython/issues/130577).
What is read here of a header is a name, a type and a size; extended headers are skipped. An archive takes the memory of
the files that are wanted, and `harness.data.unpacking.XZ_MEMORY`, whatever is in it.
"""

from __future__ import annotations

import lzma
import re
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from harness.data.idx import NEXT
from harness.data.unpacking import Content, TooLarge
from harness.errors import InputError

MAX_CONTENT = 256 * 2**20  # bytes of an archive, packed and unpacked; the six files of CIFAR-10 have 184,380,000
MAX_MEMBERS = 1000  # headers, extended ones too; that of CIFAR-10 has nine
BLOCK = 512
_CHUNK = 2**20
_REGULAR = (b"0", b"\0", b"7")  # the second is of old archives, the third means "contiguous", which nobody has made
_EXTENDED = (b"x", b"g", b"X", b"L", b"K")  # facts about the next file, under whose name they may go
_WITHOUT_CONTENT = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
}


class _Member(NamedTuple):
    """One header: a path inside the archive, the type's letter, bytes of content as declared."""

    name: str
    kind: bytes
    size: int


def read_archive(path: Path, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Return the contents of some files of an archive, whichever folder inside it they are in.

    Args:
        path: a regular file, gzipped, xz or plain (told apart by content, not by name).
        sizes: name of each file that is wanted, without folders -> the bytes that it must have.

    Raises:
        InputError: not such an archive, or a broken one, one of more than `MAX_CONTENT` bytes, one with paths that
            lead out of it, or one where a wanted file is missing, there twice, no regular file or of another size.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait forever
            raise InputError(f"{path}: expected a regular file; found a folder, pipe or device. {NEXT}")
        with path.open("rb") as file:
            found = _Reader(path, Content(file, most=MAX_CONTENT), sizes).files()
    except EOFError as error:
        raise InputError(
            f"{path}: expected a complete archive; found its end missing after {path.stat().st_size:,} bytes "
            f"(an interrupted download?). {NEXT}"
        ) from error
    except TooLarge as error:
        raise InputError(f"{path}: expected at most {MAX_CONTENT:,} bytes; found {error}. {NEXT}") from error
    except (lzma.LZMAError, zlib.error, MemoryError) as error:
        reason = str(error) or "it wants too much memory"
        raise InputError(f"{path}: expected an archive; found a corrupt one ({reason}). {NEXT}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: expected a readable file; found: {reason}. {NEXT}") from error
    missing = [name for name in sizes if name not in found]
    if missing:
        raise InputError(f"{path}: expected {len(sizes)} files in it; found it without {', '.join(missing)}. {NEXT}")
    return found


class _Reader:
    """Goes through an archive once, from its start to its end."""

    def __init__(self, path: Path, stream: Content, sizes: Mapping[str, int]) -> None:
        self._path, self._stream, self._sizes = path, stream, sizes
        self._left, self._members = MAX_CONTENT, 0

    def files(self) -> dict[str, bytes]:
        """Return the files that are wanted and there; the whole archive is looked at, for one that is there twice."""
        found: dict[str, bytes] = {}
        while any(header := self._read(BLOCK)):
            self._members += 1
            if self._members > MAX_MEMBERS:
                raise InputError(f"{self._path}: expected at most {MAX_MEMBERS:,} files in it; found more. {NEXT}")
            member = self._member(header)
            padding = -member.size % BLOCK
            if member.kind in _EXTENDED:
                self._skip(member.size + padding)
                continue
            self._check_path(member)
            name = member.name.rpartition("/")[2]
            if name in self._sizes:
                self._check(member, self._sizes[name], again=name in found)
                found[name] = self._read(member.size)
                self._skip(padding)
            elif member.kind not in _WITHOUT_CONTENT:
                self._skip(member.size + padding)
        return found

    def _read(self, size: int) -> bytes:
        """Read exactly so many bytes of content; raises EOFError where there are fewer."""
        self._check_left(size)
        self._left -= size
        content = self._stream.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def _skip(self, size: int) -> None:
        """Read content that nobody wants, never much of it at once."""
        self._check_left(size)
        while size:
            size -= len(self._read(min(size, _CHUNK)))

    def _check_left(self, size: int) -> None:
        if size > self._left:
            raise InputError(f"{self._path}: expected at most {MAX_CONTENT:,} bytes of content; found more. {NEXT}")

    def _member(self, header: bytes) -> _Member:
        """Take a header apart."""
        size, checksum = _number(header[124:136]), _number(header[148:156])
        if size is None or checksum != sum(header[:148]) + sum(b" " * 8) + sum(header[156:]):
            raise InputError(f"{self._path}: expected a tar archive; found no header of one where one belongs. {NEXT}")
        # Only this magic says that a long path continues here; GNU tar has times in this place.
        folder = header[345:500] if header[257:263] == b"ustar\0" else b""
        parts = [part.partition(b"\0")[0] for part in (folder, header[:100])]
        name = b"/".join(part for part in parts if part).decode("utf-8", "backslashreplace")
        return _Member(name.rstrip("/"), header[156:157], size)

    def _check_path(self, member: _Member) -> None:
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise InputError(
                f"{self._path}: expected paths inside the archive; found {member.name!r}, which leads out of it. {NEXT}"
            )

    def _check(self, member: _Member, size: int, *, again: bool) -> None:
        """Refuse a wanted file that is there twice, no regular file or of another size, before it is read."""
        if again:
            raise InputError(f"{self._path}: expected {member.name!r} in it once; found it twice. {NEXT}")
        if member.kind not in _REGULAR:
            kind = _WITHOUT_CONTENT.get(member.kind, f"the type {member.kind.decode('latin-1')!r}")
            raise InputError(f"{self._path}: expected {member.name!r} to be a regular file; found {kind}. {NEXT}")
        if member.size != size:
            raise InputError(
                f"{self._path}: expected {member.name!r} to have {size:,} bytes; found {member.size:,}. {NEXT}"
            )


def _number(field: bytes) -> int | None:
    """Read a number of a header: octal digits, or from 8 GiB up a binary number; None where it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    octal = re.fullmatch(rb" *([0-7]+)[ \0]*", field)
    return int(octal[1], 8) if octal else None
