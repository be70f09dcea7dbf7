"""Figures of training speed: intervals and launches, ratios to the base, round by round, growth with size."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from harness.analysis.comparison import SPEED
from harness.analysis.limit import limit_shares
from harness.analysis.statistics import MARGIN
from harness.report import names
from harness.report.parts import (
    Figure,
    Key,
    Row,
    Table,
    digits,
    interval,
    legend_of,
    line_layout,
    log_axis,
    named,
    number,
    plain,
    row_layout,
    span,
    text,
)
from harness.report.reading import Entrant, Report

NAMES = {"batch_size": "batch size", "threads": "threads", "replicas": "replicas"}
SPEED_TITLE = "training speed, images/s"


def throughput(report: Report) -> Figure:
    """Each entrant's launches as strokes on a line, its mean with the 95 % interval over them."""
    summary, traces, rows = report.summary, [], []
    shown = report.entrants[: len(summary)]
    for each, (_, row) in zip(shown, summary.iterrows()):
        launches = report.timed[report.timed["entrant"] == each.number]
        label = plain(each.label)
        traces.append(_strokes(each, launches))
        traces.append(_point(each, label, row, SPEED))
        speeds = launches[SPEED]
        cells = [number(row[SPEED], ",.0f"), interval(row[f"{SPEED}_low"], row[f"{SPEED}_high"], ",.0f"),
                 number(speeds.min(), ",.0f"), number(speeds.median(), ",.0f"), number(speeds.max(), ",.0f"),
                 number(row[f"{SPEED}_cv"], ".1f", scale=100), number(len(speeds), ",.0f")]  # fmt: skip
        rows.append(Row([text(each.label), *cells], each.number))
    # The interval of two launches may be ten times as wide as what was measured: the axis then ends before it does.
    fastest = float(report.timed[SPEED].max())
    most = max(fastest, min(2 * fastest, float(summary[f"{SPEED}_high"].fillna(0).max())))
    headers = ["entrant", "images/s", "95 % interval", "slowest launch", "median", "fastest launch", "spread (sd) %",
               "launches"]  # fmt: skip
    ends = span(summary[SPEED].iloc[-1], summary[SPEED].iloc[0], ",.0f", "images/s")
    limit = _limit_line(summary)
    line = " The dashed line is what kernels made for this machine reach." if limit else ""
    return Figure(
        "throughput",
        "Training speed",
        f"Training speed of {names.counted(len(shown), 'entrant')}: {ends} ({shown[0].label}). A stroke is a launch, a "
        f"mark the geometric mean with its 95 % interval.{line}",
        traces,
        row_layout(shown, SPEED_TITLE, range=[0, most * 1.04], tickformat=",~s") | limit,
        Table(headers, rows, "Training speed by entrant"),
        rows=True,
    )


def _limit_line(summary: pd.DataFrame) -> dict[str, Any]:
    """A line through the limit, where all entrants have the same one."""
    limits = set((summary[SPEED] / limit_shares(summary)).round().dropna())
    if len(limits) != 1:
        return {}
    at = {"type": "line", "xref": "x", "yref": "paper", "x0": limits.pop(), "y0": 0, "y1": 1, "layer": "below"}
    return {"shapes": [at | {"x1": at["x0"], "line": {"width": 1.5, "dash": "dash", "color": "#808080"}}]}


def _strokes(each: Entrant, launches: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": digits(launches[SPEED]), "y": [plain(each.label)] * len(launches),
        "customdata": [int(value) for value in launches["round"]], "name": plain(each.label),
        "hovertemplate": "round %{customdata}: %{x:,.0f} images/s", "meta": {"entrant": each.number},
        "marker": {"symbol": "line-ns-open", "size": 14, "color": each.mark.colour, "opacity": 0.8,
                   "line": {"width": 1.5}},
    }  # fmt: skip


