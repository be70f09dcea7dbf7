"""The lock of a run folder: processes that hold it, wait, are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.results.lock import NAME, FolderLock

HOLDER = """
import sys, time
from pathlib import Path
from harness.results.lock import FolderLock
with FolderLock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(60)
"""


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Another process that has the lock; it is to be killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_is_told_who_holds_it(tmp_path: Path) -> None:
    """While another process has the lock nobody else gets it; after kill -9 the next has it at once."""
    process = hold_elsewhere(tmp_path)
    try:
        held = rf"being written by another lenet-bench \(process {process.pid}, since 20\d\d-.*\)\. Wait"
        with pytest.raises(InputError, match=held), FolderLock(tmp_path).hold():
            pass
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / NAME).exists()

    with FolderLock(tmp_path).hold():
        pass
    assert not (tmp_path / NAME).exists()


def test_holder_may_hold_it_again(tmp_path: Path) -> None:
    """Nested within the same object it is held until the outermost ends; another object of the process is refused."""
    lock = FolderLock(tmp_path)
    with lock.hold():
        with lock.hold():
            pass
        with pytest.raises(InputError, match=f"process {os.getpid()}"), FolderLock(tmp_path).hold():
            pass
    with FolderLock(tmp_path).hold():
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\0" * 2000])
def test_unreadable_holder_is_no_traceback(tmp_path: Path, text: str) -> None:
    """What the holder has not written yet, or somebody else has, is told as not known."""
    with FolderLock(tmp_path).hold():
        (tmp_path / NAME).write_text(text)
        with pytest.raises(InputError, match="it has only just begun"), FolderLock(tmp_path).hold():
            pass


def test_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    """There is nothing to lock."""
    with (
        pytest.raises(InputError, match=r"Cannot write into .*gone: No such file"),
        FolderLock(tmp_path / "gone").hold(),
    ):
        pass
