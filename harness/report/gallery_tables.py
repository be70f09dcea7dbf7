"""What the gallery shows of its runs: the latest figures, each entrant's history with changes of version, all runs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.analysis.comparison import SPEED
from harness.report import names
from harness.report.first_screen import day
from harness.report.gallery import Follower, Gallery, Group, Run
from harness.report.names import counted
from harness.report.parts import Cell, Figure, Row, Table, digits, interval, line_layout, number, plain, text

LATEST = ["framework (mode)", "version", "images/s", "95 % interval", "to the run before", "verdict", "accuracy, %",
          "measured", "remarks"]  # fmt: skip
RUNS = ["started", "report", "frameworks", "rounds", "launches", "fastest", "images/s", "remarks"]
PAST = ["run", "version", "images/s", "95 % interval", "to the run before", "verdict", "accuracy, %", "what changed",
        "remarks"]  # fmt: skip
HEIGHT = 260


def latest(gallery: Gallery, group: Group) -> Table:
    """The last time that each entrant was timed, fastest first; entrants that never were, behind."""
    rows = []
    for each in sorted(group.followers, key=lambda each: -_last(each)[SPEED] if pd.notna(_last(each)[SPEED]) else 0.0):
        row = _last(each)
        cells = [*_figures(row), _link(gallery, row), text(_remarks(row))]
        rows.append(Row([text(each.label), *cells], each.number))
    return Table(LATEST, rows, f"The latest of each entrant: {group.title}").filled()


def _last(each: Follower) -> pd.Series:
    timed = each.history[each.history[SPEED].notna()]
    return (timed if len(timed) else each.history).iloc[-1]


def _figures(row: pd.Series) -> list[Cell]:
    return [
        text(row["framework_version"]), number(row[SPEED], ",.0f"),
        interval(row[f"{SPEED}_low"], row[f"{SPEED}_high"], ",.0f"), number(row["ratio"], ".3f"), text(row["verdict"]),
        number(row["test_accuracy"], ".2f", scale=100),
    ]  # fmt: skip


def _link(gallery: Gallery, row: pd.Series) -> Cell:
    started = str(row["started_utc"])
    return Cell(started[:10], started, next(run.page for run in gallery.runs if run.record.name == row["run"]))


def _remarks(row: pd.Series) -> str:
    """`busy machine`: what the report says more of."""
    said = row["conditions"] if isinstance(row["conditions"], str) else ""
    return said.partition(":")[0].lower()


def runs(gallery: Gallery) -> Table:
    """Every run with its report, latest first."""
    return Table(RUNS, [Row(_run(each)) for each in reversed(gallery.runs)], "All runs", marked=False).filled()


def _run(run: Run) -> list[Cell]:
    report, first = run.report, run.report.launches.drop_duplicates(["backend", "framework_version"])
    used = [f"{names.framework(str(row.backend))} {row.framework_version}" for row in first.itertuples()]
    fastest = next(iter(report.compared), None)
    started = run.record.started
    remarks = [] if report.ended else ["has not ended"]
    failed = int((report.launches["status"] == "failed").sum())
    remarks += [f"{counted(failed, 'launch', 'launches')} failed"] if failed else []
    remarks += [] if fastest else ["trained only"]
    return [
        Cell(started[:16].replace("T", " "), started), Cell(run.record.name, run.record.name, run.page),
        text(names.joined(used)), number(report.rounds, ".0f"), number(len(report.launches) - report.trainings, ",.0f"),
        text(fastest.label if fastest else None),
        number(report.summary[SPEED].iloc[fastest.number] if fastest else None, ",.0f"), text(", ".join(remarks)),
    ]  # fmt: skip


def history(gallery: Gallery, each: Follower) -> Figure | None:
    """An entrant's speed from run to run, a line where its version changed; None where it was timed in one run only."""
    timed = each.history[each.history[SPEED].notna()]
    if timed["run"].nunique() < 2:
        return None
    place = {run.record.name: number for number, run in enumerate(_timed(gallery), start=1)}
    x = [place[name] for name in timed["run"]]
    changed = [at for at in range(1, len(timed)) if _version(timed, at) != _version(timed, at - 1)]
    versions = list(dict.fromkeys(_version(timed, at) for at in range(len(timed))))
    moved = f", over versions {names.joined(versions)}" if changed else f", always version {versions[0]}"
    disturbed = " Hollow: something else had the machine's CPUs." if timed["conditions"].fillna("").ne("").any() else ""
    return Figure(
        f"history-{each.number}",
        each.label,
        f"{counted(len(set(x)), 'run')}{moved}; last {timed[SPEED].iloc[-1]:,.0f} images/s.{disturbed}",
        [_line(each, timed, x)],
        _layout(gallery, timed, x, changed),
        _past(gallery, each),
        half=True,
    )


