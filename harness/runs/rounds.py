"""Carrying out a plan: launches in rounds, each row on disk before the next launch starts."""

from __future__ import annotations

import random
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from harness.analysis.comparison import compare_entrants
from harness.analysis.summary import summarise
from harness.errors import WorkerFailed
from harness.results.changes import package_changes
from harness.runs import code, live_runs, starting, taking_turns, to_come
from harness.runs.allocation import Allocation
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.done import Done
from harness.runs.enough import highest_peak, knows_starts, wants_inference
from harness.runs.launch import Launch
from harness.runs.launch_rows import LaunchRows, identity
from harness.runs.pace import Pace
from harness.runs.privacy import hide
from harness.runs.run import Place, Run
from harness.runs.scratch import scratch_folder, write_arrays, write_dataset
from harness.runs.worker_process import run_job
from harness.spec.networks import get_network
from harness.spec.start import Weights, initial_weights, weights_digest
from harness.worker import peak
from harness.worker.job import Entrant, Job


@dataclass(frozen=True)
class Shared:
    """What all launches of a round have in common.

    Attributes:
        scratch: the folder of the data set's arrays, and of the launches' own folders.
        weights_file: the initial weights, .npz.
        weights_sha256: of these, as every launch must give it back.
        turns: in how many turns or more they time their steady training; 0 for none.
        inference_sizes: that they time inference with; none where it is known already, or not asked for.
        turn_seed: what the starts and batches of their turns follow from.
        starts: that their turns may begin from.
        start_files: these, .npz.
    """

    scratch: Path
    weights_file: Path
    weights_sha256: str
    turns: int
    inference_sizes: tuple[int, ...]
    turn_seed: int
    starts: tuple[Weights, ...]
    start_files: tuple[str, ...]


