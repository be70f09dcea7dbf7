"""Mirrors of a data set that lie, drip, or never end; alone, and before one that is good."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.faults.case import Case, Site
from tests.faults.outcome import Skip
from tests.faults.place import Place

# A mirror that is no use may cost so long, three tries of it included; the four files come from one that works.
LIMIT_S = 150.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
Send = Callable[[socket.socket], object]


def _slowly(content: bytes, every_s: float, at_once: int = 1) -> Send:
    def send(to: socket.socket) -> None:
        for start in range(0, len(content), at_once):
            to.sendall(content[start : start + at_once])
            time.sleep(every_s)

    return send


def _forever(start: bytes, content: bytes, pause_s: float = 0.0) -> Send:
    def send(to: socket.socket) -> None:
        to.sendall(start)
        while True:
            to.sendall(content)
            time.sleep(pause_s)

    return send


def _at_once(content: bytes) -> Send:
    return lambda to: to.sendall(content)


def _with(body: bytes, *headers: bytes) -> Send:
    return _at_once(HEAD + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body)


ZEROS = gzip.compress(bytes(16 << 20))
KINDS: dict[str, Send] = {
    "drips a byte every two seconds": _forever(HEAD + b"Content-Length: 9912422\r\n\r\n", b"x", 2.0),
    "drips its header": _slowly(HEAD * 1000, 2.0),
    "accepts and says nothing": lambda to: time.sleep(300),
    "sends a header without end": _forever(HEAD, b"X-More: " + b"y" * 4000 + b"\r\n"),
    "sends a body without end": _forever(HEAD + b"\r\n", b"z" * 65536),
    "sends chunks without end": _forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n", 0.2),
    "sends nothing and closes": _at_once(b""),
    "closes in the middle": _with(b"\x1f\x8b" + b"x" * 5000, b"Content-Length: 9912422"),
    "speaks no HTTP": _at_once(b"220 ftp.example.org ready\r\n" * 4),
    "sends an empty file": _with(b"", b"Content-Length: 0"),
    "sends a web page": _with(b"<html>Please log in</html>", b"Content-Length: 26"),
    "sends other gzipped bytes": _with(ZEROS, b"Content-Length: %d" % len(ZEROS)),
    "sends gzip within gzip": _with(
        gzip.compress(ZEROS), b"Content-Encoding: gzip", b"Content-Length: %d" % len(gzip.compress(ZEROS))
    ),
    "promises a negative length": _with(b"abc", b"Content-Length: -5"),
    "promises a length that is no number": _with(b"abc", b"Content-Length: many"),
    "promises an exabyte": _with(b"abc", b"Content-Length: 1152921504606846976"),
    "sends chunks that are none": _with(b"zz\r\nhello", b"Transfer-Encoding: chunked"),
    "redirects to itself": _at_once(REDIRECT + b"/redirects-to-itself\r\n\r\n"),
    "redirects to a file": _at_once(REDIRECT + b"file:///etc/passwd\r\n\r\n"),
    "redirects to nowhere": _at_once(REDIRECT + b"http://\x00\r\n\r\n"),
    "is not to be found": _at_once(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "is overloaded": _at_once(b"HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n"),
    "has a status that is none": _at_once(b"HTTP/1.1 999999 ?\r\nContent-Length: 0\r\n\r\n"),
}


def cases() -> list[Case]:
    """All of them, and two before a mirror that is good."""
    alone = [
        Case("mirrors", f"mirror that {kind}", functools.partial(_refused, kind=kind), waits=True) for kind in KINDS
    ]
    before = [
        Case("mirrors", f"mirror that {kind}, before a good one", functools.partial(_next, kind=kind), waits=True)
        for kind in ("drips a byte every two seconds", "sends a header without end", "sends other gzipped bytes")
    ]
    return [*alone, *before]


def _refused(site: Site, place: Place, random: Random, *, kind: str) -> int:
    with _mirror(_mischief(KINDS[kind])) as address:
        _get(place, address, right=(2, 3))
    # Nothing of it was taken for a good file.
    kept = [path for path in place.cache.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    place.outcome.count("left", f"in the cache: {', '.join(path.name for path in kept[:4])}", len(kept))
    return 1


def _next(site: Site, place: Place, random: Random, *, kind: str) -> int:
    source = Path(os.environ.get("LENET_BENCH_DATA", "")) / "mnist"
    if not os.environ.get("LENET_BENCH_DATA") or not source.is_dir():
        raise Skip("needs MNIST: set LENET_BENCH_DATA")
    with _mirror(_mischief(KINDS[kind])) as bad, _mirror(_good(source)) as good:
        _get(place, f"{bad} {good}", right=(0,))
    return 1


def _get(place: Place, mirrors: str, *, right: tuple[int, ...]) -> None:
    run = place.start(
        "data", "--get", "mnist", LENET_BENCH_OFFLINE="", LENET_BENCH_DATA="", NO_PROXY="127.0.0.1",
        LENET_BENCH_MIRRORS=mirrors,
    )  # fmt: skip
    place.finish(run, right=right, limit_s=LIMIT_S, what="the download")


Answer = Callable[[socket.socket, bytes], object]


def _mischief(send: Send) -> Answer:
    def answer(to: socket.socket, request: bytes) -> None:
        # Whether it answers at all is asked first; a mirror that did not would not be asked for more.
        if request.startswith(b"HEAD") and send is not KINDS["accepts and says nothing"]:
            to.sendall(HEAD + b"Content-Length: 100\r\n\r\n")
        else:
            send(to)

    return answer


def _good(source: Path) -> Answer:
    def answer(to: socket.socket, request: bytes) -> None:
        name = request.split()[1].rpartition(b"/")[2].decode()
        packed, plain = source / name, source / name.removesuffix(".gz")
        content = packed.read_bytes() if packed.exists() else gzip.compress(plain.read_bytes(), 1)
        to.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content))
        if not request.startswith(b"HEAD"):
            to.sendall(content)

    return answer


@contextlib.contextmanager
def _mirror(answer: Answer) -> Iterator[str]:
    """Serve on a port of its own, as `answer` does; its address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # Whoever asked may go at any time.
            with contextlib.suppress(OSError):
                answer(self.request, self.request.recv(65536))
                self.request.shutdown(socket.SHUT_WR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: what comes of it is looked at on the other side."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
