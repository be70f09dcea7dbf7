"""What one launch adds to the run's tables: its identity, what the worker said, what the harness saw."""

from __future__ import annotations

import datetime
import time
from typing import Any

from harness.errors import WorkerFailed
from harness.results.folder import RunFolder
from harness.results.schema import BLOCKS, ENTRANT, EPOCHS, INFERENCE, LATENCY, LAUNCHES, SCHEMA_VERSION
from harness.runs import live_runs
from harness.runs.asked_controls import controls_digest
from harness.runs.display import Display
from harness.runs.machine import this_machine
from harness.runs.plausible import check_peak
from harness.runs.privacy import hide
from harness.runs.run import Place, Run
from harness.runs.worker_process import START, STEADY, STEADY_ENDED
from harness.spec.networks import get_network
from harness.spec.operations import training as training_operations
from harness.visible import visible


def identity(run: Run, place: Place) -> dict[str, Any]:
    """Columns of launches.csv that are known before the launch."""
    plan, entrant, machine = run.plan, place.entrant, this_machine()
    fields = {key: getattr(entrant, key) for key in ENTRANT if hasattr(entrant, key)}
    return fields | {
        "schema_version": SCHEMA_VERSION,
        "run": run.folder.name,
        "round": place.round,
        "position": place.position,
        "plan_round": place.plan_round,
        "counted": True,
        "framework_version": run.interpreters[entrant.installation].version,
        "controls_sha256": controls_digest(entrant),
        "data_set": run.dataset.name,
        "data_sha256": run.dataset.sha256,
        "threads": entrant.threads or None,
        "variant": entrant.variant or None,
        "verified": plan.verified,
        "recipe": plan.recipe.name,
        "seed": plan.seed_of(place.plan_round),
        "machine": machine.text,
        "machine_sha256": machine.sha256,
        "until": plan.until or None if plan.epochs_of(place.plan_round) else None,
        "other_runs": count_others(),
        "started_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def count_others() -> int | None:
    """How many other runs are under way on this machine; None where that cannot be known."""
    others = live_runs.others()
    return None if others is None else len(others)


class LaunchRows:
    """The rows of one launch, as they come about.

    Attributes:
        row: of launches.csv.
        start_s: seconds that loading each turn's weights took, between the worker's words by the harness's clock.
        steady_s: the same of each turn's steady training.
    """

    def __init__(self, row: dict[str, Any], *, label: str, display: Display, peak_gflops: float | None = None) -> None:
        """Begin.

        Args:
            peak_gflops: the largest that earlier rounds know, for a round that measures none.
        """
        self.row = row
        self._known_peak = peak_gflops
        self._label = label
        self._display = display
        self._epochs: list[dict[str, Any]] = []
        self._blocks: dict[str, list[list[float]]] = {}
        self._inference: list[tuple[int, float]] = []
        self._latency: list[tuple[float, float]] = []
        self._steady: tuple[float, float] | None = None
        self._harness_cpu_s = 0.0
        self._start: float | None = None
        self.start_s: list[float] = []
        self.steady_s: list[float] = []

    def listen(self, message: dict[str, Any]) -> None:
        """Take in what the worker says while it works; show it, but for what it says around steady training."""
        name = message.get("name")
        if message["event"] == "epoch":
            epoch = {key: value for key, value in message.items() if key != "event"}
            self._epochs.append(epoch)
            self._display.epoch(self._label, epoch, seed=self.row["seed"])
        elif name == START:
            self._start = time.monotonic()
        elif name == STEADY:
            self._steady = (time.process_time(), time.monotonic())
            if self._start is not None:
                self.start_s.append(self._steady[1] - self._start)
            self._start = None
        elif name == STEADY_ENDED and self._steady:
            self._harness_cpu_s += time.process_time() - self._steady[0]
            self.steady_s.append(time.monotonic() - self._steady[1])
            self._steady = None
            self.row["harness_cpu_share"] = self._harness_cpu_s / max(sum(self.steady_s), 1e-9)
        else:
            self._display.message(message)

    def succeeded(self, result: dict[str, Any]) -> None:
        """Take in the worker's result.

        Raises:
            WorkerFailed: it is no result, because it cannot be.
        """
        self._blocks = result.pop("blocks", {})
        self._inference = result.pop("inference", [])
        self._latency = result.pop("latency", [])
        self.row |= {"status": "ok"} | {
            key: hide(value) if isinstance(value, str) else value for key, value in result.items() if key in LAUNCHES
        }
        speed, peak = self.row.get("train_images_per_s"), self.row.get("peak_gflops")
        if speed:
            operations = training_operations(get_network(self.row["network"])).total
            self.row["train_gflops"] = operations * speed / 1e9
            self.row["peak_share"] = self.row["train_gflops"] / peak if peak else None
            highest = max(peak or 0.0, self._known_peak or 0.0)
            if highest:
                check_peak(self.row["train_gflops"], highest)

    def failed(self, error: WorkerFailed) -> None:
        """Take in that there is no result."""
        self.row |= {"status": "failed", "error": visible(hide("".join(str(error).splitlines()[:1])))[:500]}

    def write(self, folder: RunFolder, *, launch_s: float) -> None:
        """Write all rows to the disk; the launch's own row last, because it says that the others are there."""
        # Of its start and its end: nothing is looked for while launches are timed.
        counts = [count for count in (self.row.get("other_runs"), count_others()) if count is not None]
        self.row["other_runs"] = max(counts, default=None)
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
