"""The log of a worker: of a long one the end is read, and kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness.runs.worker_log import LINES, MOST_BYTES, TAIL_BYTES, WorkerLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[WorkerLog]:
    """An empty log."""
    made = WorkerLog(tmp_path / "log.txt")
    yield made
    made.close()


def test_end_of_a_gigabyte_is_read_and_nothing_else(log: WorkerLog) -> None:
    """Not even where it is one line: the harness does not grow."""
    os.ftruncate(log.descriptor, 1 << 30)
    os.write(log.descriptor, b"\nlast words\n")
    before = psutil.Process().memory_info().rss

    assert log.end().splitlines()[-1] == "last words"
    assert psutil.Process().memory_info().rss - before < 8 << 20


def test_long_log_is_cut_to_its_end(log: WorkerLog, tmp_path: Path) -> None:
    """What was cut is said; whoever writes goes on behind what is left."""
    os.ftruncate(log.descriptor, MOST_BYTES)
    os.write(log.descriptor, b"\nbefore\n")
    log.keep_short()
    os.write(log.descriptor, b"after\n")

    content = (tmp_path / "log.txt").read_bytes()
    assert content.startswith(b"[%d bytes before this were cut]\n" % (MOST_BYTES + 8 - TAIL_BYTES))
    assert content.endswith(b"\nbefore\nafter\n")
    assert len(content) < 2 * TAIL_BYTES


def test_short_log_is_left_alone(log: WorkerLog, tmp_path: Path) -> None:
    """As it was written."""
    os.write(log.descriptor, b"a\nb\n")
    log.keep_short()

    assert (tmp_path / "log.txt").read_bytes() == b"a\nb\n"
    assert log.end() == "a\nb"


def test_end_is_fit_for_a_terminal(log: WorkerLog) -> None:
    """Bytes that are no text, and what a terminal would obey, are written out; lines are few, and not endless."""
    os.write(log.descriptor, b"x\n" * 100 + b"\xff\x1b[31m" + b"y" * 10_000)

    lines = log.end().splitlines()
    assert len(lines) == LINES
    assert lines[-1].startswith("\\xff\\x1b[31my")
    assert len(lines[-1]) < 600


def test_full_disk_is_named(log: WorkerLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder, and what to do."""
    assert log.disk() == ""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))

    assert log.disk() == f" The disk of {tmp_path} is full (this log has 0 bytes): set TMPDIR to a larger one."
