"""Which entrants have been verified on this machine: a run times no other, unless it is told to.

A certificate is for exactly one backend, version, mode, precision, device, network and recipe, and for the very code
that was verified: another byte in the backend or in what defines the computation, and it is void.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from harness.data.sources import cache_folder
from harness.errors import Regression
from harness.files import write_text_atomically
from harness.proof import code, proving
from harness.proof.proving import Outcome, Subject
from harness.runs import interpreters
from harness.runs.plan import Plan
from harness.spec.recipe import Recipe

WORST = "worst share of a tolerance"


def require(plan: Plan, *, pythons: dict[str, str]) -> None:
    """Verify the plan's entrants that have no certificate yet.

    Raises:
        Regression: one of them is not what it should be; nothing has been timed.
    """
    failed = [
        f"{outcome.subject.entrant.backend} {outcome.subject.entrant.mode}: {' '.join(outcome.sentences)}"
        for outcome in verify_missing(plan, pythons=pythons)
        if not outcome.passed
    ]
    if failed:
        raise Regression(
            f"Not timed, because it has not passed verification. {' '.join(failed)} Look at it with "
            "lenet-bench verify --details; time it all the same with --unverified."
        )


def verify_missing(plan: Plan, *, pythons: dict[str, str]) -> list[Outcome]:
    """Verify the plan's entrants that have no certificate yet, and keep one for each that passes."""
    # Feed, threads and batch size change no formula: one of each kind stands for all, handed its batches by the host.
    # What a resident data set gives is in `batches_sha256` of every launch.
    subjects = [Subject(replace(entrant, feed="host"), plan.recipe) for entrant in plan.entrants]
    kinds = {_kind(subject): subject for subject in subjects}
    found = interpreters.find_all([each.entrant for each in kinds.values()], given=pythons)
    missing = [each for each in kinds.values() if not path_of(each, found[each.entrant.installation].version).exists()]
    if not missing:
        return []
    outcomes = []
    for outcome in proving.verify(
        missing, data_set=plan.data_set, data_dir=plan.data_dir, seed=0, pythons=pythons,
        timeout_s=plan.launch_timeout_s,
    ):  # fmt: skip
        if outcome.passed:
            keep(outcome)
        outcomes.append(outcome)
    passed = [f"{each.subject.entrant.backend} {each.subject.entrant.mode}" for each in outcomes if each.passed]
    if passed:
        print(f"Passed verification: {', '.join(passed)}.", file=sys.stderr)
    return outcomes


def keep(outcome: Outcome) -> None:
    """Write the certificate of an outcome that passed."""
    worst = max((check.error / check.tolerance for check in outcome.checks if check.tolerance), default=0.0)
    path = path_of(outcome.subject, outcome.version)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_key(outcome.subject, outcome.version) | {WORST: worst}, indent=1, sort_keys=True)
    write_text_atomically(path, text + "\n")


def path_of(subject: Subject, version: str) -> Path:
    """Where the certificate of a subject is, if it has one."""
    key = json.dumps(_key(subject, version), sort_keys=True)
    return cache_folder() / "certificates" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _key(subject: Subject, version: str) -> dict[str, object]:
    entrant = subject.entrant
    return {
        "backend": entrant.backend, "framework_version": version, "mode": entrant.mode, "device": entrant.device,
        "dtype": entrant.dtype, "network": entrant.network, "recipe": _formula(subject.recipe),
        "code": code.digest(entrant.backend),
    }  # fmt: skip


def _formula(recipe: Recipe) -> dict[str, object]:
    """The recipe without what changes no formula."""
    return {name: value for name, value in recipe.as_dict().items() if name not in ("batch_size", "epochs", "source")}


def _kind(subject: Subject) -> str:
    return json.dumps(_key(subject, subject.entrant.version), sort_keys=True)
