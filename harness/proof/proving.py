"""What `verify` does once its options are read: the proof, entrant by entrant, and its certificate."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from harness.errors import WorkerFailed
from harness.proof import kept, to_come, trials
from harness.proof.arrays import read_arrays
from harness.proof.bisection import explain
from harness.proof.outcome import CODE, LAUNCH, Outcome, Row, Subject
from harness.proof.problem import Check, Problem
from harness.proof.rounding import KINDS, ORDERS, declared_errors
from harness.proof.starts import trained
from harness.proof.trials import Trials
from harness.proof.twins import hold_to, twin_of, with_twins
from harness.runs import code, interpreters, live_runs
from harness.runs.asked_controls import asked_controls, cpus_of
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.preparation import load_for_network
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import run_job
from harness.spec.networks import get_network
from harness.spec.precision import array_dtype
from harness.spec.start import initial_weights
from harness.worker import catalogue
from harness.worker.job import Job
from harness.worker.quantities import Quantities

# Every framework imports and takes its first step in less, also beside three busy processes on two CPUs: 2.5 to 9.4 s.
# Those modes do not that compile for half a minute (PyTorch's `compiled`).
SMOKE_S = 15.0
TRIALS = "trials.npz"


def verify(
    subjects: list[Subject],
    *,
    data_set: str,
    data_dir: str | None,
    seed: int,
    pythons: dict[str, str],
    timeout_s: float,
    proven: Collection[Subject] = (),
) -> Iterator[Outcome]:
    """Launch each subject on the verification problem of its network and recipe; compare with the reference.

    Before those in a mixed precision come their twins in full precision, whose outcomes they need (`twins`).

    Args:
        data_set: of the images; empty for each recipe's own.
        proven: twins that need not be verified again.
    """
    subjects = with_twins(subjects, proven)
    problems = [list(group) for _, group in groupby(subjects, key=lambda each: each.problem)]
    outcomes: dict[Subject, Outcome] = {}
    pinned = sorted({cpu for each in subjects for cpu in cpus_of(each.entrant)})
    with Display() as display, scratch_folder() as scratch, live_runs.announced("a verification", pinned):
        inexact = {(each.problem, _errors(each)) for each in subjects if _errors(each)}
        pieces = len(problems) * (ORDERS + 1) + len(inexact) * ORDERS + len(subjects)
        display.start(pieces, "looking for the frameworks")
        found = interpreters.find_all([each.entrant for each in subjects], given=pythons)
        display.doing("loading images")
        launching = Launching(found, seed=seed, scratch=scratch, timeout_s=timeout_s, display=display)
        for number, group in enumerate(problems):
            display.outlook.expect_later(to_come.all_of(problems[number + 1 :]))
            for outcome in _verify_together(group, launching, data_set=data_set, data_dir=data_dir):
                twin = twin_of(outcome.subject)
                outcomes[outcome.subject] = hold_to(outcome, outcomes.get(twin) if twin else None)
                display.advance()
                with display.aside():
                    yield outcomes[outcome.subject]


def _verify_together(
    subjects: list[Subject], launching: Launching, *, data_set: str, data_dir: str | None
) -> Iterator[Outcome]:
    """Outcomes of subjects of one problem."""
    (name, _, dtype), recipe, display = subjects[0].problem, subjects[0].recipe, launching.display
    network = get_network(name)
    dataset = load_for_network(network.name, data_set or recipe.data_set_asked, data_dir, display)
    display.note(f"{network.name}, recipe {recipe.name}, on {dataset.name}, {dtype}, seed {launching.seed}")
    weights = initial_weights(network, seed=launching.seed, initialiser=recipe.initialiser)
    np.savez(launching.scratch / "weights.npz", **weights)  # type: ignore[arg-type]
    is_kept = kept.is_kept(network, recipe, dataset, weights, dtype=dtype)
    display.outlook.expect(to_come.of(subjects, is_posed=is_kept))
    if not is_kept:
        failed = launching.failing_at_once(subjects)
        yield from failed.values()
        subjects = [each for each in subjects if each not in failed]
    if not subjects:
        return
    display.doing("measuring what rounding allows", piece=None if is_kept else to_come.posing(subjects[0]))
    problem = kept.pose(network, recipe, dataset, weights, dtype=dtype, tick=display.advance)
    np.savez(launching.scratch / "problem.npz", images=problem.images.astype(array_dtype(dtype)), labels=problem.labels)
    posed: dict[tuple[tuple[str, float], ...], Problem] = {(): problem}
    tried: dict[tuple[object, ...], Trials] = {}
    display.doing("training the second start")
    second = trained(network, recipe, dataset)
    for number, subject in enumerate(subjects, start=1):
        entrant, errors = subject.entrant, _errors(subject)
        if errors not in posed:
            display.doing(f"measuring what rounding allows {entrant.label}")
            posed[errors] = kept.allow_for(problem, dataset, dict(errors), tick=display.advance)
        # All entrants with the same batches and tolerances have the same trials.
        alike = (entrant.batch_size, catalogue.steps_of(entrant), errors)
        if alike not in tried:
            display.doing("doing short trainings in float64, as trials", piece=to_come.trials(subject))
            tried[alike] = trials.pose(network.keeping_all(), recipe, dataset, entrant, second, inexact=dict(errors))
        tried[alike].write(launching.scratch / TRIALS, entrant.dtype)
        place = f" ({number} of {len(subjects)})" if len(subjects) > 1 else ""
        display.doing(f"verifying {entrant.label}{place}", piece=to_come.verification(subject))
        yield launching.outcome(subject, posed[errors], tried[alike])
        display.outlook.end()


def _errors(subject: Subject) -> tuple[tuple[str, float], ...]:
    return declared_errors(subject.entrant.backend, subject.entrant.dtype, subject.recipe)


@dataclass(frozen=True)
class Launching:
    """How subjects are launched.

    Attributes:
        interpreters: by `Entrant.installation`.
        seed: of the initial weights.
        scratch: the folder that has the problem's files.
        timeout_s: of a launch.
    """

    interpreters: dict[str, Interpreter]
    seed: int
    scratch: Path
    timeout_s: float
    display: Display

    def failing_at_once(self, subjects: list[Subject]) -> dict[Subject, Outcome]:
        """Those that cannot so much as take one step, each told as soon as it is found.

        A launch for each: as long as importing and compiling take. So it is done where the reference has half a minute
        of work to do first, and not where its answers are on disk; and who has not failed by SMOKE_S is left alone.
        """
        failed, limit = {}, min(SMOKE_S, self.timeout_s)
        for subject in subjects:
            entrant, start = subject.entrant, time.monotonic()
            self.display.doing(f"trying one step of {entrant.label}", piece=to_come.first_step(subject))
            try:
                self._launch(subject, "smoke", timeout_s=limit)
            except WorkerFailed as error:
                if time.monotonic() - start >= limit:
                    continue
                sentence = f"It failed before there was anything to compare. {error}"
                self.display.note(f"{entrant.backend} {entrant.mode}: {sentence}", "bold red")
                failed[subject] = self._no_outcome(subject, sentence, code.digests(entrant.backend))
        return failed

    def _no_outcome(self, subject: Subject, sentence: str, before: dict[str, str]) -> Outcome:
        version = self.interpreters[subject.entrant.installation].version
        return Outcome(subject, self.seed, [Check(LAUNCH, math.nan, 0.0)], [sentence], version, "", before)

    def outcome(self, subject: Subject, problem: Problem, tried: Trials) -> Outcome:
        """Launch a subject on the problem whose files are in the scratch folder, and compare."""
        entrant = subject.entrant
        version = self.interpreters[entrant.installation].version
        self.display.note(f"{entrant.backend} {version} {entrant.mode}")
        for kind, size in _errors(subject):
            self.display.note(
                f"Tolerances allow for {entrant.backend}'s kernels: {KINDS[kind].format(size)}.", "yellow"
            )
        before = code.digests(entrant.backend)
        try:
            quantities, told = self._verified(subject)
        except WorkerFailed as error:
            # One that cannot be launched has not passed, and the others go on.
            return self._no_outcome(subject, str(error), before)
        right = all(check.passed for check in problem.check(quantities))
        checks = problem.check(quantities, tried.check(quantities, patient=right))
        sentences = explain(problem, quantities, checks)
        changed = code.changed(before, code.digests(entrant.backend))
        if changed:
            checks.append(Check(CODE, math.nan, 0.0))
            sentences.append(f"While it was verified, its code was changed: {', '.join(changed)}. Verify it again.")
        return Outcome(subject, self.seed, checks, sentences, version, told["packages_sha256"], before)

    def _verified(self, subject: Subject) -> tuple[Quantities, Row]:
        told, output = self._launch(subject, "verify", timeout_s=self.timeout_s)
        return read_arrays(output), told

    def _launch(self, subject: Subject, kind: str, *, timeout_s: float) -> tuple[Row, Path]:
        """What the worker told, and the file that it wrote."""
        entrant = subject.entrant
        words = f"{kind} {entrant.installation} {entrant.mode} {entrant.network} {subject.recipe.name} {entrant.dtype}"
        words += f" {entrant.feed} {entrant.batch_size} {entrant.threads} {entrant.replicas} {entrant.environment}"
        folder = self.scratch / words.replace(" ", "-")
        output = folder.with_suffix(".npz")
        job = Job(
            kind=kind, entrant=entrant, recipe=subject.recipe.as_dict(), seed=0,
            data=str(self.scratch / "problem.npz"), weights=str(self.scratch / "weights.npz"), output=str(output),
            trials=str(self.scratch / TRIALS) if kind == "verify" else "", asked=asked_controls(entrant, folder),
        )  # fmt: skip
        interpreter = self.interpreters[entrant.installation].path
        return run_job(
            job, interpreter=interpreter, folder=folder, timeout_s=timeout_s, listen=self.display.message
        ), output