def _timed(gallery: Gallery) -> list[Run]:
    """Runs that have a place on the axis: those that timed something."""
    return [run for run in gallery.runs if len(run.report.summary)]


def _ticks(started: list[str]) -> list[str]:
    """The day of each run; below it the time of day, UTC, where several are of one day."""
    days = [moment[:10] for moment in started]
    return [f"{day}<br>{moment[11:16]}" if days.count(day) > 1 else day for day, moment in zip(days, started)]


def _version(timed: pd.DataFrame, at: int) -> str:
    return str(timed["framework_version"].iloc[at])


def _line(each: Follower, timed: pd.DataFrame, x: list[int]) -> dict[str, Any]:
    held = timed["conditions"].fillna("").ne("")
    symbol = each.mark.symbol.removesuffix("-open")
    ends = {end: timed[f"{SPEED}_{end}"].astype("Float64") for end in ("low", "high")}
    said = [
        f"{day(row['started_utc'])}, version {row['framework_version']}"
        + (f", {_remarks(row)}" if _remarks(row) else "")
        for _, row in timed.iterrows()
    ]
    return {
        "type": "scatter", "mode": "lines+markers", "x": x, "y": digits(timed[SPEED]), "name": plain(each.label),
        "customdata": [plain(words) for words in said], "meta": {"entrant": each.number},
        "hovertemplate": "%{customdata}: %{y:,.0f} images/s<extra></extra>",
        "line": {"color": each.mark.colour, "width": 1.8},
        "marker": {"symbol": [f"{symbol}-open" if value else symbol for value in held], "size": 9,
                   "color": each.mark.colour},
        "error_y": {"type": "data", "symmetric": False, "array": digits(ends["high"] - timed[SPEED]),
                    "arrayminus": digits(timed[SPEED] - ends["low"]), "thickness": 1.5, "width": 4,
                    "color": each.mark.colour},
    }  # fmt: skip


def _layout(gallery: Gallery, timed: pd.DataFrame, x: list[int], changed: list[int]) -> dict[str, Any]:
    days = _ticks([run.record.started for run in _timed(gallery)])
    fastest, slowest = float(timed[SPEED].max()), float(timed[SPEED].min())
    # An interval of two launches may be ten times as wide as what was measured: the axis ends before it does.
    high = max(fastest, min(1.5 * fastest, float(timed[f"{SPEED}_high"].fillna(0).max())))
    low = min(slowest, max(0.5 * slowest, float(timed[f"{SPEED}_low"].fillna(slowest).min())))
    room = max((high - low) * 0.12, high * 0.02)
    layout = line_layout(
        {"title": {"text": "run"}, "tickvals": list(range(1, len(days) + 1)), "ticktext": days,
         "range": [0.5, len(days) + 0.5]},
        {"title": {"text": "images/s"}, "tickformat": ",~g", "range": [max(low - room, 0), high + room]},
    )  # fmt: skip
    # Right before the run that has the new version: two versions may be of one run.
    places = [x[at] - 0.5 if x[at] != x[at - 1] else float(x[at]) for at in changed]
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "layer": "below",
         "line": {"width": 1.5, "dash": "dash", "color": "#808080"}}
        for at in places
    ]  # fmt: skip
    layout["annotations"] = [
        {"xref": "x", "yref": "paper", "x": at, "y": 1 + 0.09 * (place % 2), "yanchor": "bottom", "showarrow": False,
         "text": f"→ {plain(_version(timed, number))}", "font": {"size": 11}}
        for place, (at, number) in enumerate(zip(places, changed))
    ]  # fmt: skip
    return layout | {"height": HEIGHT, "margin": layout["margin"] | {"t": 42 if changed else 14}}


def _past(gallery: Gallery, each: Follower) -> Table:
    rows = [
        Row([_link(gallery, row), *_figures(row), text(row["changed"]), text(_remarks(row))])
        for _, row in each.history.iloc[::-1].iterrows()
    ]
    return Table(PAST, rows, f"All runs of {each.label}", marked=False).filled()