def _point(each: Entrant, label: str, row: pd.Series, name: str, form: str = ",.0f") -> dict[str, Any]:
    """A mark with its interval, in the row of its entrant."""
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    trace: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "x": digits([value]), "y": [label], "name": label,
        "hovertemplate": "%{x:" + form + "}", "meta": {"entrant": each.number},
        "marker": {"symbol": each.mark.symbol, "size": 11, "color": each.mark.colour, "line": {"width": 1.2}},
    }  # fmt: skip
    if pd.notna(low) and pd.notna(high):
        trace["error_x"] = {"type": "data", "symmetric": False, "array": digits([high - value]),
                            "arrayminus": digits([value - low]), "thickness": 2, "width": 6}  # fmt: skip
        trace["hovertemplate"] += f" ({low:{form}} – {high:{form}})"  # noqa: RUF001
    return trace


def ratios(report: Report) -> Figure | None:
    """Each entrant's ratio to the base with its interval; None where there is nothing to compare."""
    summary = report.summary
    if len(summary) < 2:
        return None
    shown, base = report.entrants[: len(summary)], report.base.label
    traces, rows = [], []
    for each, (_, row) in zip(shown, summary.iterrows()):
        traces.append(_point(each, plain(each.label), row, "ratio", ".3f"))
        cells = [
            number(row["ratio"], ".3f"),
            interval(row["ratio_low"], row["ratio_high"], ".3f"),
            text(row["verdict"]),
        ]
        rows.append(Row([text(each.label), *cells], each.number))
    ends = [value for name in ("ratio", "ratio_low", "ratio_high") for value in digits(summary[name])]
    ends += [1 - MARGIN, 1 / (1 - MARGIN)]
    known = [value for value in ends if value]
    axis = log_axis(known)
    if "range" not in axis:
        # Not from 0: it is small differences that are looked for then.
        axis = {"range": [min(known) - 0.02, max(known) + 0.02]}
    layout = row_layout(shown, f"times the speed of {plain(base)}", **axis)
    layout["shapes"] = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": 1 - MARGIN, "x1": 1 / (1 - MARGIN), "y0": 0, "y1": 1,
         "fillcolor": "#808080", "opacity": 0.25, "line": {"width": 0}, "layer": "below"},
        {"type": "line", "xref": "x", "yref": "paper", "x0": 1, "x1": 1, "y0": 0, "y1": 1,
         "line": {"width": 1, "dash": "dot", "color": "#808080"}, "layer": "below"},
    ]  # fmt: skip
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in summary["verdict"].dropna().value_counts().items())
    return Figure(
        "ratios",
        f"Ratio to {base}",
        f"Speed of each as a multiple of the speed of {base}: {verdicts}. The grey band is ±{MARGIN:.0%}, within which "
        "an interval means equivalent.",
        traces,
        layout,
        Table(["framework", f"ratio to {base}", "95 % interval", "verdict"], rows, "Ratios by entrant"),
        rows=True,
    )


def by_round(report: Report) -> Figure | None:
    """Each launch over its entrant's mean, round by round: drift and outliers; None under two rounds."""
    timed = report.timed
    if timed["round"].nunique() < 2:
        return None
    logs = timed[SPEED].astype(float).map(math.log)
    means = logs.groupby(timed["entrant"]).transform("mean").map(math.exp)
    wide = timed.assign(share=timed[SPEED] / means * 100).pivot_table(index="entrant", columns="round", values="share")
    traces, rows = [], []
    shown, rounds = named(report.entrants, wide.index), [int(str(value)) for value in wide.columns]
    for each in shown:
        values = wide.loc[each.number]
        traces.append(line(each, rounds, digits(values),
                            "round %{x}: %{y:.1f} % of its mean"))  # fmt: skip
        rows.append(Row([text(each.label), *(number(value, ".1f") for value in values)], each.number))
    worst = float((wide - 100).abs().max().max())
    return Figure(
        "rounds",
        "Launch by launch",
        f"Speed of each launch as a share of its entrant's mean, over {wide.shape[1]} rounds; the furthest is "
        f"{worst:.1f} % off. Lines that go up and down together are the machine's doing.",
        traces,
        line_layout({"title": {"text": "round"}, "tick0": 1, "dtick": math.ceil(len(rounds) / 12),
                     "range": [rounds[0] - 0.5, rounds[-1] + 0.5]},
                    {"title": {"text": "% of its mean speed"}}),
        Table(["framework", *(f"round {value}" for value in rounds)], rows, "Per cent of the mean speed, by round"),
        legend=legend_of(shown),
    )  # fmt: skip