class Rounds:
    """One run under way.

    Attributes:
        failures: entrant label -> why it left the run.
        ending: why there were no more rounds, a sentence; empty until `execute` has returned.
    """

    def __init__(self, run: Run, display: Display) -> None:
        self.run = run
        self.plan = run.plan
        self.folder = run.folder
        self.display = display
        self.failures: dict[str, WorkerFailed] = {}
        self.packages: dict[str, list[str]] = {}
        self.ending = ""
        self._done = Done(run.folder, run.plan)
        self._digests: dict[tuple[int, int], str] = {}
        backends = dict.fromkeys(entrant.backend for entrant in run.plan.entrants)
        self._code = {name: code.digests(name) for name in backends}
        self._peaks: dict[tuple[int, str], dict[str, Any]] = {}
        self._pace: Pace | None = None
        self._allocation = Allocation()

    def execute_round(self, plan_round: int, scratch: Path) -> None:
        """Launch one round of the plan, into a folder that has none, and leave the others to others.

        Args:
            scratch: a folder with the data set in it (`scratch.write_dataset`).
        """
        cpus = self.run.cpus
        with self.folder.lock(), live_runs.announced(f"a round of {self.folder.name}", cpus):
            self._write_environment()
            self.display.start(len(self.plan.entrants))
            self._round(plan_round, scratch)
            self._write_environment()

    def execute(self, *, packages: Mapping[str, list[str]] = MappingProxyType({})) -> None:
        """Launch whatever the folder does not have yet. An entrant that fails leaves the run; the others go on.

        What it is done with is in environment.json before there is a row of it. No other process writes there.

        Args:
            packages: by installation, of launches that are in the folder already.
        """
        self.packages = dict(packages)
        cpus = self.run.cpus
        for warning in live_runs.warnings(cpus):
            self.display.note(warning, "bold red")
        with self.folder.lock(), live_runs.announced(f"the run {hide(str(self.folder.path))}", cpus):
            self._write_environment()
            try:
                self._execute()
            finally:
                self._write_environment()

    def _write_environment(self) -> None:
        self.run.write_environment(self.packages, self._code)

    def _execute(self) -> None:
        self._done.tidy()
        self.folder.forget_summary()
        rows = self._done.timed()
        spent_s = float(rows["launch_s"].fillna(0).sum())
        begun = int(rows["plan_round"].max()) if len(rows) else 0
        pace = Pace(self.plan, begun=begun, spent_s=spent_s, round_s=self._round_s(spent_s, len(rows)))
        self._pace = pace
        try:
            with scratch_folder() as scratch:
                write_dataset(self.run.dataset, scratch)
                self.display.start(len(self.plan.entrants), "preparing the first round")
                self._go_on(pace, scratch)
                self._train(scratch)
        finally:
            # Its summary says that a run is no longer under way (`RunFolder.has_ended`), also after Ctrl-C.
            launches, epochs = (self.folder.read_counted(table) for table in ("launches", "epochs"))
            self.folder.write_summary(summarise(launches, epochs, base=self.base))
        self.ending = pace.ending

    def _go_on(self, pace: Pace, scratch: Path) -> None:
        number, trainings = 1, len(self.plan.trainings)
        self._expect(pace.rounds_left(), trainings, or_more=pace.may_be_more)
        while pace.wants_round(number):
            if self.plan.timing:
                self.display.round_started(number, pace.title(number))
            else:
                self.display.training_started(number, self.plan.rounds)
            self._make_up(number, scratch)
            found = compare_entrants(self._rows_left(), base=self.base)
            pace.round_ended(found, shortest_s=self._allocation.shortest_s)
            self._expect(pace.rounds_left(), trainings, or_more=pace.may_be_more)
            self.display.round_ended(pace)
            number += 1
            if len(self.failures) == len(self.plan.entrants):
                break

    def _train(self, scratch: Path) -> None:
        """Train the epochs, once all is timed: nobody who asks for speeds waits for them."""
        for number in self.plan.trainings:
            if len(self.failures) < len(self.plan.entrants):
                self.display.training_started(-number, len(self.plan.trainings))
                self._expect(0, len(self.plan.trainings) + number + 1)
                self._make_up(number, scratch)

    def _expect(self, rounds: int, trainings: int, *, or_more: bool = False) -> None:
        """Tell the display what is to come."""
        left = [each for each in self.plan.entrants if each.label not in self.failures]
        found = to_come.pieces(self.plan, left, self._done.timed(), rounds=rounds, trainings=trainings)
        self.display.outlook.expect(found, or_more=or_more)

    def _make_up(self, plan_round: int, scratch: Path) -> None:
        """Launch a round of the plan, unless the folder has it."""
        labels = [each.label for each in self.plan.entrants if each.label not in self.failures]
        if self._done.lacks(plan_round, labels):
            self._round(plan_round, scratch)
            self.display.outlook.end()

    @property
    def base(self) -> str:
        """The base that was asked for, unless it failed or has not been timed: there is nothing to compare with."""
        rows = self._rows_left()
        timed = rows["label"][(rows["status"] == "ok") & rows["train_images_per_s"].notna()]
        return self.plan.base if self.plan.base in set(timed) else ""

    def _rows_left(self) -> pd.DataFrame:
        """Launches that count, of the entrants that have not left the run."""
        rows = self._done.rows()
        return rows[~rows["label"].isin(self.failures).to_numpy(bool)]

    def _round_s(self, spent_s: float, launches: int) -> float:
        """Seconds of a round that is timed, from the launches that there are; 0 without any."""
        return spent_s / launches * len(self.plan.entrants) if launches else 0.0

    def _round(self, plan_round: int, scratch: Path) -> None:
        """Launch a round of the plan, whole."""
        network = get_network(self.plan.entrants[0].network)
        seed = self.plan.seed_of(plan_round)
        weights = initial_weights(network, seed=seed, initialiser=self.plan.recipe.initialiser)
        weights_file = scratch / f"weights-{seed}.npz"
        write_arrays(weights_file, weights)
        self._peaks.clear()
        number = self._done.next_number()
        places = [
            Place(number, position, entrant, plan_round)
            for position, entrant in enumerate(self.plan.order(plan_round), start=1)
            if entrant.label not in self.failures
        ]
        shared = self._share(scratch, weights_file, weights, places)
        turns = shared.turns
        if turns:
            self._allocation.round_begins()
            self.display.outlook.begin(to_come.timed_round(self.plan, [place.entrant for place in places]))
        launches = [self._make_launch(place, shared) for place in places]
        try:
            if turns:
                self._take_turns(launches, random.Random(f"{self.plan.seed}/{plan_round}/turns"))
            for each in launches:
                if not turns:
                    self.display.outlook.begin(to_come.training(self.plan, each.job.entrant, each.job.epochs))
                self.display.launch_started(each.job.entrant.label, timed=bool(turns))
                if not turns:
                    each.begin()
                self._finish(each, shared)
        finally:
            for each in launches:
                each.close()
        self._allocation.round_ends()
        self._done.settle(plan_round)

    def _share(self, scratch: Path, weights_file: Path, weights: Weights, places: list[Place]) -> Shared:
        plan_round = places[0].plan_round
        times, labels = self.plan.times(plan_round), [place.entrant.label for place in places]
        wanted = times and wants_inference(self._done.rows(), plan_round, labels)
        starts, files = [weights], [str(weights_file)]
        if self.run.trained is not None:
            trained = scratch / "trained.npz"
            if not trained.exists():
                write_arrays(trained, self.run.trained)
            starts.append(self.run.trained)
            files.append(str(trained))
        seed, digest = secrets.randbits(63), weights_digest(weights)
        turns, sizes = self.plan.turns if times else 0, self.plan.inference_sizes if wanted else ()
        return Shared(scratch, weights_file, digest, turns, sizes, seed, tuple(starts), tuple(files))

    def _make_launch(self, place: Place, shared: Shared) -> Launch:
        entrant, folder = place.entrant, shared.scratch / f"{place.round}-{place.position}"
        row = identity(self.run, place)
        if shared.inference_sizes:
            row |= self._peak(entrant, shared.scratch)
        peak = highest_peak(self._done.rows(), cpus=entrant.cpus, dtype=entrant.dtype)
        return Launch(
            self._job(place, folder, shared),
            LaunchRows(row, label=entrant.label, display=self.display, peak_gflops=peak),
            interpreter=self.run.interpreters[entrant.installation].path,
            folder=folder,
            timeout_s=self.plan.launch_timeout_s,
            source=self.run.sources.get(entrant.variant),
        )

    def _take_turns(self, launches: list[Launch], order: random.Random) -> None:
        taking_turns.start(launches, self._start_groups(launches), self.display)
        turns = self._turns_of(launches)
        self._allocation.turns_begin()
        taken = taking_turns.take_turns(launches, turns, order, self.display)
        self._allocation.turns_end(taken)

    def _start_groups(self, launches: list[Launch]) -> list[list[int]]:
        """The CPUs that launches start on, a group for each that starts at a time; one where starting is measured."""
        entrants, plan_round = [each.job.entrant for each in launches], launches[0].rows.row["plan_round"]
        # A replica that has started cannot be moved.
        pinned = all(
            each.device == "cpu" and each.environment == "controlled" and each.replicas == 1 for each in entrants
        )
        labels = [each.label for each in entrants]
        if not pinned or (self.plan.measures_starts and not knows_starts(self._done.rows(), plan_round, labels)):
            return [[]]
        taken = {cpu for other in live_runs.others() or [] for cpu in other.cpus}
        return starting.groups(self.run.cpus, taken=taken)

    def _turns_of(self, launches: list[Launch]) -> int:
        """How many turns these have: so many that they are timed for as long as is asked for, or more."""
        least = self.plan.turns_of([each.block_s for each in launches])
        if self._pace is None:
            return least
        return self._allocation.turns(least, self._rows_left(), left_s=self._pace.left_s)

    def _finish(self, each: Launch, shared: Shared) -> None:
        """Take in a launch's result and write its rows."""
        entrant = each.job.entrant

        def check(result: dict[str, Any]) -> None:
            self._check_packages(entrant, result.pop("packages"))
            self._check_digests(each.job.seed, entrant.batch_size, result, shared.weights_sha256)
            self._check_code(entrant.backend)

        def audit(said: list[str]) -> dict[str, Any]:
            auditor = self.run.auditor if each.job.output else None
            if auditor is None:
                return {}
            self.display.auditing(entrant.label)
            return auditor.check(each.job, shared.starts, said)

        each.finish(check, audit)
        if each.error:
            self.failures[entrant.label] = each.error
        each.rows.write(self.folder, launch_s=each.seconds)
        self.display.launch_finished(each.rows.row, each.error)

    def _peak(self, entrant: Entrant, scratch: Path) -> dict[str, Any]:
        """The machine's peak in this round, on the same CPUs, a thread each; empty where it says nothing.

        Always in the harness's own interpreter: a peak of each worker's NumPy would flatter those with an old one.
        """
        measurable = entrant.device == "cpu" and entrant.dtype in peak.DTYPES
        if not measurable:
            return {}
        key = (entrant.cpus, entrant.dtype)
        if key not in self._peaks:
            folder = scratch / "peak"
            asked = asked_controls(entrant, folder, self.plan.cpus)
            job = Job(kind="peak", entrant=entrant, recipe={}, seed=0, data="", weights="", asked=asked)
            self._peaks[key] = {}
            self.display.doing("timing matrix multiplication, the machine's peak", timed=True)
            try:
                self._peaks[key] = run_job(
                    job, interpreter=sys.executable, folder=folder, timeout_s=60, listen=lambda message: None
                )
            except WorkerFailed as error:
                self.display.note(f"The machine's peak could not be measured: {error}", "yellow")
            shutil.rmtree(folder, ignore_errors=True)
        return self._peaks[key]

    def _job(self, place: Place, folder: Path, shared: Shared) -> Job:
        plan = self.plan
        times = plan.times(place.plan_round)
        more: dict[str, Any] = {}
        # Workers of another commit know nothing of these.
        if self.run.auditor is not None and place.entrant.variant not in self.run.sources:
            more = {"output": str(folder / "audited")}
            more |= {"turn_seed": shared.turn_seed, "starts": shared.start_files} if times else {}
        return Job(
            kind="measure" if times else "train",
            entrant=place.entrant,
            recipe=plan.recipe.as_dict(),
            seed=plan.seed_of(place.plan_round),
            data=str(shared.scratch),
            weights=str(shared.weights_file),
            epochs=plan.epochs_of(place.plan_round),
            asked=asked_controls(place.entrant, folder, plan.cpus),
            steady_s=plan.steady_s,
            turns=shared.turns,
            inference_sizes=shared.inference_sizes,
            until=plan.until,
            train_accuracy=plan.train_accuracy,
            audit_batches=plan.audit_batches,
            **more,
        )

    def _check_packages(self, entrant: Entrant, packages: list[str]) -> None:
        """What is installed must stay as it was when the run began; it is on disk before any row of it."""
        known = self.packages.setdefault(entrant.installation, packages)
        if known is packages:
            self._write_environment()
        # Workers of another commit may list them otherwise.
        elif known != packages and entrant.variant not in self.run.sources:
            moved = ", ".join(package_changes(known, packages))
            raise WorkerFailed(
                f"After the run began, what is installed for {entrant.installation} was changed: {moved}. Put it back "
                "and go on with --resume, or start a new run."
            )

    def _check_code(self, backend: str) -> None:
        """What was verified, or at the least what the run began with, must be what ran."""
        parts = code.changed(self._code[backend], code.digests(backend))
        if parts:
            since = "it was verified" if self.plan.verified else "the run began"
            raise WorkerFailed(
                f"After {since}, its code was changed: {', '.join(parts)}. What was timed may be either. Start "
                "a new run."
            )

    def _check_digests(self, seed: int, batch_size: int, result: dict[str, Any], weights_sha256: str) -> None:
        """Every backend must have started from the same weights and met the same batches."""
        if result["weights_sha256"] != weights_sha256:
            raise WorkerFailed(f"weights_sha256 is {result['weights_sha256']}, the harness made {weights_sha256}.")
        first = self._digests.setdefault((seed, batch_size), result["batches_sha256"])
        if result["batches_sha256"] != first:
            raise WorkerFailed(f"batches_sha256 is {result['batches_sha256']}, the first backend had {first}.")
