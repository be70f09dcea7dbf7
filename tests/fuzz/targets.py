"""The readers of what comes from outside, each as a function of some bytes, with inputs to begin from.

A reader returns, or raises an error of ours that is a sentence. Anything else is a finding, and so is more memory or
time than `__main__` allows. Readers of files are given one, which `__main__` lets be in memory.
"""

from __future__ import annotations

import atexit
import functools
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.data import archive, idx
from harness.errors import LenetBenchError
from harness.files import ROOT
from harness.gate import baseline
from harness.results import folder
from harness.results.folder import TABLES, RunFolder
from harness.results.schema import BASELINE, SCHEMA_VERSION, Column
from harness.results.validation import KEYS, NEEDED, check_rows
from harness.runs import interpreters
from harness.runs.plan import Plan
from harness.spec.recipes import LENET5
from harness.worker.job import Entrant, Job

# An error that is longer is no sentence.
MOST_CHARACTERS = 3000
# CPU seconds of one input.
MOST_CPU_S = 10
SIZES = {"a.bin": 10, "b.bin": 7}
ENTRANT = Entrant(
    backend="numpy", network="lenet5", mode="eager", feed="host", device="cpu", dtype="float32", threads=1,
    batch_size=64, environment="controlled",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        read: takes an input; returns, or raises an error of ours.
        seeds: inputs that reach far into it.
        inputs: how many are tried of it in the long form.
        words: that its format is made of, for the fuzzer's mutations.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    inputs: int
    words: tuple[str, ...] = ()


def check(name: str, content: bytes) -> None:
    """Give a reader an input.

    Raises:
        AssertionError: its error says nothing, or too much; or it took too long.
        Exception: that it raised and should not.
    """
    start = time.process_time()
    try:
        TARGETS[name].read(content)
    except LenetBenchError as error:
        said = str(error)
        assert said.strip(), "an error without words"
        assert len(said) <= MOST_CHARACTERS, f"an error of {len(said):,} characters"
    # Not by the clock: a busy machine is no finding.
    took = time.process_time() - start
    assert took <= MOST_CPU_S, f"{took:.1f} s of CPU time for one input"


@functools.cache
def _folder() -> Path:
    """A folder of this process, in memory where TMPDIR is; what is in it is written over and over."""
    made = Path(tempfile.mkdtemp(prefix="lenet-bench-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _file(name: str, content: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(content)
    return path


# The first byte of an input says how the others are packed: so the fuzzer, which cannot guess a checksum, gets inside.
PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    functools.partial(gzip.compress, compresslevel=1, mtime=0),
    functools.partial(lzma.compress, preset=0),
)


def _packed(content: bytes, packers: int) -> bytes:
    if not content:
        return b""
    # xz, last, takes a hundred times as long as the others: it is one in 32.
    number = content[0] % 32
    return PACKERS[packers - 1 if number == 31 else number % 2](content[1:])


def _idx(content: bytes) -> None:
    idx.read_idx(_file("idx", _packed(content, 2)))


def _idx_seeds() -> list[bytes]:
    images = bytes.fromhex("00000803 00000002 00000002 00000003") + bytes(range(12))
    labels = bytes.fromhex("00000801 00000003") + bytes(3)
    plain = [images, labels, bytes.fromhex("00000803 ffffffff ffffffff ffffffff")]
    return [bytes([packer]) + each for each in plain for packer in (0, 1)] + [b"\0" + gzip.compress(labels, mtime=0)]


def _archive(content: bytes) -> None:
    """A tar archive; where the second byte is odd, the checksums of its headers are made right."""
    packed, mend, rest = content[:1], content[1:2], bytearray(content[2:])
    if mend and mend[0] % 2:
        for start in range(0, len(rest) - archive.BLOCK + 1, archive.BLOCK):
            header = rest[start : start + archive.BLOCK]
            if any(header):
                total = sum(header[:148]) + sum(b" " * 8) + sum(header[156:])
                rest[start + 148 : start + 156] = b"%06o\0 " % (total % 0o1000000)
    archive.read_archive(_file("tar", _packed(packed + bytes(rest), 3)), SIZES)


def _archive_seeds() -> list[bytes]:
    seeds = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as tar:
            for name, size in SIZES.items():
                member = tarfile.TarInfo(f"folder/{'x' * 90}/{name}" if name == "a.bin" else name)
                member.size = size
                tar.addfile(member, io.BytesIO(bytes(size)))
        seeds += [bytes([packer, mend]) + file.getvalue()[:4096] for packer in (0, 1, 31) for mend in (0, 1)]
    return seeds


# Tables have up to a hundred columns, and each is read as the others are: some of each kind are enough, in a tenth of
# the time. Those that every row needs are among them, because they are checked.
SHORT: dict[str, dict[str, Column]] = {
    name: {column: TABLES[name][column] for column in ("schema_version", *NEEDED[name], *KEYS[name], *more)}
    for name, more in {
        "launches": (
            "verified",
            "counted",
            "threads",
            "train_images_per_s",
            "peak_rss_bytes",
            "turns",
            "turn_step_us",
            "disturbed_turns",
            "error",
        ),
        "epochs": ("train_loss", "evaluate_s"),
        "latency": (),
        "summary": ("launches", "ratio", "ratio_low", "verified"),
    }.items()
}


def _table(content: bytes) -> None:
    """A result table; the first byte says which."""
    name = list(SHORT)[content[0] % len(SHORT)] if content else "launches"
    path = _file(f"{name}.csv", content[1:])
    check_rows(folder.read_table(path, SHORT[name]), name, SHORT[name], path)


def _table_seeds() -> list[bytes]:
    """Of each a row that can be, with others of them, and one as a spreadsheet writes it."""
    cells = {"string": "x", "boolean": "True", "Int64": "1", "Float64": "0.5"}
    seeds = []
    for number, columns in enumerate(SHORT.values()):
        known = {
            "schema_version": str(SCHEMA_VERSION),
            "status": "ok",
            "turn_step_us": "1.5",
            "turns": "1",
            "disturbed_turns": "1",
        }
        row = [known.get(column, cells[columns[column].dtype]) for column in columns]
        lines = [",".join(columns), ",".join(row), ",".join(["2" if cell == "1" else cell for cell in row])]
        texts = ["\n".join(lines) + "\n", "\r\n".join(lines[:2]) + "\r\n", lines[0] + "\n"]
        texts.append("\ufeff" + texts[0].replace(",", ";").replace("0.5", "0,5"))
        seeds += [bytes([number]) + text.encode() for text in texts]
    return seeds


def _baseline_seeds() -> list[bytes]:
    lines = (ROOT / "results" / "baselines" / "accuracy.csv").read_bytes().splitlines(keepends=True)
    return [b"".join(lines[:3]), b"".join(lines[:2]), b",".join(name.encode() for name in BASELINE) + b"\n"]


def _environment(content: bytes) -> None:
    _file("environment.json", content)
    values = RunFolder(_folder()).read_environment()
    Plan.from_dict(values.get("plan", {}))


def _environment_seeds() -> list[bytes]:
    plan = Plan((ENTRANT,), LENET5, "mnist", None, rounds=2, seeds=1, seed=0, epochs=1).as_dict()
    more = {"lenet_bench": "0", "machine": {"cpus": 2}, "packages": {"numpy": ["numpy==2"]}, "controls": {}}
    return [json.dumps(each).encode() for each in ({"plan": plan}, {"plan": plan} | more, more, [], {})]


def _interpreters(content: bytes) -> None:
    os.environ[interpreters.MAP_VARIABLE] = str(_file("interpreters.json", content))
    interpreters.read_map()


def _message(content: bytes) -> None:
    """What a worker says, line by line."""
    for line in content.split(b"\n"):
        _messages().read_message(line, JOB)


def _messages() -> ModuleType:
    from harness.runs import messages

    return messages


JOB = Job(
    kind="measure", entrant=ENTRANT, recipe=LENET5.as_dict(), seed=0, data="", weights="", epochs=2, turns=2,
    inference_sizes=(1, 8),
)  # fmt: skip


def _message_seeds() -> list[bytes]:
    epoch = {"epoch": 1, "train_s": 0.5, "train_loss": 2.3, "test_accuracy": 0.5, "evaluate_s": 0.1}
    result = {
        "weights_sha256": "0" * 64, "batches_sha256": "0" * 64, "packages": ["numpy==2.4.6"], "block_steps": 20,
        "steady": True, "first_step_s": 0.1, "train_images_per_s": 1000.0, "turn_step_us": "1.0 2.0",
        "blocks": {"warmup": [[0.1]], "return": [[0.1], [0.1]], "steady": [[0.1, 0.2], [0.1]]},
        "inference": [[1, 10.0], [8, 20.0]], "latency": [[50, 0.1], [99, 0.2]],
    }  # fmt: skip
    events: list[dict[str, object]] = [
        {"event": "phase", "name": "train"}, {"event": "ready"}, {"event": "turn ended", "sha256": "0" * 64},
        {"event": "failed", "message": "no"}, {"event": "progress", "epoch": 1, "done": 0.5},
        {"event": "epoch", **epoch}, {"event": "result", **result},
    ]  # fmt: skip
    return [json.dumps(each).encode() for each in events]


def _settings(content: bytes) -> None:
    """lenet-bench.toml, for each command that reads it."""
    from harness.commands import settings

    for name, command in _of_settings().items():
        settings.read(content.decode("utf-8", "replace"), name, command, [])


@functools.cache
def _of_settings() -> dict[str, Any]:
    from harness.commands.cli import imported
    from harness.commands.settings import COMMANDS

    return {name: imported(name) for name in COMMANDS}


def _settings_seeds() -> list[bytes]:
    from harness.commands.init import TEMPLATE

    names = {"backends": '["numpy"]', "first": "numpy", "mode": "eager", "version": "0"}
    whole = TEMPLATE.format(**names)
    return [
        whole.encode(),
        whole.replace("\n# ", "\n").encode(),
        b"[run]\nrounds = 5\n[gate]\n[report]\nshare = true\n",
    ]


JSON_WORDS = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "NaN",
    "-Infinity",
    "1e999",
    "\\ud800",
    "\\u0000",
    "-0",
)
TOML_WORDS = (
    "[run]",
    "[gate]",
    "[report]",
    " = ",
    '"',
    "'''",
    "[[",
    "0x",
    "1e999",
    "true",
    "2026-01-01",
    "rounds",
    "backend",
)
CSV_WORDS = ('"', ",", ";", "\r\n", "\n", "\ufeff", "nan", "inf", "-1", "1e999", "TRUE", "0,5", "9223372036854775808")
BYTES, TEXT = 1_000_000, 200_000
TARGETS: dict[str, Target] = {
    "idx": Target(_idx, _idx_seeds, BYTES),
    "cifar": Target(_archive, _archive_seeds, BYTES, ("ustar\0", "ustar  \0", "0000012\0", "../", "a.bin", "b.bin")),
    "tables": Target(_table, _table_seeds, TEXT, CSV_WORDS),
    "baseline": Target(
        lambda content: baseline.read_baseline(_file("baseline.csv", content)), _baseline_seeds, TEXT, CSV_WORDS
    ),
    "environment": Target(_environment, _environment_seeds, TEXT, JSON_WORDS),
    "interpreters": Target(_interpreters, lambda: [b'{"torch": "/usr/bin/python3"}', b"{}"], TEXT, JSON_WORDS),
    "messages": Target(_message, _message_seeds, TEXT, JSON_WORDS),
    "settings": Target(_settings, _settings_seeds, TEXT, TOML_WORDS),
}
CORPUS = Path(__file__).parent / "corpus"


def found(name: str) -> Iterator[Path]:
    """Inputs on which a reader was once wrong."""
    return iter(sorted((CORPUS / name).glob("*")))
