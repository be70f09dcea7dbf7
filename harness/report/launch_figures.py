"""Figures of what a launch is made of: seconds, latency, inference, memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from harness.report.marks import MEMORY, PHASES
from harness.report.parts import (
    Figure,
    Row,
    Table,
    digits,
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
from harness.report.speed_figures import line

MIB = 2**20
LATENCIES = {"p50": "circle", "p95": "diamond", "p99": "triangle-up"}
# Percentiles that a line joins, and how wide it is.
SPANS = {(1.0, 99.0): 2, (25.0, 75.0): 9}


def seconds_of(timed: pd.DataFrame) -> pd.DataFrame:
    """Mean seconds of what a user waits for until one epoch is trained (columns as PHASES), by entrant.

    Means, not medians: the parts then add up to `first_epoch_s`. Warming up is what start-up took beside the others;
    rows of before there was a start-up have neither that nor the epoch.
    """
    compiling = (timed["first_step_s"] - timed["step_us_median"].fillna(0) / 1e6).clip(lower=0)
    before = timed["import_s"] + timed["build_s"] + compiling
    parts = (timed["import_s"], timed["build_s"], compiling, (timed["start_up_s"] - before).clip(lower=0),
             timed["first_epoch_s"] - timed["start_up_s"])  # fmt: skip
    phases = pd.DataFrame(dict(zip(PHASES, parts))).assign(entrant=timed["entrant"])
    return phases.groupby("entrant").mean().astype(float)


def where_time_goes(report: Report) -> Figure | None:
    """Stacked bars of what a first epoch takes; None where nothing was timed."""
    found = seconds_of(report.timed).dropna(how="all") if len(report.timed) else pd.DataFrame()
    if found.empty:
        return None
    shown = named(report.entrants, found.index)
    found = found.loc[[each.number for each in shown]]
    traces = [
        {
            "type": "bar", "orientation": "h", "name": phase, "x": digits(found[phase], 4),
            "y": [plain(each.label) for each in shown], "meta": {"entrants": [each.number for each in shown]},
            "hovertemplate": f"{phase}: %{{x:.3f}} s",
            "marker": {"color": colour, "line": {"width": 0.5}},
        }
        for phase, colour in PHASES.items() if found[phase].notna().any()
    ]  # fmt: skip
    rows = [
        Row([text(each.label), *(number(found.loc[each.number, phase], ".3f") for phase in PHASES),
             number(found.loc[each.number].sum(), ".2f")], each.number)
        for each in shown
    ]  # fmt: skip
    sums = found.sum(axis=1)
    starts = found.drop(columns=[list(PHASES)[-1]]).sum(axis=1)
    return Figure(
        "launch",
        "Where the time of a first epoch goes",
        f"From importing the framework to the end of one epoch: {span(sums.min(), sums.max(), '.2f', 's')}, of which "
        f"{span(starts.min(), starts.max(), '.2f', 's')} before training runs at its full speed.",
        traces,
        _stacked(row_layout(shown, "seconds")),
        Table(["framework", *(f"{phase}, s" for phase in PHASES), "sum, s"], rows, "Mean seconds of a first epoch"),
        rows=True,
    )


def _stacked(layout: dict[str, Any]) -> dict[str, Any]:
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"}
    margin = layout["margin"] | {"t": 40}
    return layout | {"barmode": "stack", "bargap": 0.3, "showlegend": True, "legend": legend, "margin": margin,
                     "height": layout["height"] + 30}  # fmt: skip


def latency(report: Report) -> Figure | None:
    """How the latencies of one image are distributed; None where latency was not measured."""
    summary = report.summary
    if summary.empty or summary["latency_ms_p50"].isna().all():
        return None
    known = summary["latency_ms_p50"].notna().to_numpy(bool)
    shown = [each for each, has in zip(report.entrants, known) if has]
    distribution = report.latency.reindex([each.number for each in shown]).astype(float)
    traces: list[dict[str, Any]] = []
    for each in shown:
        known_ends = (ends for ends in SPANS if set(ends) <= set(distribution))
        traces += [_span_of(each, [distribution[end][each.number] for end in ends], SPANS[ends]) for ends in known_ends]
        traces.append(_percentiles(each, summary.iloc[each.number]))
    ends = [value for trace in traces for value in trace["x"]]
    medians = span(summary["latency_ms_p50"].min(), summary["latency_ms_p50"].max(), ".3f", "ms")
    bars = "Thick: the middle half of the queries; thin: all but the shortest and the longest hundredth. "
    bars = bars if len(distribution.columns) else ""
    return Figure(
        "latency",
        "Latency of one image",
        f"Inference of one image: median {medians}. {bars}Circle: median, diamond: 95th percentile, triangle: 99th; "
        "medians over the launches, each of 1,024 queries.",
        traces,
        row_layout(shown, "ms for one image", **log_axis(ends)),
        _latency_table(shown, summary, distribution),
        rows=True,
    )


def _span_of(each: Entrant, ends: Iterable[float], width: int) -> dict[str, Any]:
    """A line between two percentiles."""
    return {
        "type": "scatter", "mode": "lines", "x": digits(ends, 4), "y": [plain(each.label)] * 2,
        "name": plain(each.label), "meta": {"entrant": each.number}, "hoverinfo": "skip",
        "line": {"color": each.mark.colour, "width": width}, "opacity": 0.5,
    }  # fmt: skip


def _percentiles(each: Entrant, row: pd.Series) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": digits(row[[f"latency_ms_{name}" for name in LATENCIES]], 4),
        "y": [plain(each.label)] * len(LATENCIES), "name": plain(each.label), "customdata": list(LATENCIES),
        "meta": {"entrant": each.number}, "hovertemplate": "%{customdata}: %{x:.3f} ms",
        "marker": {"symbol": list(LATENCIES.values()), "size": 9, "color": each.mark.colour},
    }  # fmt: skip


def _latency_table(shown: list[Entrant], summary: pd.DataFrame, distribution: pd.DataFrame) -> Table:
    """Every percentile that is known: those of latency.csv, else the summary's three."""
    columns = {f"p{percentile:g}": list(distribution[percentile]) for percentile in distribution}
    if not columns:
        columns = {name: [summary[f"latency_ms_{name}"].iloc[each.number] for each in shown] for name in LATENCIES}
    names = {"p0": "shortest", "p50": "median", "p100": "longest"}
    rows = [
        Row([text(each.label), *(number(value, ".3f") for value in values)], each.number)
        for each, *values in zip(shown, *columns.values())
    ]
    return Table(["framework", *(f"{names.get(name, name)}, ms" for name in columns)], rows, "Latency by entrant")


