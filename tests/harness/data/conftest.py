"""Drawn digits that are drawn quickly; mirrors on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler

import pytest

from harness.data import download, drawn_digits
from tests.harness.data.mirrors import Server

# Drawing any number of digits begins with all the hands that write them, which takes most of a second.
FEW_TRAIN, FEW_TEST = functools.cache(drawn_digits.draw_train), functools.cache(drawn_digits.draw_test)


@pytest.fixture
def few_drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the drawn digits a small set, and return a list to which each drawing adds a word."""
    drawn: list[str] = []

    def draw(kind: str, how: Callable[[int], drawn_digits.DrawnDigits], count: int) -> object:
        drawn.append(kind)
        return how(count)

    arrays = [array for half in (FEW_TRAIN(30), FEW_TEST(20)) for array in (half.images, half.labels)]
    digests = tuple(drawn_digits.content_digest(array) for array in arrays)
    monkeypatch.setattr(drawn_digits, "CONTENT_SHA256", digests)
    monkeypatch.setattr(drawn_digits, "draw_train", partial(draw, "train", FEW_TRAIN, 30))
    monkeypatch.setattr(drawn_digits, "draw_test", partial(draw, "test", FEW_TEST, 20))
    return drawn


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start mirrors that end with the test; no proxy, and no waiting between tries."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_BACK_OFF", 0.01)
    servers: list[Server] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
