"""Which mirrors answer: all are asked at once, for a short time, and nobody is asked after that."""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from harness.data import download as module
from harness.data.download import Unreachable
from tests.harness.data.mirrors import GOOD, get, sends


def test_silent_mirrors_share_one_time_limit(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors that take a connection and say nothing cost one time limit together, not one each."""
    monkeypatch.setattr(module, "_ANSWER", 0.6)
    silent = [ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) for _ in range(3)]
    mirrors = [f"http://127.0.0.1:{http.server_address[1]}/" for http in silent]  # nobody serves them
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"(no answer within|timed out)"):
        get(tmp_path, *mirrors)
    assert time.monotonic() - started < 1.5
    for http in silent:
        http.server_close()


def test_silent_first_mirror_does_not_hold_up_the_second(serve, tmp_path, monkeypatch) -> None:
    """Where the second mirror answers and the first doesn't, the second is used after a short grace."""
    monkeypatch.setattr(module, "_GRACE", 0.1)
    silent = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    second = serve(sends(GOOD))
    started = time.monotonic()
    used, _ = get(tmp_path, f"http://127.0.0.1:{silent.server_address[1]}/", second.url)
    assert used == second.url
    assert time.monotonic() - started < 3
    silent.server_close()


def test_nobody_is_asked_once_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that failed is not tried again behind the back of a run, which may be timing by then."""
    monkeypatch.setattr(module, "_BACK_OFF", 60.0)
    asked: list[str] = []
    failed = threading.Event()

    def head(url: str, timeout: float) -> contextlib.AbstractContextManager[None]:
        asked.append(url)
        if "bad" in url:
            failed.set()
            raise requests.ConnectionError("refused")
        assert failed.wait(10)
        return contextlib.nullcontext()

    monkeypatch.setattr(requests, "head", head)
    before = set(threading.enumerate())

    assert module._answering(["good/", "bad/"], "file", {}) == ["good/", "bad/"]

    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(asked) == ["bad/file", "good/file"]
