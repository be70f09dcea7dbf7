"""What a worker says: lines of JSON, each checked before anything is made of it.

A worker runs code that is not ours, and whatever that code does reaches this pipe: half a line, bytes of another,
numbers that are none. What is wrong here fails one launch and no other.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from harness.errors import WorkerFailed
from harness.results.schema import ENTRANT, LAUNCHES
from harness.runs import said_values as values
from harness.runs.said_values import Field
from harness.visible import visible
from harness.worker.job import Job

Message = dict[str, Any]
# Of a line. The longest that a worker of ours says has all its blocks, 64 a turn at most: some hundred KiB.
MOST_BYTES = 4 << 20
# Two a turn, and a few more.
MOST_PHASES = 100_000
# Columns of launches.csv that the harness fills: a worker has no say in which launch it is, or in how it is judged.
OF_HARNESS = (set(ENTRANT) - {"framework_version"}) | {
    "schema_version", "run", "round", "plan_round", "position", "verified", "recipe", "seed", "machine",
    "machine_sha256", "controls_sha256", "data_sha256", "status", "counted", "other_runs", "error", "started_utc",
    "launch_s", "turn_seed", "audited_turns", "audit_share", "at_work_share",
    "disturbed_turns", "cpu_wait_share", "train_gflops", "peak_gflops",
    "peak_share", "peak_source", "harness_cpu_share", "until",
}  # fmt: skip
TOLD = {name: values.cell(column) for name, column in LAUNCHES.items() if name not in OF_HARNESS}
TOLD |= {"block_steps": values.whole(1), "turn_step_us": values.optional(values.times)}
# What a result of each kind of job cannot lack.
TRAINED = {"weights_sha256", "batches_sha256", "packages"}
NEEDED: Mapping[str, set[str]] = {
    "peak": {"peak_gflops", "peak_source"},
    "smoke": set(),
    "describe": {"threads_found", "cpus_found", "framework_version"},
    "verify": {"packages_sha256"},
    "train": TRAINED,
    "measure": TRAINED | {"blocks", "block_steps", "steady", "first_step_s", "train_images_per_s"},
}
# Of each event but the result: fields that it must have, and those that it may have.
EPOCH: Mapping[str, Field] = {
    "epoch": values.whole(1), "train_s": values.real(0), "train_loss": values.number,
    "test_accuracy": values.real(0, 1), "evaluate_s": values.real(0),
}  # fmt: skip
EVENTS: Mapping[str, tuple[Mapping[str, Field], Mapping[str, Field]]] = {
    "phase": ({"name": values.text}, {}),
    "progress": ({"epoch": values.whole(1), "done": values.real(0, 1)}, {}),
    "epoch": (EPOCH, {"train_accuracy": values.real(0, 1)}),
    "ready": ({}, {"block_s": values.real(0)}),
    "turn ended": ({}, {"sha256": values.digest}),
    "failed": ({"message": values.words}, {}),
}
NOTHING: Mapping[str, Field] = MappingProxyType({})


class Messages:
    """The messages of one worker, as its bytes come in."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._buffer = b""
        self._epochs = self._phases = 0

    def add(self, chunk: bytes) -> None:
        """Take in what has been read.

        Raises:
            WorkerFailed: a line is longer than any can be.
        """
        self._buffer += chunk
        if len(self._buffer) > MOST_BYTES and b"\n" not in self._buffer[: MOST_BYTES + 1]:
            raise WorkerFailed(f"It said a line that has no end within {MOST_BYTES:,} bytes: {_shown(self._buffer)}.")

    def next(self) -> Message | None:
        """The next message; None where there is no whole line yet.

        Raises:
            WorkerFailed: the line is no message, or none that can come now.
        """
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return None
        self._buffer = rest
        message = read_message(line, self._job)
        if message["event"] == "epoch":
            self._epochs += 1
            if message["epoch"] != self._epochs or self._epochs > self._job.epochs:
                raise WorkerFailed(
                    f"It told of epoch {message['epoch']} where epoch {self._epochs} of {self._job.epochs} was next."
                )
        self._phases += message["event"] == "phase"
        if self._phases > MOST_PHASES:
            raise WorkerFailed(f"It told of more than {MOST_PHASES:,} phases.")
        return message


def read_message(line: bytes, job: Job) -> Message:
    """A line as a message, with `event` and fields that are what they should be; fields that nobody knows are left out.

    Raises:
        WorkerFailed: with what was found, and what is wanted.
    """
    try:
        said = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        why = " ".join(visible(str(error)).split())[:120]
        raise WorkerFailed(f"It said what is no line of JSON: {_shown(line)} ({why}).") from None
    event = said.get("event") if isinstance(said, dict) else None
    if event == "result":
        return {"event": event} | _result(said, job)
    if not isinstance(event, str) or event not in EVENTS:
        known = ", ".join([*EVENTS, "result"])
        raise WorkerFailed(f"It said what is no message: {_shown(line)}. The events are: {known}.")
    needed, more = EVENTS[event]
    return {"event": event} | _fields(said, event, needed, set(needed), more)


def _result(said: Message, job: Job) -> Message:
    fields: dict[str, Field] = dict(TOLD)
    if job.kind == "peak":
        fields = {"peak_gflops": values.real(0, above=True), "peak_source": values.text}
    fields |= {
        "packages": values.list_of(values.text, most=values.MOST_PACKAGES), "blocks": values.blocks,
        "inference": values.sweep(job.inference_sizes), "latency": values.percentiles,
        # Of each size of the sweep, and of single queries.
        "spare": values.list_of(values.real(), most=len(job.inference_sizes) + 1),
        "looked": values.list_of(values.real(), most=len(job.inference_sizes) + 1),
    }  # fmt: skip
    found = _fields(said, "result", fields, NEEDED.get(job.kind, set()))
    turns, times = found.get("turns"), found.get("turn_step_us")
    if times is not None and turns is not None and len(times.split()) != turns:
        raise WorkerFailed(f"Its message 'result' has {len(times.split())} times in turn_step_us, and {turns} turns.")
    return found


def _fields(
    said: Message, event: str, fields: Mapping[str, Field], needed: set[str], more: Mapping[str, Field] = NOTHING
) -> Message:
    lacking = sorted(name for name in needed if said.get(name) is None)
    if lacking:
        raise WorkerFailed(f"Its message {event!r} lacks {', '.join(lacking)}.")
    found = {}
    for name, field in (*fields.items(), *more.items()):
        if name not in said:
            continue
        try:
            found[name] = field(said[name])
        except ValueError as error:
            shown = visible(reprlib.repr(said[name]))[:80]
            raise WorkerFailed(f"Its message {event!r} has {name} {shown}: {error}.") from None
    return found


def _shown(line: bytes) -> str:
    """The beginning of a line, for a sentence."""
    return repr(line[:60])[1:] + (" ..." if len(line) > 60 else "")
