"""The resident set of this very process."""

from __future__ import annotations

import mmap

import pytest

from harness.worker.memory import peak_rss_bytes, rss_bytes


def test_resident_set_is_of_now_and_in_bytes() -> None:
    """64 MiB that are written to are found, and are gone again; the largest so far has them still."""
    size = 64 * 2**20
    before = rss_bytes()
    with mmap.mmap(-1, size) as memory:
        memory.write(b"1" * size)
        during, peak = rss_bytes(), peak_rss_bytes()

    assert during - before == pytest.approx(size, rel=0.1)
    assert rss_bytes() - before < size / 2
    assert peak_rss_bytes() >= peak > before + 0.9 * size
