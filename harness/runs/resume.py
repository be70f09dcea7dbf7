"""Going on with a run: only with what it was begun with, or with entrants of their own from here on.

Rows of one entrant are taken for measurements of one thing. So a run goes on only where lenet-bench, its code, the
frameworks, all that is installed beside them and Python are what the run's rows are of. Where they are not, the plan's
entrants can go on under other names (`from round 4`): they are compared with the old ones as with another run's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

import harness
from harness.errors import InputError
from harness.results.changes import package_changes
from harness.results.folder import RunFolder
from harness.results.machines import difference, recorded
from harness.runs import code, interpreters
from harness.runs.asked_controls import controls_digest
from harness.runs.done import Done
from harness.runs.interpreters import Interpreter
from harness.runs.machine import this_machine
from harness.runs.plan import Plan

# What environment.json keeps of the part of a run that is over.
KEPT = ("lenet_bench", "code", "plan", "packages", "interpreters", "controls", "variables_set_aside")
FROM = re.compile(r"\s*\bfrom round \d+$")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Resumed:
    """How a run goes on.

    Attributes:
        plan: the run's own, or that of the entrants from here on.
        packages: by installation, as environment.json has them.
        notes: of `Run`.
    """

    plan: Plan
    packages: Mapping[str, list[str]]
    notes: Mapping[str, Any]


def plan_of(folder: RunFolder) -> Plan:
    """The plan that a run was begun with, or last went on with.

    Raises:
        InputError: the folder is no run, or one of the gate's, which needs the other commit's code.
    """
    environment = folder.read_environment()
    if "against" in environment:
        raise InputError(
            f"{folder.path} holds this code against a commit ({environment['against']}), which is here no more. Run "
            "the gate again: lenet-bench gate --speed --against ..."
        )
    return Plan.from_dict(environment.get("plan", {}))


def resumed(folder: RunFolder, plan: Plan, found: Mapping[str, Interpreter], *, anew: bool = False) -> Resumed:
    """Check that a run may go on here and now, and say with what.

    Args:
        plan: as `plan_of`.
        found: by installation, what its entrants would run in.
        anew: whether they go on as entrants of their own.

    Raises:
        InputError: it was measured on another machine; or something has changed and `anew` is not given, or nothing
            has and it is.
        WorkerFailed: an interpreter cannot be asked.
    """
    environment = folder.read_environment()
    _check_machine(folder)
    changed = changes(folder, environment, plan, found)
    packages = _dict(environment.get("packages"))
    earlier = environment.get("earlier") if isinstance(environment.get("earlier"), list) else []
    if anew and not changed:
        raise InputError(f"Nothing has changed since {folder.path} was begun. Go on without --anew-from-here.")
    if not anew:
        if changed:
            raise InputError(
                f"{folder.path} was measured with something else than what is here now: {'; '.join(changed)}. Rows of "
                "both would pass for one entrant's. Put it back, start a new run, or go on with entrants of their own: "
                f"lenet-bench run --resume {folder.path} --anew-from-here"
            )
        return Resumed(plan, packages, {"earlier": earlier} if earlier else {})
    number = Done(folder, plan).next_number()
    _check_controls(folder, plan)
    past = {name: environment[name] for name in KEPT if name in environment} | {"until_round": number - 1}
    return Resumed(anew_from(plan, number), {}, {"earlier": [*(earlier or []), past]})


def without_part(variant: str) -> str:
    """A variant as it was before its entrant went on as another."""
    return FROM.sub("", variant)


def anew_from(plan: Plan, number: int) -> Plan:
    """The plan with entrants of their own, whose first round has this number."""
    names = {}
    entrants = []
    for each in plan.entrants:
        variant = " ".join(part for part in (without_part(each.variant), f"from round {number}") if part)
        entrants.append(replace(each, variant=variant))
        names[each.label] = entrants[-1].label
    return replace(plan, entrants=tuple(entrants), base=names.get(plan.base, ""))


def changes(
    folder: RunFolder, environment: Mapping[str, Any], plan: Plan, found: Mapping[str, Interpreter]
) -> list[str]:
    """What is not as it was when the plan's rows were measured, `name old → new` each; none where there are no rows."""
    rows = Done(folder, plan).rows()
    if rows.empty:
        return []
    version = str(environment.get("lenet_bench", UNKNOWN))
    changed = [] if version == harness.__version__ else [f"lenet-bench {version} → {harness.__version__}"]
    changed += _code_changes(_dict(environment.get("code")), plan)
    for name in dict.fromkeys(entrant.installation for entrant in plan.entrants):
        labels = [entrant.label for entrant in plan.entrants if entrant.installation == name]
        of_rows = rows[rows["label"].isin(labels).to_numpy(bool)]
        if len(of_rows):
            changed += _installed_changes(name, of_rows, found[name], _dict(environment.get("packages")).get(name))
    return changed


def _code_changes(before: Mapping[str, Any], plan: Plan) -> list[str]:
    """The parts of the code that are not as they were, each once, with the beginnings of its digests."""
    if not before:
        return ["code unknown (environment.json has no digests of it: an older lenet-bench wrote it)"]
    changed = {}
    for backend in dict.fromkeys(entrant.backend for entrant in plan.entrants):
        then, now = _dict(before.get(backend)), code.digests(backend)
        for part in code.changed(then, now):
            name = f"code of {backend}" if part == "backend" else f"code of harness ({part})"
            changed[name] = f"{name} {str(then.get(part, UNKNOWN))[:8]} → {now.get(part, UNKNOWN)[:8]}"
    return list(changed.values())


def _installed_changes(name: str, rows: pd.DataFrame, interpreter: Interpreter, known: Any) -> list[str]:
    """What is installed otherwise for one installation than its rows say."""
    changed = []
    for version in sorted(set(rows["framework_version"].dropna())):
        # A CUDA wheel of PyTorch calls itself 2.11.0+cu130, and 2.11.0 in its metadata.
        if interpreter.version not in (version, version.partition("+")[0]):
            changed.append(f"{name} {version} → {interpreter.version}")
    installed = interpreters.installed_at(interpreter.path)
    for python in sorted(set(rows["python_version"].dropna()) - {installed.python}):
        changed.append(f"Python of {name} {python} → {installed.python}")
    if isinstance(known, list):
        moved = package_changes(map(str, known), installed.packages)
        changed += [f"{each} (installed for {name})" for each in moved if each not in changed]
    elif set(rows["packages_sha256"].dropna()) - {installed.sha256}:
        changed.append(f"packages installed for {name}, by their digests: environment.json has no list of them")
    return changed


def _check_machine(folder: RunFolder) -> None:
    launches = folder.read("launches")
    if set(launches["machine_sha256"].dropna()) - {this_machine().sha256}:
        differs = difference(recorded(folder), this_machine().details)
        raise InputError(f"{folder.path} was measured on another machine. It differs: {differs}. Start a new run.")


def _check_controls(folder: RunFolder, plan: Plan) -> None:
    """Refuse to go on in one folder with what could never be shown in one table."""
    before = set(folder.read_counted("launches")["controls_sha256"].dropna())
    if before - {controls_digest(each) for each in plan.entrants}:
        raise InputError(f"{folder.path} was measured under other controls than there are now. Start a new run.")


def _dict(value: Any) -> dict[str, Any]:
    """One object of environment.json, which people may have edited."""
    return value if isinstance(value, dict) else {}
