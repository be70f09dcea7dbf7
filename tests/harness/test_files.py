"""Writing files: whole or not at all, whatever the text has in it; what killed writers leave, what live ones keep."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from harness import files
from harness.errors import InputError, LenetBenchError
from harness.files import PARTIAL, user_folder, write_text_atomically

# Writes a file, and stands still before the rename until it is killed.
STANDING = """
import os, sys, time
from pathlib import Path
from harness import files
def stand(*_):
    print("standing", flush=True)
    time.sleep(60)
os.replace = stand
files.write_text_atomically(Path(sys.argv[1]), "half")
"""


def partial(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name.endswith(PARTIAL)]


def test_text_that_is_no_utf8_is_written(tmp_path: Path) -> None:
    """A byte of a file's name that is no text does not cost the file."""
    write_text_atomically(tmp_path / "x", "caf\udce9\n")

    assert (tmp_path / "x").read_text() == "caf\\udce9\n"


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, 3), (errno.EFBIG, 3), (errno.EACCES, 2)])
def test_failed_write_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: int
) -> None:
    """A full disk is no bad input; whatever it is, the old file stays, and nothing beside it."""

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "x").write_text("old")
    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(LenetBenchError, match=f"Cannot write {tmp_path}/x: {os.strerror(number)}") as caught:
        write_text_atomically(tmp_path / "x", "new")

    assert caught.value.exit_code == kind
    assert isinstance(caught.value, InputError) == (kind == 2)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


def test_user_without_a_home_has_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container nobody may know the user's number."""

    def nowhere(name: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_dir", nowhere)

    assert user_folder("cache").is_absolute()
    assert str(os.getuid()) in str(user_folder("cache"))


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """A live writer's file stays, a dead one's goes, a file that only looks so stays: the content is the last one's."""
    path = tmp_path / "blocks.csv"
    process = subprocess.Popen([sys.executable, "-c", STANDING, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "standing\n"
        (left,) = partial(tmp_path)
        write_text_atomically(path, "first")
        assert partial(tmp_path) == [left]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (tmp_path / ".blocks.csv.swp").touch()
    (tmp_path / f".other.csv.x{PARTIAL}").touch()

    write_text_atomically(path, "second")

    assert not left.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".blocks.csv.swp",
        f".other.csv.x{PARTIAL}",
        "blocks.csv",
    ]
    assert path.read_text() == "second"


def test_file_taken_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sweeps between the making of a file and its lock: another is made, and nothing is missed."""
    taken = []

    def sweep_first(opened: int) -> bool:
        if not taken:
            taken.extend(partial(tmp_path))
            taken[0].unlink()
        return True

    monkeypatch.setattr(files, "try_lock", sweep_first)
    write_text_atomically(tmp_path / "a.csv", "content")

    assert len(taken) == 1
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.csv", "content")]


def test_rename_is_flushed_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is flushed after the rename: without that, a power cut may bring the old file back."""
    done = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    monkeypatch.setattr(
        os,
        "fsync",
        lambda opened: (done.append("folder" if os.path.isdir(f"/proc/self/fd/{opened}") else "file"), fsync(opened)),
    )
    write_text_atomically(tmp_path / "a.csv", "content")

    assert done == ["file", "rename", "folder"]


ADDING = """
import sys, time
from pathlib import Path
from harness import files
path = Path(sys.argv[1])
for _ in range(20):
    with files.alone_in(path.parent):
        lines = path.read_text() if path.exists() else ""
        files.write_text_atomically(path, lines + sys.argv[2] + chr(10))
"""


def test_nobody_writes_over_what_another_adds(tmp_path: Path) -> None:
    """Two processes that read a file and write it with a line more: no line is lost."""
    path = tmp_path / "rows.csv"
    processes = [subprocess.Popen([sys.executable, "-c", ADDING, str(path), name]) for name in "ab"]

    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert sorted(path.read_text().split()) == ["a"] * 20 + ["b"] * 20
