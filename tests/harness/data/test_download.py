"""Downloads, against real HTTP servers on this machine: mirrors, retries, checks, locks, leftovers."""

from __future__ import annotations

import os
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from harness.data import download as module
from harness.data.download import MIRRORS, Unreachable, mirrors_of
from tests.harness.data.mirrors import GOOD, NAME, closed_port, drips, fails, files, get, sends


def test_first_mirror_is_used(serve, tmp_path: Path) -> None:
    """The first mirror delivers, the second is left alone, and one line says so."""
    first, second = serve(sends(GOOD)), serve(sends(GOOD))
    used, said = get(tmp_path / "new" / "folder", first.url, second.url)
    assert (used, first.gets, second.gets) == (first.url, 1, 0)
    assert (tmp_path / "new" / "folder" / NAME).read_bytes() == GOOD
    assert files(tmp_path / "new" / "folder") == {NAME}
    assert len(said) == 1
    assert NAME in said[0]
    assert first.url in said[0]


def test_missing_on_first_mirror(serve, tmp_path: Path) -> None:
    """A 404 is not tried again; the second mirror delivers."""
    first, second = serve(fails(404)), serve(sends(GOOD))
    used, _ = get(tmp_path, first.url, second.url)
    assert (used, first.gets, second.gets) == (second.url, 1, 1)
    assert (tmp_path / NAME).read_bytes() == GOOD


def test_mirror_that_recovers(serve, tmp_path: Path) -> None:
    """A server error is tried again, three times in all, on the same mirror."""
    answers = [fails(503), fails(503), sends(GOOD)]
    server = serve(lambda handler: answers.pop(0)(handler))
    assert get(tmp_path, server.url, closed_port())[0] == server.url
    assert server.gets == 3


def test_truncated_body(serve, tmp_path: Path) -> None:
    """A connection that ends early is tried three times, then the second mirror delivers; no part is left."""
    first, second = serve(sends(GOOD[:-9], declared=len(GOOD))), serve(sends(GOOD))
    used, _ = get(tmp_path, first.url, second.url)
    assert (used, first.gets) == (second.url, 3)
    assert files(tmp_path) == {NAME}


@pytest.mark.parametrize("body", [GOOD[:-9], b"<html>log in to the hotel's network</html>"], ids=["cut", "page"])
def test_wrong_content_is_never_kept(serve, tmp_path: Path, body: bytes) -> None:
    """A whole body that fails the check is refused with a line for each mirror, and not cached."""
    first, second = serve(sends(body)), serve(sends(body))
    with pytest.raises(Unreachable) as failed:
        get(tmp_path, first.url, second.url)
    lines = str(failed.value).splitlines()
    assert len(lines) == 3
    assert "Delete" not in str(failed.value)
    assert all(f"{s.url}{NAME}: refused what it sent: expected" in line for s, line in zip((first, second), lines[1:]))
    assert files(tmp_path) == set()
    assert first.gets == second.gets == 1


def test_check_runs_before_the_file_is_in_place(serve, tmp_path: Path) -> None:
    """While the check looks at the download, the destination does not exist yet."""
    seen = []
    get(tmp_path, serve(sends(GOOD)).url, check=lambda path: seen.append((path.read_bytes(), files(tmp_path))))
    assert [content for content, _ in seen] == [GOOD]
    assert NAME not in seen[0][1]


def test_all_mirrors_down(serve, tmp_path: Path) -> None:
    """When nothing answers, the error lists each mirror with its own reason, soon."""
    mirrors = (closed_port(), closed_port())
    started = time.monotonic()
    with pytest.raises(Unreachable) as failed:
        get(tmp_path, *mirrors)
    assert time.monotonic() - started < 5
    first, *lines = str(failed.value).splitlines()
    assert NAME in first
    assert len(lines) == 2
    for mirror, line in zip(mirrors, lines):
        assert f"{mirror}{NAME}: " in line
        assert "refused" in line
    assert failed.value.exit_code == 2
    assert files(tmp_path) == set()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD)
SLOW = {
    "no header": [],
    "a header a byte at a time": [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99],
    "a body a byte at a time": [HEAD, *(bytes([byte]) for byte in GOOD * 99)],
    "headers without end": [b"HTTP/1.1 200 OK\r\n", *(b"X: y\r\n" for _ in range(99))],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW.keys())
def test_slow_mirror_is_left_for_the_next(serve, tmp_path: Path, monkeypatch, pieces: list[bytes]) -> None:
    """A mirror that sends too little to ever end is given up once, in time, and the second delivers."""
    monkeypatch.setattr(module, "_WINDOW", 0.8)
    first, second = serve(drips(pieces)), serve(sends(GOOD))
    started = time.monotonic()
    used, _ = get(tmp_path, first.url, second.url)
    assert (used, first.gets) == (second.url, 1)
    assert time.monotonic() - started < 20
    assert files(tmp_path) == {NAME}


