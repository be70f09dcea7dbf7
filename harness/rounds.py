"""Carrying out a plan: launches in rounds, each row on disk before the next launch starts."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness import controls
from harness.batches import PARTS
from harness.data import Dataset
from harness.display import Display
from harness.errors import LenetBenchError, WorkerFailed
from harness.interpreters import Interpreter
from harness.job import Entrant, Job
from harness.launch import launch
from harness.machine import this_machine
from harness.network import get_network
from harness.plan import Plan
from harness.results import RunFolder
from harness.schema import ENTRANT, EPOCHS, LAUNCHES, SCHEMA_VERSION
from harness.start import initial_weights, weights_digest


class Rounds:
    """One run under way.

    Attributes:
        failures: entrant label -> why it left the run.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        folder: RunFolder,
        dataset: Dataset,
        interpreters: dict[str, Interpreter],
        display: Display,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.dataset = dataset
        self.interpreters = interpreters
        self.display = display
        self.failures: dict[str, WorkerFailed] = {}
        self.packages: dict[str, list[str]] = {}
        self._digests: dict[tuple[int, int], str] = {}

    def execute(self) -> None:
        """Launch whatever the folder does not have yet. An entrant that fails leaves the run; the others go on."""
        done = self._done()
        network = get_network(self.plan.entrants[0].network)
        with scratch_folder() as scratch:
            write_dataset(self.dataset, scratch)
            self.display.start(self.plan.rounds * len(self.plan.entrants) - len(done))
            for number in range(1, self.plan.rounds + 1):
                seed = self.plan.seed_of(number)
                weights = initial_weights(network, seed=seed, initialiser=self.plan.recipe.initialiser)
                weights_file = scratch / f"weights-{seed}.npz"
                np.savez(weights_file, **weights)  # type: ignore[arg-type]
                for position, entrant in enumerate(self.plan.order(number), start=1):
                    if entrant.label in self.failures or (number, entrant) in done:
                        continue
                    self._launch(number, position, entrant, scratch, weights_file, weights_digest(weights))

    def _done(self) -> set[tuple[int, Entrant]]:
        """Launches that the folder has already, of a run that is resumed."""
        rows = self.folder.read("launches")
        have = set(zip(rows["round"], rows["backend"], rows["mode"], rows["threads"].fillna(0), rows["batch_size"]))
        return {
            (number, entrant)
            for number in range(1, self.plan.rounds + 1)
            for entrant in self.plan.entrants
            if (number, entrant.backend, entrant.mode, entrant.threads, entrant.batch_size) in have
        }

    def _launch(
        self,
        number: int,
        position: int,
        entrant: Entrant,
        scratch: Path,
        weights_file: Path,
        weights_sha256: str,
    ) -> None:
        self.display.launch_started(entrant.label, number, self.plan.rounds)
        row = self._identity(number, position, entrant)
        launch_folder = scratch / f"{number}-{position}"
        job = self._job(number, entrant, scratch, weights_file, launch_folder)
        epochs: list[dict[str, Any]] = []

        def listen(message: dict[str, Any]) -> None:
            if message["event"] == "epoch":
                message.pop("event")
                epochs.append(message)
                self.display.epoch(entrant.label, message)
            else:
                self.display.message(entrant.label, message)

        start = time.monotonic()
        try:
            result = launch(
                job,
                interpreter=self.interpreters[entrant.backend].path,
                folder=launch_folder,
                timeout_s=self.plan.launch_timeout_s,
                listen=listen,
            )
            self.packages[entrant.backend] = result.pop("packages")
            self._check_digests(row["seed"], entrant.batch_size, result, weights_sha256)
            row |= {"status": "ok"} | {key: value for key, value in result.items() if key in LAUNCHES}
        except WorkerFailed as error:
            self.failures[entrant.label] = error
            row |= {"status": "failed", "error": str(error).splitlines()[0][:500]}
        finally:
            shutil.rmtree(launch_folder, ignore_errors=True)
        self._keep(row | {"launch_s": time.monotonic() - start}, epochs)
        self.display.launch_finished(entrant.label, row, self.failures.get(entrant.label))

    def _keep(self, row: dict[str, Any], epochs: list[dict[str, Any]]) -> None:
        """Write the rows of one launch to the disk."""
        shared = {key: row[key] for key in EPOCHS if key in row and key != "test_accuracy"}
        if epochs:
            self.folder.append("epochs", [shared | epoch for epoch in epochs])
        self.folder.append("launches", [row])

    def _identity(self, number: int, position: int, entrant: Entrant) -> dict[str, Any]:
        machine = this_machine()
        interpreter = self.interpreters[entrant.backend]
        fields = {key: getattr(entrant, key) for key in ENTRANT if hasattr(entrant, key)}
        return fields | {
            "schema_version": SCHEMA_VERSION,
            "run": self.folder.name,
            "round": number,
            "position": position,
            "framework_version": interpreter.version,
            "data_set": self.dataset.name,
            "data_sha256": self.dataset.sha256,
            "threads": entrant.threads or None,
            "recipe": self.plan.recipe.name,
            "seed": self.plan.seed_of(number),
            "machine": machine.text,
            "machine_sha256": machine.sha256,
            "started_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    def _job(self, number: int, entrant: Entrant, scratch: Path, weights_file: Path, folder: Path) -> Job:
        return Job(
            kind="measure" if self.plan.timing else "train",
            entrant=entrant,
            recipe=self.plan.recipe.as_dict(),
            seed=self.plan.seed_of(number),
            data=str(scratch),
            weights=str(weights_file),
            epochs=self.plan.epochs_of(number),
            asked=asked_controls(entrant, folder),
            steady_s=self.plan.steady_s,
        )

    def _check_digests(self, seed: int, batch_size: int, result: dict[str, Any], weights_sha256: str) -> None:
        """Every backend must have started from the same weights and met the same batches."""
        if result["weights_sha256"] != weights_sha256:
            raise WorkerFailed(f"weights_sha256 is {result['weights_sha256']}, the harness made {weights_sha256}.")
        first = self._digests.setdefault((seed, batch_size), result["batches_sha256"])
        if result["batches_sha256"] != first:
            raise WorkerFailed(f"batches_sha256 is {result['batches_sha256']}, the first backend had {first}.")


def asked_controls(entrant: Entrant, folder: Path) -> dict[str, object]:
    """What a launch is controlled by; nothing under environment=native."""
    if entrant.environment == "native":
        return {}
    variables = controls.asked_variables(threads=entrant.threads, scratch=folder)
    return {"environment": variables, "cpus": controls.choose_cpus(entrant.threads)}


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write the arrays where workers map them into memory."""
    for part in PARTS:
        np.save(folder / f"{part}.npy", getattr(dataset, part), allow_pickle=False)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, also after Ctrl-C."""
    try:
        path = Path(tempfile.mkdtemp(prefix="lenet-bench-"))
    except OSError as error:
        raise LenetBenchError(f"No temporary folder can be made: {error}. Set TMPDIR.") from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def set_aside() -> list[str]:
    """The user's variables that controlled launches do without."""
    asked = controls.asked_variables(threads=1, scratch=Path("."))
    return controls.launch_environment(os.environ, asked)[1]
