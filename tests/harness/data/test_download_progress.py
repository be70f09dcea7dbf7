"""How far a download is: a bar on a terminal, lines in a log, of a quick one nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.data import download as module
from tests.harness.data.mirrors import GOOD, NAME, drips, get, sends


def test_progress_only_on_slow_terminals(serve, tmp_path: Path, monkeypatch, capsys) -> None:
    """A bar is drawn on stderr where it is a terminal and the download is slow; otherwise nothing is."""
    get(tmp_path / "quick", serve(sends(GOOD)).url)
    monkeypatch.setattr(module, "_PROGRESS_AFTER", -1.0)
    get(tmp_path / "no terminal", serve(sends(GOOD)).url)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    get(tmp_path / "terminal", serve(sends(GOOD)).url)
    out, err = capsys.readouterr()
    assert out == ""
    assert NAME in err


@pytest.mark.parametrize("told", [True, False])
def test_progress_shows_the_size(serve, tmp_path: Path, monkeypatch, capsys, told: bool) -> None:
    """Of how many bytes, where the mirror says how many there are."""
    for name, value in (("_PROGRESS_AFTER", -1.0), ("_LOOK", 0.01)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    header = b"Content-Length: %d\r\n" % len(GOOD) if told else b""

    get(tmp_path, serve(drips([b"HTTP/1.0 200 OK\r\n" + header + b"\r\n", GOOD[:9], GOOD[9:]], then_s=0.2)).url)
    assert (f"/{len(GOOD)} bytes" if told else "/? bytes") in capsys.readouterr().err


def test_progress_beyond_the_size_shows_none(monkeypatch, capsys) -> None:
    """A mirror that packs what it sends says how long that is, not the file."""
    monkeypatch.setattr(module, "_PROGRESS_AFTER", -1.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = module._Bar(NAME, print)

    bar.show(10, of=45)
    bar.show(50, of=45)
    bar.close()
    assert "50/? bytes" in capsys.readouterr().err


def test_slow_download_has_lines_in_a_log(monkeypatch) -> None:
    """Without a terminal: after a second how much there is of how much, then now and then; of a quick one nothing."""
    now, said = [100.0], []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    bar = module._Bar(NAME, said.append)
    for second in range(25):
        bar.show(second << 20, of=170 << 20)
        assert len(said) == (0 if second <= 1 else 1 + (second - 2) // 11), second
        now[0] += 1
    bar.close()

    assert said[0] == f"Downloading {NAME}: 2.0 of 170.0 MiB after 2 s."
