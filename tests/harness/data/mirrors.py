"""Mirrors on this machine, whose answers a test sets."""

from __future__ import annotations

import gzip
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness.data.download import download
from harness.data.idx import read_idx

NAME = "t10k-labels-idx1-ubyte.gz"
GOOD = gzip.compress(struct.pack(">II", 0x00000801, 5) + bytes([1, 2, 3, 4, 5]))


class Server:
    """A mirror whose answers a test sets: `answer` gets the handler of one GET and writes to it."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.gets = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                server.gets += 1
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def sends(body: bytes, *, declared: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a body whose declared length may be wrong."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if declared is None else declared))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def fails(status: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: handler.send_error(status)


def drips(pieces: list[bytes], *, every: float = 0.05, then_s: float = 3) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with these bytes as they are, headers included, one piece after the other; then with nothing, for long."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            for piece in pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
                time.sleep(every)
            # Until the other side has gone, or so long.
            handler.connection.settimeout(then_s)
            handler.connection.recv(1)
        except OSError:
            pass  # the other side has gone

    return answer


def closed_port() -> str:
    """Return the address of a port that nobody listens on."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = http.server_address[1]
    http.server_close()
    return f"http://127.0.0.1:{port}/"


def get(folder: Path, *mirrors: str, check: Callable[[Path], object] = read_idx) -> tuple[str, list[str]]:
    said: list[str] = []
    return download(NAME, folder, mirrors=mirrors, check=check, notify=said.append), said


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".download.lock"}
