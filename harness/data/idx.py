"""Read IDX files, the format that MNIST and Fashion-MNIST come in, gzipped or plain.

Format (http://yann.lecun.com/exdb/mnist/, "FILE FORMATS FOR THE MNIST DATABASE"): two zero bytes,
a type byte (0x08: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer,
the values. Files come from the network, so nothing in a header is believed.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from harness.errors import InputError

MAX_CONTENT = 128 * 2**20  # bytes; the largest file of these data sets has 47,040,016
_CHUNK = 2**20
_DIMENSIONS = {0x00000803: 3, 0x00000801: 1}  # magic number: dimensions that follow it
NEXT = "Delete the file and get it again, or point LENET_BENCH_DATA at a folder with a good copy."


def read_idx(path: Path) -> tuple[np.ndarray, str]:
    """Read one IDX file of unsigned bytes.

    Args:
        path: a regular file, gzipped or plain (told apart by content, not by name).

    Returns:
        The values, uint8 in the header's shape ((n, rows, columns) or (n,)), and the SHA-256, in hex, of the
        whole uncompressed content, header included.

    Raises:
        InputError: not a readable regular file, broken gzip, more than `MAX_CONTENT` bytes of content, an
            unknown magic number, or a content length that is not what the header declares.
    """
    content = _content(path)
    shape, header = _shape(path, content)
    # Python integers: a huge declared shape is compared, never allocated, and cannot overflow.
    expected, found = header + math.prod(shape), len(content)
    if expected != found:
        raise InputError(
            f"{path}: the header declares the shape {shape}, so {expected:,} bytes of content were expected; "
            f"found {found:,}. {NEXT}"
        )
    values = np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
    return values, hashlib.sha256(content).hexdigest()


def _content(path: Path) -> bytes:
    """Return the uncompressed content of a file, at most `MAX_CONTENT` bytes of it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait forever
            raise InputError(f"{path}: expected a regular file; found a folder, pipe or device. {NEXT}")
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not gzipped:
                return _bounded(path, file)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _bounded(path, cast("BinaryIO", unpacked))
    except EOFError as error:
        raise InputError(
            f"{path}: expected a complete gzip stream; found its end missing after {path.stat().st_size:,} "
            f"bytes (an interrupted download?). {NEXT}"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: expected a gzip stream; found a corrupt one ({error}). {NEXT}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: expected a readable file; found: {reason}. {NEXT}") from error


def _bounded(path: Path, stream: BinaryIO) -> bytes:
    """Read a stream to its end, refusing more than `MAX_CONTENT` bytes, so that a gzip bomb does no harm."""
    content = bytearray()
    while piece := stream.read(_CHUNK):
        content += piece
        if len(content) > MAX_CONTENT:
            raise InputError(f"{path}: expected at most {MAX_CONTENT:,} bytes; found more. {NEXT}")
    return bytes(content)


def _shape(path: Path, content: bytes) -> tuple[tuple[int, ...], int]:
    """Return the shape that the header declares, and the header's length in bytes."""
    magic = int.from_bytes(content[:4], "big")
    if len(content) < 4 or magic not in _DIMENSIONS:
        found = f"0x{magic:08x}" if len(content) >= 4 else f"only {len(content)} bytes"
        raise InputError(
            f"{path}: expected the magic number 0x00000803 (images) or 0x00000801 (labels); found {found}. {NEXT}"
        )
    header = 4 + 4 * _DIMENSIONS[magic]
    if len(content) < header:
        raise InputError(f"{path}: expected a header of {header} bytes; found {len(content)} bytes. {NEXT}")
    return tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4)), header