def inference(report: Report) -> Figure | None:
    """Inference images per second over the batch size; None where it was not measured."""
    sweep = report.sweep
    if sweep.empty or not len(sweep.columns):
        return None
    sizes, traces, rows = [int(size) for size in sweep.columns], [], []
    shown = [each for each, known in zip(report.entrants, sweep.notna().any(axis=1)) if known]
    for each in shown:
        speeds = sweep.iloc[each.number]
        traces.append(line(each, sizes, digits(speeds), "batch %{x}: %{y:,.0f} images/s"))
        rows.append(Row([text(each.label), *(number(value, ",.0f") for value in speeds)], each.number))
    x_axis = {
        "title": {"text": "images in a batch"},
        "type": "log",
        "tickvals": sizes,
        "ticktext": [f"{n:,}" for n in sizes],
    }
    y_axis = {"title": {"text": "inference, images/s"}} | log_axis(
        value for name in sweep for value in digits(sweep[name])
    )
    return Figure(
        "inference",
        "Inference over batch size",
        f"Inference images/s over batches of {sizes[0]:,} to {sizes[-1]:,} images that are already on the device; "
        f"medians of the launches, at most {float(sweep.max().max()):,.0f} images/s.",
        traces,
        line_layout(x_axis, y_axis),
        Table(["framework", *(f"batch {size:,}" for size in sizes)], rows, "Inference images/s by batch size"),
        legend=legend_of(shown),
    )


def memory(report: Report) -> Figure | None:
    """What the framework takes when it is imported, and up to the peak; None where it was not measured."""
    summary = report.summary
    if summary.empty or summary["peak_rss_bytes"].isna().all():
        return None
    shown = report.entrants[: len(summary)]
    imported, peak = summary["rss_import_bytes"] / MIB, summary["peak_rss_bytes"] / MIB
    gpu = summary["device_memory_bytes"] / MIB
    traces = _memory_bars(shown, imported, peak)
    if gpu.notna().any():
        traces.append(_on_gpu(shown, gpu))
    cells = [
        [number(value, ",.0f") for value in (first, last, on_gpu)] for first, last, on_gpu in zip(imported, peak, gpu)
    ]
    rows = [Row([text(each.label), *of_row], each.number) for each, of_row in zip(shown, cells)]
    once = span(imported.min(), imported.max(), ",.0f", "MiB") if imported.notna().any() else ""
    return Figure(
        "memory",
        "Memory",
        f"At its peak, the process takes {span(peak.min(), peak.max(), ',.0f', 'MiB')}."
        + (f" Once the framework is imported, it takes {once}." if once else ""),
        traces,
        _stacked(row_layout(shown, "MiB", tickformat=",~g")),
        Table(["framework", "once imported, MiB", "peak, MiB", "GPU, MiB"], rows, "Memory, medians of the launches"),
        rows=True,
    )


def _memory_bars(shown: list[Entrant], imported: pd.Series, peak: pd.Series) -> list[dict[str, Any]]:
    """Two parts of a bar, or one for runs of before what an import takes was recorded."""
    parts = dict(zip(MEMORY, (imported, peak - imported))) if imported.notna().any() else {list(MEMORY)[1]: peak}
    return [
        {
            "type": "bar", "orientation": "h", "name": name, "x": digits(values, 5),
            "y": [plain(each.label) for each in shown], "meta": {"entrants": [each.number for each in shown]},
            "hovertemplate": f"{name}: %{{x:,.0f}} MiB",
            "marker": {"color": MEMORY[name], "line": {"width": 0.5}},
        }
        for name, values in parts.items()
    ]  # fmt: skip


def _on_gpu(shown: list[Entrant], gpu: pd.Series) -> dict[str, Any]:
    """Marks, not bars: this memory is another than that of the bars."""
    return {
        "type": "scatter", "mode": "markers", "name": "on the GPU, peak", "x": digits(gpu, 5),
        "y": [plain(each.label) for each in shown], "meta": {"entrants": [each.number for each in shown]},
        "hovertemplate": "on the GPU: %{x:,.0f} MiB",
        "marker": {"symbol": "diamond", "size": 10, "color": "#e69f00", "line": {"width": 1}},
    }  # fmt: skip
