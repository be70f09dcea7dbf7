"""What a worker's lines are taken for: messages, or why its launch fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import WorkerFailed
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES
from harness.results.validation import check_rows
from harness.runs import messages
from harness.runs.messages import MOST_BYTES, Messages, read_message
from harness.worker.job import Entrant, Job

DIGEST = "0" * 64
MEASURED = {
    "event": "result", "weights_sha256": DIGEST, "batches_sha256": DIGEST, "packages": ["numpy==2.0"],
    "blocks": {"warmup": [[0.1]], "steady": [[0.1, 0.2]]}, "block_steps": 20, "steady": True, "first_step_s": 0.5,
    "train_images_per_s": 1000.0, "inference": [[1, 10.0], [8, 20.0]], "latency": [[50.0, 0.1], [99.0, 0.2]],
}  # fmt: skip


@pytest.fixture
def job(make_entrant: Callable[..., Entrant]) -> Job:
    """A launch that is timed, and trains two epochs."""
    return Job(
        kind="measure", entrant=make_entrant(), recipe={}, seed=0, data="", weights="", epochs=2, inference_sizes=(1, 8)
    )


def result(**changes: Any) -> bytes:
    return json.dumps(MEASURED | changes).encode()


GARBAGE = [
    b"", b"\x00", b"\xff\xfe", b"Traceback (most recent call last):", b"{", b'{"event": "result"', b"null", b"17",
    b"[]", b'"event"', b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b'{"event": null}', b'{"event": ["result"]}',
    b'{"event": "results"}', b'{"name": "import"}', b'{"event": "phase"}', b'{"event": "phase", "name": 1}',
    b'{"event": "phase", "name": "' + b"x" * 20_000 + b'"}', b'{"event": "progress", "epoch": 1, "done": NaN}',
    b'{"event": "progress", "epoch": true, "done": 0.5}', b'{"event": "progress", "epoch": 1, "done": 2}',
    b'{"event": "epoch", "epoch": 1}', b'{"event": "failed"}', b'{"event": "failed", "message": ""}',
    b'{"event": "failed", "message": {"a": 1}}', b'{"event": "turn ended", "sha256": "../x"}', b'{"event": "result"}',
    b'{"event": "epoch", "epoch": 1e400, "train_s": 1, "train_loss": 1, "test_accuracy": 1, "evaluate_s": 1}',
    b'{"event": "epoch", "epoch": 1, "train_s": -1, "train_loss": 1, "test_accuracy": 1, "evaluate_s": 1}',
    b'{"event": "epoch", "epoch": 1, "train_s": 1, "train_loss": 1, "test_accuracy": 1.5, "evaluate_s": 1}',
]  # fmt: skip


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:40]))
def test_garbage_is_refused_in_a_sentence(job: Job, line: bytes) -> None:
    """Whatever it is: one line, with what was found."""
    with pytest.raises(WorkerFailed, match=r"^(It said|Its message) .*\.$") as caught:
        read_message(line, job)

    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights_sha256": None}, "lacks weights_sha256"),
        ({"packages": "numpy"}, "has packages 'numpy'"),
        ({"packages": ["x"] * 20_000}, "has packages .*: a list of at most 10000 is wanted"),
        ({"blocks": {"steady": [[float("nan")]]}}, "has blocks .*: a number from 0 to 1e"),
        ({"blocks": {"steady": [0.1]}}, "has blocks .*: a list is wanted"),
        ({"blocks": {"other": [[0.1]]}}, "has blocks .*: an object with warmup, return, steady is wanted"),
        ({"block_steps": 0}, "has block_steps 0: a whole number from 1"),
        ({"steady": 1.0}, "has steady 1.0: true or false"),
        ({"train_images_per_s": 0}, "has train_images_per_s 0: a number above 0"),
        ({"train_images_per_s": float("inf")}, "has train_images_per_s inf: a number above 0"),
        ({"train_images_per_s": 10**400}, "has train_images_per_s 1000.*: a number that fits"),
        ({"peak_rss_bytes": 1 << 63}, "has peak_rss_bytes 9223372036854775808: a whole number"),
        ({"peak_rss_bytes": 1.5}, "has peak_rss_bytes 1.5: a whole number"),
        ({"turn_step_us": "nan 1"}, "has turn_step_us 'nan 1': positive numbers"),
        ({"turn_step_us": "10 fast"}, "has turn_step_us '10 fast': positive numbers"),
        ({"turn_step_us": "10 11", "turns": 3}, "has 2 times in turn_step_us, and 3 turns"),
        ({"energy_j": -1}, "has energy_j -1: a number from 0"),
        ({"test_accuracy": 98.5}, "has test_accuracy 98.5: a number from 0 to 1 is wanted"),
        ({"inference": [[1, 10.0], [1, 20.0]]}, "has inference .*: a value for each of the batch sizes 1, 8"),
        ({"inference": [[1, 10.0], [8]]}, "has inference .*: a list of 2 values"),
        ({"latency": [[50, 0.1], [50, 0.1]]}, "has latency .*: every percentile once"),
        ({"latency": [[101, 0.1]]}, "has latency .*: a number from 0 to 100"),
        ({"optimizer": {"SGD": 1}}, "has optimizer .*: a text of at most"),
    ],
)
def test_wrong_fields_are_named(job: Job, changes: dict[str, Any], words: str) -> None:
    """Field, value, and what is wanted."""
    with pytest.raises(WorkerFailed, match=words):
        read_message(result(**changes), job)


def test_how_long_a_block_takes_is_a_number(job: Job) -> None:
    """The number of turns follows from it; an older worker says nothing of it."""
    assert read_message(b'{"event": "ready"}', job) == {"event": "ready"}
    assert read_message(b'{"event": "ready", "block_s": 0.05}', job)["block_s"] == 0.05
    for wrong in (b"-1", b"NaN", b'"0.05"'):
        with pytest.raises(WorkerFailed, match="has block_s"):
            read_message(b'{"event": "ready", "block_s": ' + wrong + b"}", job)


def test_result_is_what_it_was(job: Job) -> None:
    """Right values arrive as they were sent; NumPy's integers, which arrive as 3.0, as integers."""
    found = read_message(result(peak_rss_bytes=3.0, energy_j=None, optimizer="SGD"), job)

    assert found["blocks"] == MEASURED["blocks"]
    assert found["inference"] == [(1, 10.0), (8, 20.0)]
    assert (found["peak_rss_bytes"], found["energy_j"], found["optimizer"]) == (3, None, "SGD")
    assert isinstance(found["peak_rss_bytes"], int)


