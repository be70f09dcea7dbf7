"""All runs of one machine as a page: the latest figures, each entrant's history, every run with its report."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.analysis.timeline import Point, Record, read_runs, rows_of, series, without_version
from harness.errors import InputError, LenetBenchError
from harness.report import names
from harness.report.marks import Mark, marks_of
from harness.report.reading import Report, read_report
from harness.report.sharing import for_strangers
from harness.results.folder import frame_of
from harness.results.schema import ENTRANT, HISTORY
from harness.visible import visible

# What entrants must have in common to stand in one table.
TOGETHER = ("network", "data_set", "data_sha256", "recipe", "device", "dtype")
# Of what changed between runs, this is told to strangers.
TOLD = ("Python", "lenet-bench")


@dataclass(frozen=True)
class Run:
    """A run, the report of it that strangers may see, and where that is in the site."""

    record: Record
    report: Report
    page: str


@dataclass(frozen=True)
class Follower:
    """An entrant over the runs, whatever version it had.

    Attributes:
        number: of its marks on the page.
        history: a row a run and version, with the columns of schema.HISTORY, in time.
    """

    number: int
    label: str
    backend: str
    mark: Mark
    history: pd.DataFrame


@dataclass(frozen=True)
class Group:
    """Entrants that trained the same network on the same data by the same recipe."""

    title: str
    followers: list[Follower]


@dataclass(frozen=True)
class Gallery:
    """What the page is made of; `runs` in time, `left_out` by the names of their folders."""

    machine: str
    runs: list[Run]
    groups: list[Group]
    left_out: list[str]

    @property
    def last(self) -> Run:
        """The latest run, of those that timed something where there are any."""
        return next((run for run in reversed(self.runs) if len(run.report.summary)), self.runs[-1])

    @property
    def followers(self) -> list[Follower]:
        """All of them, by number."""
        return [each for group in self.groups for each in group.followers]


def read_records(folders: Iterable[Path]) -> tuple[dict[Path, Record], dict[Path, str]]:
    """Read runs in the order in which they were started, each once.

    Returns:
        those that can be read, and why the others are left out.
    """
    found: dict[Path, Record] = {}
    left_out: dict[Path, str] = {}
    names_of: dict[tuple[str, str], str] = {}
    for folder in folders:
        records, problems = read_runs([folder])
        for record in records:
            if record.identity in names_of:
                left_out[folder] = f"{folder} is the same run as {names_of[record.identity]}. It counts once."
                continue
            names_of[record.identity] = record.name
            found[folder] = record
        if problems:
            left_out[folder] = problems[0]
    return dict(sorted(found.items(), key=lambda pair: (pair[1].started, pair[1].name))), left_out


def read_run(folder: Path, record: Record, taken: Iterable[str]) -> Run:
    """Read a run for strangers.

    Args:
        taken: pages that there are already.

    Raises:
        InputError: the report cannot be made, with the reason.
    """
    try:
        report = for_strangers(read_report(folder))
    except InputError:
        raise
    except LenetBenchError as error:
        raise InputError(str(error)) from None
    return Run(record, report, _page(record.name, set(taken)))


def _page(name: str, taken: set[str]) -> str:
    """A file's name that any server and file system takes, and no other run has."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80] or "run"
    number, page = 1, f"runs/{plain}.html"
    # Some file systems take A and a for the same.
    while page.casefold() in {each.casefold() for each in taken}:
        number += 1
        page = f"runs/{plain}-{number}.html"
    return page


def gather(runs: list[Run], left_out: Iterable[str]) -> Gallery:
    """Put runs of one machine together; at least one."""
    everyone = series([run.record for run in runs])
    together: dict[tuple[str, ...], list[list[Point]]] = {}
    for points in everyone:
        together.setdefault(tuple(str(points[0].first[name]) for name in TOGETHER), []).append(points)
    marks = iter(marks_of([str(points[0].first["backend"]) for found in together.values() for points in found]))
    groups: list[Group] = []
    recipes = len({key[TOGETHER.index("recipe")] for key in together}) > 1
    for found in together.values():
        fields = [_fields(points) for points in found]
        begin = sum(len(group.followers) for group in groups)
        followers = [
            Follower(begin + place, label, fields[place]["backend"], next(marks), _history(points, everyone))
            for place, (label, points) in enumerate(zip(names.entrants(fields), found))
        ]
        groups.append(Group(_title(found[0][0].first, recipes), followers))
    return Gallery(runs[-1].record.machine, runs, groups, sorted(map(visible, left_out)))


def _fields(points: list[Point]) -> dict[str, str]:
    """An entrant's key as text, without the version, which is not the same in all of its runs."""
    found = without_version(points[0].first) | {"framework_version": None}
    return {name: "" if found[name] is None else visible(str(found[name])) for name in ENTRANT}


def _history(points: list[Point], everyone: list[list[Point]]) -> pd.DataFrame:
    found = frame_of(rows_of(points, everyone), HISTORY)
    backend = str(points[0].first["backend"])
    found["changed"] = [_told(changed, backend) for changed in found["changed"]]
    return found


def _told(changed: object, backend: str) -> str:
    """Of what changed, versions of the framework, of Python and of ours: the rest is nobody's business."""
    parts = str(changed).split("; ") if isinstance(changed, str) else []
    kept = [part for part in parts if part.startswith(tuple(f"{name} " for name in (backend, *TOLD)))]
    return "; ".join(part.replace(backend, names.framework(backend), 1) for part in kept)


def _title(first: pd.Series, recipes: bool) -> str:
    what = f"{names.value('network', first['network'])} on {names.value('data_set', first['data_set'])}"
    where = f"{names.value('device', first['device'])}, {first['dtype']}"
    return f"{what}, {where}, recipe {first['recipe']}" if recipes else f"{what}, {where}"
