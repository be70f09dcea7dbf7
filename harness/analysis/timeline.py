"""How entrants moved from run to run on one machine: points in time, ratios between them, what changed beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.comparison import SPEED, ratio_of, round_ratio
from harness.analysis.conditions import spoiling
from harness.analysis.statistics import Interval, mean_of_logs, unpaired_ratio, verdict
from harness.errors import InputError
from harness.results.changes import changes, same_software
from harness.results.counted import succeeded
from harness.results.folder import RunFolder
from harness.results.schema import ENTRANT
from harness.results.sweep_folder import STATE
from harness.worker import job

# An entrant without its version: what one line of the history follows.
SERIES = [*(name for name in ENTRANT if name != "framework_version"), "recipe", "data_sha256"]


@dataclass(frozen=True)
class Record:
    """One run, as far as the history needs it.

    Attributes:
        name: of the run, which its folder had when it was made.
        identity: name and time of the first row, which is never moved: a copy of a folder is the same run under any
            name, also where one of the two has gone on.
        started: ISO 8601, UTC, of its first launch.
        launches: rows of launches.csv that succeeded; at least one.
        environment: of environment.json.
        machine, machine_sha256: that it ran on.
    """

    name: str
    identity: tuple[str, str]
    started: str
    launches: pd.DataFrame
    environment: dict[str, Any]
    machine: str
    machine_sha256: str


@dataclass(frozen=True, eq=False)
class Point:
    """One entrant in one version in one run; `launches` are its rows of that run. Equal to itself alone."""

    record: Record
    launches: pd.DataFrame

    @cached_property
    def first(self) -> pd.Series:
        """Any of its rows, for what they have in common."""
        return self.launches.iloc[0]

    @cached_property
    def timed(self) -> pd.DataFrame:
        """Those of its launches that were timed."""
        return self.launches[self.launches[SPEED].notna()]

    @cached_property
    def rounds(self) -> dict[int, dict[str, Any]]:
        """Round -> the cells of its launch that ratios are made from."""
        cells = self.timed[[SPEED, "turn_step_us", "disturbed_turns", "batch_size"]].to_dict("records")
        return {
            int(number): {str(name): value for name, value in row.items()}
            for number, row in zip(self.timed["round"], cells)
        }


def find_runs(places: list[Path]) -> list[Path]:
    """The run folders among these: each is one itself, or holds some.

    Raises:
        InputError: a place that is no folder, or none of them holds a run.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            raise InputError(f"There is no folder {place}. Give a folder of runs, results/ say.")
        own = (place / "launches.csv").exists()
        sweeps = [sweep.parent for sweep in place.glob(f"*/{STATE}")]
        inside = [file for each in (place, *sweeps) for file in each.glob("*/launches.csv")]
        found += [place] if own else sorted(file.parent for file in inside)
    found = list({folder.resolve(): folder for folder in found}.values())
    if not found:
        names = ", ".join(map(str, places))
        raise InputError(
            f"There is no run in {names}: no folder there has a launches.csv. Run `lenet-bench run` first."
        )
    return found


def read_runs(folders: Iterable[Path]) -> tuple[list[Record], list[str]]:
    """Read runs, in the order in which they were started.

    Returns:
        the runs, and a sentence for each folder that is left out because something in it is wrong.
    """
    records: dict[tuple[str, str], Record] = {}
    problems = []
    for folder in folders:
        try:
            record = _read(folder)
            key = record.identity
            if key in records:
                raise InputError(f"{folder} is the same run as {records[key].name}. It counts once; delete the copy.")
            records[key] = record
        except InputError as error:
            problems.append(str(error))
    return sorted(records.values(), key=lambda record: (record.started, record.name)), problems


def _read(folder: Path) -> Record:
    run = RunFolder(folder)
    launches = run.read("launches")
    good = succeeded(run.counted_of(launches))
    if good.empty:
        raise InputError(
            f"{folder} has {len(launches)} launches and none that succeeded. Go on with --resume {folder}."
        )
    untimed = good.index[good["started_utc"].isna()]
    if len(untimed):
        # Row 1 of a spreadsheet is the header.
        place = f"{folder / 'launches.csv'}, row {untimed[0] + 2}, column started_utc"
        raise InputError(f"{place}: no time, by which runs are put in order. Was the file edited?")
    machines = good["machine_sha256"].unique()
    if len(machines) > 1:
        raise InputError(f"{folder / 'launches.csv'} has launches of {len(machines)} machines. Measure again.")
    return Record(
        name=run.name,
        identity=(str(launches["run"].iloc[0]), str(launches["started_utc"].iloc[0])),
        # Rows stand in the order in which launches ended, whatever a clock that was set said.
        started=str(good["started_utc"].iloc[0]),
        launches=good,
        environment=run.read_environment(),
        machine=str(good["machine"].iloc[0]),
        machine_sha256=str(machines[0]),
    )


def series(records: list[Record]) -> list[list[Point]]:
    """The points of each entrant without its version, in time; those of one run by version."""
    found: dict[tuple[str, ...], list[Point]] = {}
    for record in records:
        for _, rows in record.launches.groupby([*SERIES, "framework_version"], dropna=False, sort=False):
            fields = without_version(rows.iloc[0])
            key = tuple(str(fields[name]) for name in SERIES)
            found.setdefault(key, []).append(Point(record, rows))
    for points in found.values():
        points.sort(key=lambda point: (point.record.started, point.record.name, _version(point)))
    return list(found.values())


