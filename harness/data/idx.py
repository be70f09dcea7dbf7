"""Read IDX files, the format that MNIST and Fashion-MNIST come in, gzipped, xz or plain.

Format (http://yann.lecun.com/exdb/mnist/, "FILE FORMATS FOR THE MNIST DATABASE"): two zero bytes,
a type byte (0x08: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer,
the values. Files come from the network, so nothing in a header is believed: what it declares is refused where it is too
much, and no more than that is unpacked. A file takes at most three times MAX_CONTENT of memory, and a second.
"""

from __future__ import annotations

import hashlib
import lzma
import math
import stat
import zlib
from pathlib import Path

import numpy as np

from harness.data.unpacking import Content, TooLarge
from harness.errors import InputError

MAX_CONTENT = 64 * 2**20  # bytes, packed and unpacked; the largest file of these data sets has 47,040,016
_DIMENSIONS = {0x00000803: 3, 0x00000801: 1}  # magic number: dimensions that follow it
NEXT = "Delete the file and get it again, or point LENET_BENCH_DATA at a folder with a good copy."


def read_idx(path: Path) -> tuple[np.ndarray, str]:
    """Read one IDX file of unsigned bytes.

    Args:
        path: a regular file, gzipped, xz or plain (told apart by content, not by name).

    Returns:
        The values, uint8 in the header's shape ((n, rows, columns) or (n,)), and the SHA-256, in hex, of the
        whole uncompressed content, header included.

    Raises:
        InputError: not a readable regular file, damaged packing, more than `MAX_CONTENT` bytes of it or of content, an
            unknown magic number, no values, or a content length that is not what the header declares.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait forever
            raise InputError(f"{path}: expected a regular file; found a folder, pipe or device. {NEXT}")
        with path.open("rb") as file:
            return _read(path, Content(file, most=MAX_CONTENT))
    except EOFError as error:
        raise InputError(
            f"{path}: expected a complete gzip or xz stream; found its end missing after {path.stat().st_size:,} "
            f"bytes (an interrupted download?). {NEXT}"
        ) from error
    except TooLarge as error:
        raise InputError(f"{path}: expected at most {MAX_CONTENT:,} bytes; found {error}. {NEXT}") from error
    except (zlib.error, lzma.LZMAError, MemoryError) as error:
        reason = str(error) or "it wants too much memory"
        raise InputError(f"{path}: expected a gzip or xz stream; found a corrupt one ({reason}). {NEXT}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: expected a readable file; found: {reason}. {NEXT}") from error


def _read(path: Path, content: Content) -> tuple[np.ndarray, str]:
    """Read the header, then so many values as it declares, and make sure that there are no more."""
    shape, header = _header(path, content)
    if not math.prod(shape):
        # No content is then as long as declared, however large the other numbers are: NumPy makes no such array.
        raise InputError(f"{path}: expected images or labels; found a header that declares the shape {shape}. {NEXT}")
    # Python integers: a huge declared shape is compared, never allocated, and cannot overflow.
    expected = len(header) + math.prod(shape)
    if expected > MAX_CONTENT:
        raise InputError(
            f"{path}: expected at most {MAX_CONTENT:,} bytes of content; found a header that declares the shape "
            f"{shape}. {NEXT}"
        )
    declared = f"the header declares the shape {shape}, so {expected:,} bytes of content were expected"
    values = content.read(math.prod(shape))
    found = len(header) + len(values)
    if found < expected or content.read(1):
        raise InputError(f"{path}: {declared}; found {found:,}{' and more' if found == expected else ''}. {NEXT}")
    running = hashlib.sha256(header)
    running.update(values)
    return np.frombuffer(values, dtype=np.uint8).reshape(shape), running.hexdigest()


def _header(path: Path, content: Content) -> tuple[tuple[int, ...], bytes]:
    """Return the shape that the header declares, and the header itself."""
    start = content.read(4)
    magic = int.from_bytes(start, "big")
    if len(start) < 4 or magic not in _DIMENSIONS:
        found = f"0x{magic:08x}" if len(start) >= 4 else f"only {len(start)} bytes"
        raise InputError(
            f"{path}: expected the magic number 0x00000803 (images) or 0x00000801 (labels); found {found}. {NEXT}"
        )
    header = start + content.read(4 * _DIMENSIONS[magic])
    wanted = 4 + 4 * _DIMENSIONS[magic]
    if len(header) < wanted:
        raise InputError(f"{path}: expected a header of {wanted} bytes; found {len(header)} bytes. {NEXT}")
    return tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, wanted, 4)), header