def test_worker_has_no_say_in_which_launch_it_is(job: Job) -> None:
    """Nor in how it is judged: what it says of the harness's own columns is left out."""
    said = dict.fromkeys(messages.OF_HARNESS, 7) | {"unknown": [1, 2]}

    assert set(read_message(result(**said), job)) == set(MEASURED)


def test_largest_values_that_pass_can_be_read_again(job: Job, tmp_path: Any) -> None:
    """A launch that is written is one that every reader takes."""
    told = {
        name: {"Float64": 1e18, "Int64": (1 << 63) - 1, "boolean": True, "string": "\ud800\x00"}[column.dtype]
        for name, column in LAUNCHES.items()
        if name in messages.TOLD and name != "test_accuracy"
    } | {"turn_step_us": "1e300", "turns": 1}
    found = read_message(result(**told | {"weights_sha256": DIGEST}), job)
    row = {name: value for name, value in found.items() if name in LAUNCHES}
    row |= {"run": "r", "round": 1, "position": 1, "status": "ok"}
    row |= dict.fromkeys(("backend", "network", "data_set", "mode", "feed", "device", "dtype"), "x")
    row |= {"batch_size": 64, "machine_sha256": "m"}

    check_rows(frame_of([row], LAUNCHES), "launches", LAUNCHES, tmp_path)

    assert row["optimizer"] == "\\ud800\\x00"


def test_messages_come_out_whole_however_they_come_in(job: Job) -> None:
    """Byte by byte, and several at once."""
    lines = b'{"event": "ready"}\n{"event": "phase", "name": "import"}\n'
    slowly, at_once = Messages(job), Messages(job)
    found = []
    for byte in lines:
        slowly.add(bytes([byte]))
        found += [message for message in [slowly.next()] if message]
    at_once.add(lines + b'{"event"')

    assert found == [{"event": "ready"}, {"event": "phase", "name": "import"}]
    assert [at_once.next(), at_once.next(), at_once.next()] == [*found, None]


@pytest.mark.parametrize("numbers", [(1, 1), (2,), (1, 2, 3)], ids=["twice", "skipped", "too many"])
def test_epochs_come_in_their_order(job: Job, numbers: tuple[int, ...]) -> None:
    """Rows of one epoch told twice would spoil the table for every reader."""
    stream = Messages(job)
    for number in numbers:
        epoch = {"epoch": number, "train_s": 1, "train_loss": 1, "test_accuracy": 0.5, "evaluate_s": 1}
        stream.add(json.dumps({"event": "epoch"} | epoch).encode() + b"\n")
    for _ in numbers[:-1]:
        stream.next()

    with pytest.raises(WorkerFailed, match=rf"told of epoch {numbers[-1]} where epoch"):
        stream.next()


def test_line_without_an_end_is_refused(job: Job) -> None:
    """Before it fills the memory."""
    stream = Messages(job)
    stream.add(b"x" * MOST_BYTES)

    with pytest.raises(WorkerFailed, match=r"no end within 4,194,304 bytes: 'xxx"):
        stream.add(b"x")