def without_version(row: pd.Series) -> dict[str, Any]:
    """A row's cells, without the variant where that is the version that was asked for (`--framework-version`)."""
    fields = {str(name): value for name, value in row.items()}
    asked = fields["variant"]
    if pd.notna(asked) and str(asked).partition("+")[0] == str(fields["framework_version"]).partition("+")[0]:
        fields["variant"] = None
    # An empty cell and none are the same.
    return {name: None if pd.isna(value) else value for name, value in fields.items()}


def _version(point: Point) -> list[tuple[int, str]]:
    """So that 2.9 comes before 2.13."""
    parts = str(point.first["framework_version"]).replace("+", ".").split(".")
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def before(points: list[Point], number: int) -> Point | None:
    """What a point is compared with: another version in its own run, else the run before.

    Where the run before has several versions, it is the one with the point's version, if there, else the last.
    """
    if number == 0:
        return None
    point, last = points[number], points[number - 1]
    if last.record is point.record:
        return last
    same = [
        each
        for each in points[:number]
        if each.record is last.record and each.first["framework_version"] == point.first["framework_version"]
    ]
    return same[-1] if same else last


def rows_of(points: list[Point], everyone: list[list[Point]]) -> list[dict[str, Any]]:
    """A row a point, with the columns of schema.HISTORY.

    Args:
        everyone: all series of the machine, among which are entrants to take the machine's drift out with.
    """
    return [_row(point, before(points, number), everyone) for number, point in enumerate(points)]


def _row(point: Point, last: Point | None, everyone: list[list[Point]]) -> dict[str, Any]:
    first, record = point.first, point.record
    fields = ("framework_version", "python_version", "network", "data_set", "recipe", "machine", "machine_sha256")
    row: dict[str, Any] = {name: first[name] for name in fields} | {
        "run": record.name,
        "started_utc": record.started,
        "entrant": job.label_of(without_version(first)),
        "lenet_bench": record.environment.get("lenet_bench"),
        "launches": len(point.timed),
    }
    if len(point.timed):
        row |= _interval(SPEED, mean_of_logs(point.timed[SPEED].to_numpy(float)))
        row["conditions"] = " ".join(spoiling(point.timed))
    trained = point.launches[point.launches["test_accuracy"].notna()]
    if len(trained):
        accuracy = float(trained["test_accuracy"].mean())
        row |= {"epochs": trained["epochs"].max(), "test_accuracy": accuracy, "seeds": trained["seed"].nunique()}
    return row if last is None else row | _compared(point, last, everyone)


def _compared(point: Point, last: Point, everyone: list[list[Point]]) -> dict[str, Any]:
    paired = point.record is last.record
    name = f"{last.first['framework_version']} in {last.record.name}" if paired else last.record.name
    row: dict[str, Any] = {"before": name, "paired": paired, "changed": "; ".join(changes(last, point))}
    if not len(point.timed) or not len(last.timed):
        return row
    ratio = ratio_of(point.timed, last.timed) if paired else unpaired(point.timed[SPEED], last.timed[SPEED])
    row |= _interval("ratio", ratio, "ratio") | {"verdict": verdict(ratio)}
    shared = [] if paired else unchanged(point, last, everyone)
    if shared:
        now, then = relative(point, [new for _, new in shared]), relative(last, [old for old, _ in shared])
        if now and then:
            drift_out = unpaired_ratio(now, then)
            row |= {"against": ", ".join(job.label_of(without_version(new.first)) for _, new in shared)}
            row |= _interval("against_ratio", drift_out, "against") | {"against_verdict": verdict(drift_out)}
    return row


def unpaired(values: pd.Series, others: pd.Series) -> Interval:
    """Ratio of the speeds of two runs, with Welch's interval."""
    return unpaired_ratio(values.to_numpy(float), others.to_numpy(float))


def unchanged(point: Point, last: Point, everyone: list[list[Point]]) -> list[tuple[Point, Point]]:
    """Other entrants that both runs timed, with the same framework, packages and Python: (then, now) of each."""
    found = []
    for points in everyone:
        now = [each for each in points if each.record is point.record and len(each.timed)]
        then = [each for each in points if each.record is last.record and len(each.timed)]
        # A run with several versions of the shared entrant has no one value of it.
        if len(now) == len(then) == 1 and now[0] is not point and same_software(then[0], now[0]):
            found.append((then[0], now[0]))
    return found


def relative(point: Point, others: list[Point]) -> list[float]:
    """Speed over the geometric mean speed of other entrants of its run, for each round that has them all."""
    rounds = pd.concat([_log_ratios(point, other) for other in others], axis=1, join="inner")
    return [float(value) for value in np.exp(rounds.mean(axis=1))]


@cache
def _log_ratios(point: Point, other: Point) -> pd.Series:
    """Logarithm of the ratio of two entrants of one run, by round. Asked for again by the run that comes after."""
    mine, others = point.rounds, other.rounds
    rows = {
        number: row | {f"{name}_base": value for name, value in others[number].items()}
        for number, row in mine.items()
        if number in others
    }
    return pd.Series({number: float(np.log(round_ratio(row))) for number, row in rows.items()})


def _interval(name: str, interval: Interval, limits: str = "") -> dict[str, Any]:
    limits = limits or name
    ends = {f"{limits}_low": interval.low, f"{limits}_high": interval.high}
    return {name: interval.estimate} | {end: value for end, value in ends.items() if value == value}
