"""What differs between the records of two runs of one entrant; whether it is the cause of anything is not known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Protocol

import pandas as pd

from harness.results.schema import ENTRANT
from harness.worker import job

SOFTWARE = ("framework_version", "packages_sha256", "python_version")
# Of a machine that is the same by its digest, what can still have been updated.
SYSTEM = ("kernel", "libc")
UNKNOWN_PACKAGES = "packages, by their digests: one of the runs does not have their list"


class RecordOf(Protocol):
    """A run: see `harness.analysis.timeline.Record`."""

    @property
    def launches(self) -> pd.DataFrame:
        """All of the run's launches that succeeded."""

    @property
    def environment(self) -> dict[str, Any]:
        """Of environment.json."""


class PointOf(Protocol):
    """An entrant in a run: see `harness.analysis.timeline.Point`."""

    @property
    def record(self) -> RecordOf:
        """Its run."""

    @property
    def first(self) -> pd.Series:
        """One of its rows."""


def same_software(then: PointOf, now: PointOf) -> bool:
    """Whether framework, packages and Python are known and the same."""
    return all(
        pd.notna(then.first[name]) and pd.notna(now.first[name]) and then.first[name] == now.first[name]
        for name in SOFTWARE
    )


def changes(then: PointOf, now: PointOf) -> list[str]:
    """What the two runs' records of one entrant differ in, `name old → new` each."""
    found = [_moved(str(now.first["backend"]), then.first["framework_version"], now.first["framework_version"])]
    found += [_moved("Python", then.first["python_version"], now.first["python_version"])]
    old, new = then.record.environment, now.record.environment
    found += [_moved("lenet-bench", old.get("lenet_bench"), new.get("lenet_bench"))]
    found += [_moved(name, _part(old, "machine").get(name), _part(new, "machine").get(name)) for name in SYSTEM]
    found += _controls(_controls_of(then), _controls_of(now))
    found += [_moved("steady_s", _part(old, "plan").get("steady_s"), _part(new, "plan").get("steady_s"))]
    found += [_moved("entrants in the run", _entrants(then), _entrants(now))]
    # There may be many of these.
    found += packages(then, now)
    return [each for each in found if each]


def packages(then: PointOf, now: PointOf) -> list[str]:
    """The packages of the workers that differ, but for the framework, whose version is said already."""
    if _shown(then.first["packages_sha256"]) == _shown(now.first["packages_sha256"]):
        return []
    old, new = packages_of(then), packages_of(now)
    if old is None or new is None:
        return [UNKNOWN_PACKAGES]
    versions = (then.first["framework_version"], now.first["framework_version"])
    return _moved_packages(old, new, but=versions)


def package_changes(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """What differs between two lists of `name==version`, `name old → new` each."""
    return _moved_packages(_by_name(old), _by_name(new))


def _moved_packages(old: dict[str, str], new: dict[str, str], *, but: tuple[str, str] = ("", "")) -> list[str]:
    pairs = {name: (old.get(name, "none"), new.get(name, "none")) for name in sorted({*old, *new})}
    return [_moved(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1] and pair != but]


def _by_name(lines: Iterable[str]) -> dict[str, str]:
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


def packages_of(point: PointOf) -> dict[str, str] | None:
    """Package -> version of the worker's environment; None where environment.json has no list with the row's digest."""
    digest = _shown(point.first["packages_sha256"])
    lists = [lines for part in parts(point.record.environment, "packages") for lines in part.values()]
    for lines in lists:
        known = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
        # The digest as harness.worker.packages.packages_digest makes it.
        if known and hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest:
            return _by_name(lines)
    return None


def _controls_of(point: PointOf) -> dict[str, Any]:
    label = job.label_of(dict(point.first))
    asked: Any = next((part[label] for part in parts(point.record.environment, "controls") if label in part), {})
    if not isinstance(asked, dict):
        return {}
    return {"CPUs": asked.get("cpus")} | _part(asked, "environment")


def _controls(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    if not old or not new:
        return []
    return [_moved(name, old.get(name, "none"), new.get(name, "none")) for name in {**old, **new}]


def _entrants(point: PointOf) -> int:
    return len(point.record.launches[list(ENTRANT)].drop_duplicates())


def records(environment: dict[str, Any]) -> list[dict[str, Any]]:
    """environment.json, and what it was for the run's earlier entrants, latest first (`run --anew-from-here`)."""
    earlier = environment.get("earlier")
    return [
        environment,
        *(each for each in reversed(earlier if isinstance(earlier, list) else []) if isinstance(each, dict)),
    ]


def parts(environment: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """One object of environment.json, as it is in each of `records`."""
    return [_part(each, name) for each in records(environment)]


def _part(values: dict[str, Any], name: str) -> dict[str, Any]:
    """One object of environment.json, which people may have edited."""
    part = values.get(name)
    return part if isinstance(part, dict) else {}


def _moved(name: str, old: Any, new: Any) -> str:
    old, new = (_shown(value) for value in (old, new))
    return "" if old == new else f"{name} {old} → {new}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "unknown" if value is None or pd.isna(value) else str(value)
