"""Reading IDX files: what is read is right, and what is broken is refused with a message that helps."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import idx
from harness.data.idx import read_idx
from harness.errors import InputError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = struct.pack(">IIII", 0x00000803, 2, 3, 4) + IMAGES.tobytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_images_and_digest_of_raw_content(tmp_path: Path, pack) -> None:
    """Plain, gzipped and xz files give the same array and the digest of the uncompressed content."""
    values, digest = read_idx(write(tmp_path / "a", pack(CONTENT)))
    np.testing.assert_array_equal(values, IMAGES, strict=True)
    assert digest == hashlib.sha256(CONTENT).hexdigest()


def test_labels_have_one_dimension(tmp_path: Path) -> None:
    """The magic number of labels gives a one-dimensional array."""
    values, _ = read_idx(write(tmp_path / "a", struct.pack(">II", 0x00000801, 3) + b"\x07\x00\x09"))
    np.testing.assert_array_equal(values, np.array([7, 0, 9], dtype=np.uint8), strict=True)


PACKED = gzip.compress(CONTENT)
HUGE = struct.pack(">IIII", 0x00000803, 2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(10)
BROKEN = {
    "truncated gzip": (PACKED[:-9], ["complete gzip or xz stream", f"after {len(PACKED) - 9} bytes"]),
    "gzip cut in its header": (PACKED[:5], ["complete gzip or xz stream"]),
    "corrupt gzip data": (PACKED[:10] + b"\xff" * 8 + PACKED[18:], ["corrupt"]),
    "wrong gzip checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], ["corrupt", "incorrect data check"]),
    "wrong magic": (b"\x00\x00\x0d\x03" + CONTENT[4:], ["0x00000803", "0x00000801", "found 0x00000d03"]),
    "web page": (b"<!DOCTYPE html><html>", ["0x00000803", "found 0x3c21444f"]),
    "empty": (b"", ["found only 0 bytes"]),
    "header cut": (CONTENT[:10], ["a header of 16 bytes", "found 10 bytes"]),
    "too short": (CONTENT[:-1], ["(2, 3, 4)", "40 bytes", "found 39"]),
    "too long": (CONTENT + b"\x00", ["(2, 3, 4)", "40 bytes", "found 40 and more"]),
    "no images of a huge shape": (CONTENT[:4] + bytes(4) + b"\xff" * 8, ["(0, 4294967295, 4294967295)"]),
    "no labels": (b"\x00\x00\x08\x01" + bytes(4), ["expected images or labels", "(0,)"]),
    "huge shape": (HUGE, ["(4294967295, 4294967295, 4294967295)", "at most 67,108,864 bytes"]),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_file_is_refused(tmp_path: Path, content: bytes, said: list[str]) -> None:
    """Each kind of broken file is refused, naming file, expected, found and what to do next."""
    path = write(tmp_path / "broken-file", content)
    with pytest.raises(InputError) as refused:
        read_idx(path)
    message = str(refused.value)
    for part in [str(path), "expected", "found", "get it again", *said]:
        assert part in message


# An empty block of deflate, not the last; a header of the largest shape that is read.
NOTHING = b"\x00\x00\x00\xff\xff"
LARGEST = struct.pack(">IIII", 0x803, 1, 1, idx.MAX_CONTENT - 16)
# Files that took from seconds to minutes, or gigabytes, by reading on and on: most are small to send.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "4 GiB of zeros": lambda: gzip.compress(LARGEST) + gzip.compress(bytes(2**24)) * 256,
    "4 GiB of zeros, xz": lambda: lzma.compress(LARGEST) + lzma.compress(bytes(2**24)) * 256,
    "a million empty streams": lambda: gzip.compress(b"") * 1_000_000 + PACKED,
    "a million empty streams, xz": lambda: lzma.compress(b"") * 1_000_000 + lzma.compress(CONTENT),
    "a name of 48 MiB": lambda: PACKED[:3] + b"\x08" + PACKED[4:10] + b"n" * (48 * 2**20) + b"\0" + PACKED[10:-9],
    "ten million empty blocks": lambda: PACKED[:10] + NOTHING * 10_000_000,
    "a file of more than may be": lambda: LARGEST + bytes(idx.MAX_CONTENT),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_file_is_bounded(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """Whatever a file unpacks to, or says of itself, it costs little memory and no minutes."""
    path = write(tmp_path / "bomb", make())
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InputError, match=r"bomb: .*expected"):
        read_idx(path)
    # It takes a second or less; `gzip` took 77 to 93 s for some of these.
    assert time.process_time() - started < 10
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 3 * idx.MAX_CONTENT


def test_plain_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds for uncompressed files as well, and the largest allowed content is read."""
    path = write(tmp_path / "a", CONTENT)
    monkeypatch.setattr(idx, "MAX_CONTENT", len(CONTENT))
    assert read_idx(path)[0].shape == (2, 3, 4)
    monkeypatch.setattr(idx, "MAX_CONTENT", len(CONTENT) - 1)
    with pytest.raises(InputError, match="at most 39 "):
        read_idx(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe (which must not be waited on) and a missing file are each refused by name."""
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path, "folder"), (tmp_path / "pipe", "pipe"), (tmp_path / "no", "No such file")):
        with pytest.raises(InputError, match=said) as refused:
            read_idx(path)
        assert str(path) in str(refused.value)
