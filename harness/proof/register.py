"""Which entrants have been verified on this machine: a run times no other, unless it is told to.

A certificate is for exactly one backend, version, mode, precision, device, network and recipe, on one machine, with the
very packages and the very code that were verified: another byte in the backend, in one that it wraps, in the reference
or in the harness, and it is void. It is read and compared, never only there.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from harness.data.sources import cache_folder
from harness.errors import LenetBenchError, Regression
from harness.files import write_text_atomically
from harness.proof import proving
from harness.proof.outcome import Outcome, Subject
from harness.proof.twins import twins_of
from harness.runs import code, interpreters
from harness.runs.display import Display
from harness.runs.machine import this_machine
from harness.runs.plan import Plan
from harness.spec.recipe import Recipe
from harness.worker import catalogue
from harness.worker.job import USUAL, Entrant

Key = dict[str, Any]
WORST = "worst share of a tolerance"


def require(plan: Plan, *, pythons: dict[str, str]) -> None:
    """Verify the plan's entrants that have no certificate yet.

    Raises:
        Regression: one of them is not what it should be; nothing has been timed.
    """
    failed = [
        f"{_name(outcome.subject.entrant)}: {' '.join(outcome.sentences)}"
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
    subjects = [Subject(entrant, plan.recipe) for entrant in plan.entrants]
    missing = without_certificate(subjects, pythons=pythons)
    if not missing:
        return []
    outcomes = []
    for outcome in proving.verify(
        missing, data_set=plan.data_set, data_dir=plan.data_dir, seed=0, pythons=pythons,
        timeout_s=plan.launch_timeout_s, proven=proven_twins(missing, pythons=pythons),
    ):  # fmt: skip
        if outcome.passed:
            keep(outcome)
        outcomes.append(outcome)
    passed = [_name(each.subject.entrant) for each in outcomes if each.passed]
    if passed:
        print(f"Passed verification: {', '.join(passed)}.", file=sys.stderr)
    return outcomes


def without_certificate(subjects: list[Subject], *, pythons: dict[str, str]) -> list[Subject]:
    """Those of the subjects that have not passed yet, one of each kind."""
    missing: dict[str, Subject] = {}
    for subject, key in _keys(subjects, pythons):
        if kept(key) is None:
            missing.setdefault(_digest(key), subject)
    return list(missing.values())


def proven_twins(subjects: list[Subject], *, pythons: dict[str, str]) -> set[Subject]:
    """The twins in full precision, of those in a mixed one, that have a certificate."""
    return {each for each, key in _keys(twins_of(subjects), pythons) if kept(key) is not None}


def _keys(subjects: list[Subject], pythons: dict[str, str]) -> list[tuple[Subject, Key]]:
    """The subjects, each with the key that a certificate for it would have now."""
    if not subjects:
        return []
    with Display() as display:
        display.doing("looking for certificates")
        found = interpreters.find_all([each.entrant for each in subjects], given=pythons)
        packages = {each.path: interpreters.packages_digest(each.path) for each in found.values()}
    keys = []
    for subject in subjects:
        interpreter = found[subject.entrant.installation]
        key = key_of(
            subject, version=interpreter.version, packages_sha256=packages[interpreter.path],
            code=code.digests(subject.entrant.backend),
        )  # fmt: skip
        keys.append((subject, key))
    return keys


def keep(outcome: Outcome) -> None:
    """Write the certificate of an outcome that passed; a cache that cannot be written costs time alone."""
    worst = max((check.error / check.tolerance for check in outcome.checks if check.tolerance), default=0.0)
    key = key_of(outcome.subject, version=outcome.version, packages_sha256=outcome.packages_sha256, code=outcome.code)
    path = path_of(key)
    text = json.dumps({"key": key, WORST: worst, "sha256": _digest([key, worst])}, indent=1, sort_keys=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, text + "\n")
    except (OSError, LenetBenchError) as error:
        print(f"The certificate is not kept, the next run verifies again: {error}", file=sys.stderr)


def kept(key: Key) -> float | None:
    """The worst share of a tolerance in a certificate that says in full that it is for this; None without one."""
    try:
        values = json.loads(path_of(key).read_text(encoding="utf-8"))
        said, worst = values["key"], float(values[WORST])
        whole = _digest([said, worst]) == values["sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return worst if whole and _digest(said) == _digest(key) and 0 <= worst <= 1 else None


def path_of(key: Key) -> Path:
    """Where the certificate with this key is, if there is one."""
    return cache_folder() / "certificates" / f"{_digest(key)}.json"


def key_of(subject: Subject, *, version: str, packages_sha256: str, code: dict[str, str]) -> Key:
    """All that can change what a subject computes.

    Args:
        version: of the framework.
        packages_sha256: of all that is installed beside it (`interpreters.packages_digest`).
        code: digests, part by part (`code.digests`).
    """
    entrant = subject.entrant
    names = (
        "backend",
        "mode",
        "feed",
        "device",
        "dtype",
        "threads",
        "batch_size",
        "environment",
        "network",
        "replicas",
    )
    return {name: getattr(entrant, name) for name in names} | {
        "framework_version": version, "block_steps": catalogue.steps_of(entrant), "recipe": _formula(subject.recipe),
        "packages_sha256": packages_sha256, "machine_sha256": this_machine().sha256, "code": code,
    }  # fmt: skip


def _name(entrant: Entrant) -> str:
    """Backend and mode, and the precision where it is not the usual one."""
    return " ".join([entrant.backend, entrant.mode] + [entrant.dtype] * (entrant.dtype != USUAL["dtype"]))


def _formula(recipe: Recipe) -> dict[str, object]:
    """The recipe without what changes no formula."""
    return {name: value for name, value in recipe.as_dict().items() if name not in ("batch_size", "epochs", "source")}


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
