"""Writing files: whole or not at all, whatever the text has in it, and a sentence where the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import platformdirs
import pytest

from harness.errors import InputError, LenetBenchError
from harness.files import user_folder, write_text_atomically


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
