"""What a worker may say on the harness's pipe that no honest one says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator


def _line(event: object, **fields: object) -> bytes:
    return json.dumps({"event": event} | fields).encode() + b"\n"


EPOCH = {"epoch": 1, "train_s": 0.1, "train_loss": 2.3, "test_accuracy": 0.5, "evaluate_s": 0.1}
RESULT = {
    "train_images_per_s": 1e3,
    "step_us_median": 1.0,
    "weights_sha256": "0",
    "batches_sha256": "0",
    "packages": [],
}
# Said once, after which the worker goes on as if nothing had been.
LINES: dict[str, bytes] = {
    "no-json": b"Loading model ... done\n",
    "an-empty-line": b"\n",
    "no-utf-8": b'{"event": "phase", "name": "\xff\xfe"}\n',
    "nul-bytes": bytes(64) + b"\n",
    "half-a-line": b'{"event": "phase", "na',
    "half-an-object": b'{"event": "phase", "name": "train"\n',
    "a-number": b"42\n",
    "a-list": b'["event", "result"]\n',
    "null": b"null\n",
    "a-string": b'"result"\n',
    "nested-100000-deep": b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "an-integer-of-100000-digits": b'{"event": "epoch", "epoch": ' + b"9" * 100_000 + b"}\n",
    "a-line-of-64-mb": b'{"event": "phase", "name": "' + b"x" * (64 << 20) + b'"}\n',
    "no-event": b'{"name": "train"}\n',
    "event-a-list": _line(["result"]),
    "event-null": _line(None),
    "event-unknown": _line("surprise", name="train"),
    "phase-without-name": _line("phase"),
    "phase-name-an-object": _line("phase", name={"steady": 1}),
    "steady-ended-twice": _line("phase", name="steady ended") * 2,
    "steady-without-end": _line("phase", name="steady") * 3,
    "ready-with-rubbish": _line("ready", sha256=[1, 2]),
    "ready-again": _line("ready") * 3,
    "turn-ended-early": _line("turn ended", sha256="0" * 64) * 2,
    "turn-ended-with-a-number": _line("turn ended", sha256=7),
    "epoch-empty": _line("epoch"),
    "epoch-of-strings": _line("epoch", **dict.fromkeys(EPOCH, "many")),
    "epoch-not-a-number": b'{"event": "epoch", "epoch": 1, "train_s": NaN, "evaluate_s": 1, "test_accuracy": NaN}\n',
    "epoch-infinite": b'{"event": "epoch", "epoch": 1, "train_s": 1e999, "evaluate_s": -Infinity}\n',
    "epoch-of-unknown-columns": _line("epoch", **EPOCH, colour="red"),
    "epoch-minus-one": _line("epoch", **EPOCH | {"epoch": -1, "train_s": -5.0}),
    "epochs-twice": _line("epoch", **EPOCH) * 2,
    "result-empty": _line("result"),
    "result-early": _line("result", **RESULT),
    "result-twice": _line("result", **RESULT) * 2,
    "result-with-blocks-of-text": _line("result", **RESULT, blocks="fast", inference=7, latency=None),
    "result-with-blocks-of-nothing": _line("result", **RESULT, blocks={"steady": [[None, "x"], 3]}),
    "result-of-other-types": _line("result", **RESULT | {"train_images_per_s": {"a": 1}, "packages": 3}),
    "failed-without-message": _line("failed"),
    "failed-with-a-number": _line("failed", message=13),
    "failed-with-an-object": _line("failed", message={"a": [1]}),
    "failed-with-surrogates": b'{"event": "failed", "message": "\\ud800\\udfff \\udcff \\u0000 \\u202e"}\n',
    "failed-with-nothing": _line("failed", message=""),
    "failed-with-a-formula": _line("failed", message='=HYPERLINK("http://x")\r\n[/bold] <script>'),
}
# Said without an end: not even the deadline may be missed for them.
FLOODS: dict[str, Iterator[bytes]] = {
    "messages": itertools.repeat(_line("phase", name="train") * 100),
    "bytes-without-a-line": itertools.repeat(b"x" * 65536),
    "epochs": (b"".join(_line("epoch", **EPOCH | {"epoch": n * 50 + k}) for k in range(50)) for n in itertools.count()),
}
