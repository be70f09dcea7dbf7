"""The temporary folder of a run: gone afterwards, and after kill -9 by the next."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.runs.scratch import OWNER, PREFIX, scratch_folder

HOLDER = """
import time
from harness.runs.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "big.npy").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TMPDIR, for this process and its children."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_folder_of_a_killed_run_is_swept_and_no_other(place: Path) -> None:
    """A live run's folder stays while others come and go; killed, it goes with the next that is made."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        left = Path(process.stdout.readline().strip())
        with scratch_folder() as own:
            assert own.parent == left.parent == place
        assert list(place.iterdir()) == [left]
        assert (left / "big.npy").exists()
    finally:
        process.kill()
        process.communicate()

    with scratch_folder() as own:
        assert list(place.iterdir()) == [own]
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("moment", ["before it signed", "before it had signed all", "when all but the folder was gone"])
def test_whoever_is_killed_beside_its_work_is_swept_too(
    place: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between making the folder and locking it, and while it is deleted: a kill -9 asks for no good moment."""

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    where = {
        "before it signed": "harness.runs.scratch.os.open",
        "before it had signed all": "harness.runs.scratch.try_lock",
        "when all but the folder was gone": "pathlib.Path.rmdir",
    }[moment]
    # Which opens a file to try a place.
    tempfile.gettempdir()
    with monkeypatch.context() as patch:
        patch.setattr(where, kill)
        with pytest.raises(Killed), scratch_folder() as folder:
            (folder / "big.npy").touch()
    assert len(list(place.iterdir())) == 1

    with scratch_folder() as own:
        assert list(place.iterdir()) == [own]


def test_folder_that_is_swept_before_it_is_signed_is_made_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who sweeps takes an empty folder for one that was left: its maker makes another."""
    make, made = tempfile.mkdtemp, []

    def swept(**options: str) -> str:
        made.append(make(**options))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept)

    with scratch_folder() as folder:
        assert str(folder) == made[1]
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["unmarked", "link", "file"])
def test_what_is_not_known_to_be_dead_stays(place: Path, kind: str) -> None:
    """A folder that has something in it and no mark is not ours to judge; a link is somebody's trick."""
    other = place / "kept"
    other.mkdir()
    (other / OWNER).write_text("1")
    left = place / f"{PREFIX}left"
    if kind == "link":
        left.symlink_to(other, target_is_directory=True)
    elif kind == "file":
        left.write_text("1")
    else:
        left.mkdir()
        (left / "big.npy").touch()

    with scratch_folder():
        pass

    assert left.is_symlink() or left.exists()
    assert (other / OWNER).exists()


def test_folder_of_another_user_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared /tmp, each user sweeps after themselves."""
    left = place / f"{PREFIX}left"
    left.mkdir()
    (left / OWNER).write_text("1")
    with monkeypatch.context() as patch:
        patch.setattr("os.getuid", lambda: left.stat().st_uid + 1)
        with scratch_folder():
            pass
        assert left.exists()

    with scratch_folder():
        pass
    assert not left.exists()