def line(each: Entrant, x: list[Any], y: list[Any], hover: str, *, name: str = "", **others: Any) -> dict[str, Any]:
    """A trace through points, with its entrant's colour, dash and marker."""
    return {
        "type": "scatter", "mode": "lines+markers", "x": x, "y": y, "name": name or plain(each.label),
        "hovertemplate": hover, "meta": {"entrant": each.number},
        "line": {"color": each.mark.colour, "dash": each.mark.dash, "width": 1.8},
        "marker": {"symbol": each.mark.symbol, "size": 7, "color": each.mark.colour},
    } | others  # fmt: skip


def growth(report: Report, dimension: str) -> Figure | None:
    """Images per second over batch size, threads or replicas; None where the run has only one."""
    grown = report.scaling[report.scaling["dimension"] == dimension]
    if grown.empty:
        return None
    grown = grown.assign(entrant=report.numbers_of(grown))
    families = _families(report, grown, dimension)
    traces, rows, keys = [], [], []
    for label, family in grown.groupby(families, sort=False):
        family = family.sort_values(dimension)
        first = report.entrants[int(family["entrant"].iloc[0])]
        x = [int(value) for value in family[dimension]]
        hover = f"{NAMES[dimension]} %{{x}}: %{{y:,.0f}} images/s"
        trace = line(first, x, digits(family[SPEED]), hover, name=plain(str(label)))
        members = [int(value) for value in family["entrant"]]
        traces.append(trace | {"meta": {"entrants": members}})
        keys.append(Key(first.number, str(label), members))
        for _, row in family.iterrows():
            cells = [number(row[dimension], ",.0f"), number(row[SPEED], ",.0f"), number(row["ratio"], ".3f"),
                     interval(row["ratio_low"], row["ratio_high"], ".3f")]  # fmt: skip
            rows.append(Row([text(label), *cells], int(row["entrant"])))
    sizes = sorted({int(value) for value in grown[dimension]})
    x_axis = {
        "title": {"text": NAMES[dimension]},
        "type": "log",
        "tickvals": sizes,
        "ticktext": [f"{n:,}" for n in sizes],
    }
    best = grown.sort_values("ratio").iloc[-1]
    return Figure(
        f"scaling-{dimension.replace('_', '-')}",
        f"Scaling with {NAMES[dimension]}",
        f"Training images/s over {NAMES[dimension]}, from {sizes[0]:,} to {sizes[-1]:,}. The largest gain is "
        f"{best['ratio']:.2f} times ({report.entrants[int(best['entrant'])].label}).",
        traces,
        line_layout(x_axis, {"title": {"text": SPEED_TITLE}} | log_axis(digits(grown[SPEED]))),
        Table(
            ["framework", NAMES[dimension], "images/s", "ratio to the smallest", "95 % interval"], rows, "Speed by size"
        ),
        legend=keys,
    )


def _families(report: Report, grown: pd.DataFrame, dimension: str) -> list[str]:
    """Of each row the name that its entrant has without this dimension."""
    found = [tuple(sorted((report.entrants[each].fields | {dimension: ""}).items())) for each in grown["entrant"]]
    several = list(dict.fromkeys(found))
    labels = dict(zip(several, names.entrants([dict(each) for each in several])))
    return [labels[each] for each in found]
