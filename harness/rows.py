"""What one launch adds to the run's tables: its identity, what the worker said, what the harness saw."""

from __future__ import annotations

import datetime
import time
from typing import Any

from harness.data import Dataset
from harness.display import Display
from harness.errors import WorkerFailed
from harness.interpreters import Interpreter
from harness.job import Entrant
from harness.machine import this_machine
from harness.networks import get_network
from harness.operations import training as training_operations
from harness.plan import Plan
from harness.results import RunFolder
from harness.schema import BLOCKS, ENTRANT, EPOCHS, INFERENCE, LATENCY, LAUNCHES, SCHEMA_VERSION


def identity(
    plan: Plan,
    entrant: Entrant,
    *,
    run: str,
    number: int,
    position: int,
    dataset: Dataset,
    interpreter: Interpreter,
    controls_sha256: str | None,
) -> dict[str, Any]:
    """Columns of launches.csv that are known before the launch."""
    machine = this_machine()
    fields = {key: getattr(entrant, key) for key in ENTRANT if hasattr(entrant, key)}
    return fields | {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "round": number,
        "position": position,
        "framework_version": interpreter.version,
        "controls_sha256": controls_sha256,
        "data_set": dataset.name,
        "data_sha256": dataset.sha256,
        "threads": entrant.threads or None,
        "variant": entrant.variant or None,
        "verified": plan.verified,
        "recipe": plan.recipe.name,
        "seed": plan.seed_of(number),
        "machine": machine.text,
        "machine_sha256": machine.sha256,
        "until": plan.until or None if plan.epochs_of(number) else None,
        "started_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


class LaunchRows:
    """The rows of one launch, as they come about.

    Attributes:
        row: of launches.csv.
        trained_s: seconds of training and evaluating epochs.
    """

    def __init__(self, row: dict[str, Any], *, label: str, display: Display) -> None:
        self.row = row
        self.trained_s = 0.0
        self._label = label
        self._display = display
        self._epochs: list[dict[str, Any]] = []
        self._blocks: dict[str, list[list[float]]] = {}
        self._inference: list[tuple[int, float]] = []
        self._latency: list[tuple[float, float]] = []
        self._steady: tuple[float, float] | None = None
        self._harness_cpu_s = self._steady_s = 0.0

    def listen(self, message: dict[str, Any]) -> None:
        """Take in what the worker says while it works; show it, but for what it says around steady training."""
        name = message.get("name")
        if message["event"] == "epoch":
            epoch = {key: value for key, value in message.items() if key != "event"}
            self._epochs.append(epoch)
            self.trained_s += epoch["train_s"] + epoch["evaluate_s"]
            self._display.epoch(self._label, epoch)
        elif name == "steady":
            self._steady = (time.process_time(), time.monotonic())
        elif name == "steady ended" and self._steady:
            self._harness_cpu_s += time.process_time() - self._steady[0]
            self._steady_s += time.monotonic() - self._steady[1]
            self.row["harness_cpu_share"] = self._harness_cpu_s / self._steady_s
        else:
            self._display.message(message)

    def succeeded(self, result: dict[str, Any]) -> None:
        """Take in the worker's result."""
        self._blocks = result.pop("blocks", {})
        self._inference = result.pop("inference", [])
        self._latency = result.pop("latency", [])
        self.row |= {"status": "ok"} | {key: value for key, value in result.items() if key in LAUNCHES}
        speed, peak = self.row.get("train_images_per_s"), self.row.get("peak_gflops")
        if speed:
            operations = training_operations(get_network(self.row["network"])).total
            self.row["train_gflops"] = operations * speed / 1e9
            self.row["peak_share"] = self.row["train_gflops"] / peak if peak else None

    def failed(self, error: WorkerFailed) -> None:
        """Take in that there is no result."""
        self.row |= {"status": "failed", "error": str(error).splitlines()[0][:500]}

    def write(self, folder: RunFolder, *, launch_s: float) -> None:
        """Write all rows to the disk; the launch's own row last, because it says that the others are there."""
        shared = {key: self.row[key] for key in EPOCHS if key in self.row and key != "test_accuracy"}
        steps = self.row.get("block_steps")
        of_phase = {"return": self.row.get("return_steps")}
        blocks = [
            {"phase": phase, "turn": turn, "block": number, "steps": of_phase.get(phase, steps), "seconds": seconds}
            for phase, turns in self._blocks.items()
            for turn, values in enumerate(turns, start=1)
            for number, seconds in enumerate(values, start=1)
        ]
        sweep = [{"inference_batch_size": size, "inference_images_per_s": rate} for size, rate in self._inference]
        latency = [{"percentile": percentile, "latency_ms": value} for percentile, value in self._latency]
        if self._epochs:
            folder.append("epochs", [shared | epoch for epoch in self._epochs])
        for table, columns, rows in (
            ("blocks", BLOCKS, blocks), ("inference", INFERENCE, sweep), ("latency", LATENCY, latency),
        ):  # fmt: skip
            if rows:
                known = {key: self.row[key] for key in columns if key in self.row and key not in rows[0]}
                folder.append(table, [known | row for row in rows])
        folder.append("launches", [self.row | {"launch_s": launch_s}])