def test_slow_mirror_is_named(serve, tmp_path: Path, monkeypatch) -> None:
    """What it sent in which time, or how long it was given in all."""
    monkeypatch.setattr(module, "_WINDOW", 0.8)
    with pytest.raises(Unreachable, match=r"too slow: [\d,]+ bytes in \d+ s"):
        get(tmp_path, serve(drips(SLOW["a body a byte at a time"])).url)
    monkeypatch.setattr(module, "_WINDOW", 60)
    monkeypatch.setattr(module, "_DEADLINE", 0.8)
    with pytest.raises(Unreachable, match=r"not done after 1 s \([\d,]+ bytes\)"):
        get(tmp_path, serve(drips(SLOW["a body a byte at a time"])).url)
    assert files(tmp_path) == set()


def test_who_waits_is_told_whom_for(serve, tmp_path: Path, monkeypatch) -> None:
    """The process that downloads, and again after a while; who waits too long is told whom to end."""
    monkeypatch.setattr(module, "_TELL_AGAIN", 0.2)
    server = serve(lambda handler: (time.sleep(1.5), sends(GOOD)(handler)))
    first = threading.Thread(target=lambda: get(tmp_path, server.url))
    first.start()
    while not server.gets:
        time.sleep(0.01)
    _, said = get(tmp_path, server.url)
    first.join()
    assert len(said) > 1
    assert f"(process {os.getpid()}, since " in said[0]

    server.gets = 0
    first = threading.Thread(target=lambda: get(tmp_path / "2", server.url))
    first.start()
    while not server.gets:
        time.sleep(0.01)
    monkeypatch.setattr(module, "_LOCK_WAIT", 0.1)
    with pytest.raises(Unreachable, match=rf"Another process \(process {os.getpid()}, since .*end it"):
        get(tmp_path / "2", server.url)
    first.join()


def test_going_on_after_a_failure(serve, tmp_path: Path) -> None:
    """After all mirrors failed, and with a part left by a process that was killed, the next call works."""
    with pytest.raises(Unreachable):
        get(tmp_path, serve(fails(404)).url)
    (tmp_path / f".{NAME}.abc123.part").write_bytes(GOOD[:7])
    assert get(tmp_path, serve(sends(GOOD)).url)[0]
    assert files(tmp_path) == {NAME}


def test_file_that_is_there_is_not_downloaded(serve, tmp_path: Path) -> None:
    """A file that another process has put in place meanwhile is kept, and no mirror is asked."""
    (tmp_path / NAME).write_bytes(b"there")
    server = serve(sends(GOOD))
    assert get(tmp_path, server.url) == ("", [])
    assert server.gets == 0
    assert (tmp_path / NAME).read_bytes() == b"there"


def test_interrupt_leaves_nothing(serve, tmp_path: Path) -> None:
    """Ctrl-C during a download passes through, and neither the file nor a part is left."""

    def interrupt(path: Path) -> None:
        assert path.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(tmp_path, serve(sends(GOOD)).url, check=interrupt)
    assert files(tmp_path) == set()
    assert get(tmp_path, serve(sends(GOOD)).url)[0], "the lock was released"


def test_endless_body_is_cut(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that sends more than the bound is given up, whatever it declares."""
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(Unreachable, match="sent more than 1,000 bytes"):
        get(tmp_path, serve(sends(bytes(200_000))).url)
    assert files(tmp_path) == set()


def test_concurrent_downloads_fetch_once(serve, tmp_path: Path) -> None:
    """Of several runs at once one downloads, the others wait for it and find the file."""

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.5)
        sends(GOOD)(handler)

    server = serve(slowly)
    results: list[tuple[str, list[str]]] = []
    threads = [threading.Thread(target=lambda: results.append(get(tmp_path, server.url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.gets == 1
    assert sorted(used for used, _ in results) == ["", "", server.url]
    assert sum("Another process is downloading" in line for _, said in results for line in said) == 2


def test_folder_that_cannot_be_written(serve, tmp_path: Path) -> None:
    """A cache whose place is taken by a file is reported with what to set."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match=r"Cannot write to the cache .*LENET_BENCH_CACHE"):
        get(tmp_path / "file" / "mnist", serve(sends(GOOD)).url)


def test_mirror_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 has its own site, the others two mirrors and more; LENET_BENCH_MIRRORS replaces them."""
    monkeypatch.delenv("LENET_BENCH_MIRRORS", raising=False)
    for name in ("mnist", "fashion-mnist"):
        assert mirrors_of(name) == MIRRORS[name]
        assert len(MIRRORS[name]) >= 2
        assert all(mirror.endswith("/") for mirror in MIRRORS[name])
    assert mirrors_of("cifar-10") == ("https://www.cs.toronto.edu/~kriz/",)
    assert module.MAX_BYTES > 170_052_171, "the size of its archive"
    monkeypatch.setenv("LENET_BENCH_MIRRORS", " http://a/x  https://b/ ")
    assert mirrors_of("mnist") == ("http://a/x/mnist/", "https://b/mnist/")
