"""What `verify` does once its options are read: the proof, entrant by entrant, and its certificate."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import WorkerFailed
from harness.proof import kept
from harness.proof.bisection import explain
from harness.proof.problem import Check, Problem
from harness.proof.rounding import KINDS, ORDERS
from harness.results.schema import SCHEMA_VERSION
from harness.runs import code, interpreters
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.preparation import load_for_network
from harness.runs.scratch import scratch_folder
from harness.runs.worker_process import run_job
from harness.spec.networks import get_network
from harness.spec.precision import array_dtype
from harness.spec.recipe import Recipe
from harness.spec.start import initial_weights
from harness.worker import catalogue
from harness.worker.job import Entrant, Job
from harness.worker.quantities import Quantities

Row = dict[str, Any]
# Checks beside those of quantities, which fail where there is nothing to compare, or no one thing that was verified.
LAUNCH, CODE = "launch", "code"


@dataclass(frozen=True)
class Subject:
    """What is to be verified: an entrant that trains by a recipe."""

    entrant: Entrant
    recipe: Recipe

    @property
    def problem(self) -> tuple[str, str, str]:
        """Subjects of one problem are given the same batches, and held against the same reference."""
        return self.entrant.network, self.recipe.name, self.entrant.dtype


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        checks: in the order of computation.
        sentences: where it begins to differ and what that looks like; none where all passed.
        version: of the framework.
        packages_sha256: of everything that was installed beside it.
        code: digests of what was verified, as it stood before the launch (`code.digests`).
    """

    subject: Subject
    seed: int
    checks: list[Check]
    sentences: list[str]
    version: str
    packages_sha256: str
    code: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)

    def rows(self) -> list[Row]:
        """Rows of verification.csv."""
        entrant, now = self.subject.entrant, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        fields = {name: getattr(entrant, name) for name in ("backend", "network", "mode", "device", "dtype", "threads")}
        fields |= {
            "schema_version": SCHEMA_VERSION, "framework_version": self.version, "recipe": self.subject.recipe.name,
            "packages_sha256": self.packages_sha256, "seed": self.seed, "verified_utc": now,
        }  # fmt: skip
        return [
            fields | {
                "quantity": check.quantity, "error": check.error, "tolerance": check.tolerance, "passed": check.passed,
            }
            for check in self.checks
        ]  # fmt: skip


def verify(
    subjects: list[Subject],
    *,
    data_set: str,
    data_dir: str | None,
    seed: int,
    pythons: dict[str, str],
    timeout_s: float,
) -> Iterator[Outcome]:
    """Launch each subject on the verification problem of its network and recipe; compare with the reference.

    Args:
        data_set: of the images; empty for each recipe's own.
    """
    found = interpreters.find_all([each.entrant for each in subjects], given=pythons)
    problems = [(key, list(group)) for key, group in groupby(subjects, key=lambda each: each.problem)]
    with Display() as display, scratch_folder() as scratch:
        inexact = {(each.problem, _errors(each)) for each in subjects if _errors(each)}
        pieces = len(problems) * (ORDERS + 1) + len(inexact) * ORDERS + len(subjects)
        display.start(pieces, "measuring what rounding allows")
        launching = Launching(found, seed=seed, scratch=scratch, timeout_s=timeout_s, display=display)
        for (name, _, dtype), group in problems:
            recipe, network = group[0].recipe, get_network(name)
            dataset = load_for_network(network.name, data_set or recipe.data_set_asked, data_dir, display)
            display.note(f"{network.name}, recipe {recipe.name}, on {dataset.name}, {dtype}, seed {seed}")
            weights = initial_weights(network, seed=seed, initialiser=recipe.initialiser)
            problem = kept.pose(network, recipe, dataset, weights, dtype=dtype, tick=display.advance)
            _write(scratch, problem, dtype)
            posed: dict[tuple[tuple[str, float], ...], Problem] = {(): problem}
            for subject in group:
                errors = _errors(subject)
                if errors not in posed:
                    posed[errors] = kept.allow_for(problem, dataset, dict(errors), tick=display.advance)
                yield launching.outcome(subject, posed[errors])
                display.advance()


def _errors(subject: Subject) -> tuple[tuple[str, float], ...]:
    """Kinds and sizes of the errors that a backend declares, as far as its recipe has anything to do with them."""
    declared = getattr(catalogue.facts(subject.entrant.backend), "INEXACT", {}).get(subject.entrant.dtype, {})
    adam = subject.recipe.optimizer == "adam"
    return tuple((kind, size) for kind, size in sorted(declared.items()) if adam or kind != "adam_rate")


def _write(scratch: Path, problem: Problem, dtype: str) -> None:
    np.savez(scratch / "weights.npz", **problem.weights)  # type: ignore[arg-type]
    np.savez(scratch / "problem.npz", images=problem.images.astype(array_dtype(dtype)), labels=problem.labels)


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

    def outcome(self, subject: Subject, problem: Problem) -> Outcome:
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
            quantities, told = self._launch(subject)
        except WorkerFailed as error:
            # One that cannot be launched has not passed, and the others go on.
            return Outcome(subject, self.seed, [Check(LAUNCH, math.nan, 0.0)], [str(error)], version, "", before)
        checks = problem.check(quantities)
        sentences = explain(problem, quantities, checks)
        changed = code.changed(before, code.digests(entrant.backend))
        if changed:
            checks.append(Check(CODE, math.nan, 0.0))
            sentences.append(f"While it was verified, its code was changed: {', '.join(changed)}. Verify it again.")
        return Outcome(subject, self.seed, checks, sentences, version, told["packages_sha256"], before)

    def _launch(self, subject: Subject) -> tuple[Quantities, Row]:
        entrant = subject.entrant
        words = f"{entrant.installation} {entrant.mode} {entrant.network} {subject.recipe.name}"
        folder = self.scratch / words.replace(" ", "-")
        job = Job(
            kind="verify",
            entrant=entrant,
            recipe=subject.recipe.as_dict(),
            seed=0,
            data=str(self.scratch / "problem.npz"),
            weights=str(self.scratch / "weights.npz"),
            output=str(folder.with_suffix(".npz")),
            asked=asked_controls(entrant, folder),
        )
        interpreter = self.interpreters[entrant.installation].path
        told = run_job(
            job, interpreter=interpreter, folder=folder, timeout_s=self.timeout_s, listen=lambda message: None
        )
        with np.load(job.output, allow_pickle=False) as archive:
            return dict(archive), told
