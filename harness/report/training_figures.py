"""Figures of training: accuracy over epochs and seconds, time to a target."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.analysis.target import LAUNCH
from harness.report.parts import (
    Cell,
    Figure,
    Row,
    Table,
    digits,
    legend_of,
    line_layout,
    named,
    number,
    plain,
    row_layout,
    span,
    text,
)
from harness.report.reading import Entrant, Report
from harness.report.speed_figures import line

ACCURACY = {"title": {"text": "test accuracy, %"}, "tickformat": ".4~g"}
# How far apart entrants stand within an epoch: they often have the same accuracy, and would hide each other.
DODGE = 0.5


def accuracy_by_epoch(report: Report) -> Figure | None:
    """Mean over the seeds after each epoch, with the range of the seeds; None where no epoch was trained."""
    if report.epochs.empty:
        return None
    shown = named(report.entrants, report.epochs["entrant"].unique())
    epochs = [int(value) for value in sorted(report.epochs["epoch"].unique())]
    traces, rows = [], []
    by_epoch = {number: _spread(rows) for number, rows in report.epochs.groupby("entrant")}
    seeds_of = report.epochs.groupby("entrant")["seed"].nunique()
    for place, each in enumerate(shown):
        found = by_epoch[each.number]
        offset = (place - (len(shown) - 1) / 2) * DODGE / len(shown)
        traces.append(_means(each, found, offset))
        means = [number(found["mean"].get(epoch), ".2f") for epoch in epochs]
        rows.append(Row([text(each.label), *means, number(seeds_of[each.number], ".0f")], each.number))
    last = report.epochs.groupby(LAUNCH)["test_accuracy"].last() * 100
    left = report.epochs.groupby("epoch").size()
    fewer = " Later epochs are of fewer seeds: the others had reached the target." if left.iloc[-1] < left.max() else ""
    return Figure(
        "accuracy-epochs",
        "Accuracy over epochs",
        f"Test accuracy of {len(shown)} entrant(s) over {epochs[-1]} epoch(s), mean over seeds; bars span the seeds. "
        f"At the end of each training {span(last.min(), last.max(), '.2f', '%')}.{fewer}",
        traces,
        line_layout({"title": {"text": "epoch"}, "tickvals": epochs, "range": [epochs[0] - 0.5, epochs[-1] + 0.5]},
                    ACCURACY),
        Table(["entrant", *(f"epoch {epoch}, %" for epoch in epochs), "seeds"], rows, "Mean test accuracy by epoch"),
        legend=legend_of(shown),
    )  # fmt: skip


def _spread(epochs: pd.DataFrame) -> pd.DataFrame:
    """Mean, min and max of the accuracy in %, and the count of seeds, by epoch."""
    found = epochs.groupby("epoch")["test_accuracy"].agg(["mean", "min", "max", "count"])
    return found.astype(float) * [100, 100, 100, 1]


def _means(each: Entrant, found: pd.DataFrame, offset: float) -> dict[str, Any]:
    trace = line(
        each, digits(found.index + offset), digits(found["mean"]),
        "epoch %{customdata[0]}: %{y:.2f} %, %{customdata[1]} seed(s)",
        customdata=[[int(epoch), int(count)] for epoch, count in zip(found.index, found["count"])],
    )  # fmt: skip
    if (found["count"] > 1).any():
        above, below = digits(found["max"] - found["mean"], 3), digits(found["mean"] - found["min"], 3)
        trace["error_y"] = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1,
                            "width": 3}  # fmt: skip
    return trace


def accuracy_by_seconds(report: Report) -> Figure | None:
    """Each training by its own seconds: evaluations, start-up and preparation of batches are not in them."""
    if report.epochs.empty:
        return None
    traces, rows = [], []
    shown = named(report.entrants, report.epochs["entrant"].unique())
    for each in shown:
        for _, launch in report.epochs[report.epochs["entrant"] == each.number].groupby(LAUNCH, sort=False):
            seed = int(launch["seed"].iloc[0])
            traces.append(
                line(
                    each, digits(launch["seconds"], 4), digits(launch["test_accuracy"] * 100),
                    f"seed {seed}: %{{y:.2f}} % after %{{x:.2f}} s",
                )
            )  # fmt: skip
            end = launch.iloc[-1]
            cells = [Cell(str(seed), seed), number(end["epoch"], ".0f"), number(end["seconds"], ".2f"),
                     number(end["test_accuracy"], ".2f", scale=100)]  # fmt: skip
            rows.append(Row([text(each.label), *cells], each.number))
    ends = report.epochs.groupby(LAUNCH)["seconds"].max()
    return Figure(
        "accuracy-seconds",
        "Accuracy over seconds of training",
        f"Test accuracy over seconds of training, a line a seed; the trainings took "
        f"{span(ends.min(), ends.max(), '.2f', 's')}. Evaluations and start-up are not counted.",
        traces,
        line_layout({"title": {"text": "seconds of training"}, "rangemode": "tozero"}, ACCURACY),
        Table(["entrant", "seed", "epochs", "seconds of training", "accuracy, %"], rows, "The end of each training"),
        legend=legend_of(shown),
    )


def time_to_target(report: Report) -> Figure | None:
    """Seconds of training of each seed until the target; crosses for those that ended without; None without one."""
    good = report.launches[report.launches["status"] == "ok"]
    trained = good[good["until"].notna() & good["test_accuracy"].notna()]
    if trained.empty or report.epochs.empty:
        return None
    seconds = report.epochs.groupby(LAUNCH)["train_s"].sum().rename("seconds")
    trained = trained.join(seconds, on=LAUNCH)
    shown, until = named(report.entrants, trained["entrant"].unique()), float(trained["until"].iloc[0])
    traces, rows = [], []
    for each in shown:
        mine = trained[trained["entrant"] == each.number]
        reached = mine[mine["test_accuracy"] >= mine["until"]]
        traces.append(_times(each, reached, each.mark.symbol, "reached"))
        traces.append(_times(each, mine.drop(reached.index), "x-thin-open", "not reached"))
        rows.append(_target_row(report, each, len(mine), len(reached)))
    layout = row_layout(shown, f"seconds of training until {until:.2%}", rangemode="tozero", tickformat=",~g")
    there = int((trained["test_accuracy"] >= trained["until"]).sum())
    return Figure(
        "time-to-target",
        f"Time to {until:.2%} test accuracy",
        f"Seconds of training of each seed until {until:.2%} test accuracy: {there} of {len(trained)} trainings "
        "reached it. A thin cross stands where a training ended without.",
        traces,
        layout,
        Table(["entrant", "reached", "epochs", "training s", "with evaluation s"], rows, "Median over the seeds"),
        rows=True,
    )


def _times(each: Entrant, launches: pd.DataFrame, symbol: str, what: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": digits(launches["seconds"], 4), "name": plain(each.label),
        "y": [plain(each.label)] * len(launches), "meta": {"entrant": each.number},
        # A seed as text: JavaScript holds 53 bits of a number.
        "customdata": [[str(seed), int(epochs)] for seed, epochs in zip(launches["seed"], launches["epochs"])],
        "hovertemplate": f"seed %{{customdata[0]}}: {what} after %{{x:.2f}} s, %{{customdata[1]}} epoch(s)",
        "marker": {"symbol": symbol, "size": 10, "color": each.mark.colour, "opacity": 0.85, "line": {"width": 1.2}},
    }  # fmt: skip


def _target_row(report: Report, each: Entrant, seeds: int, reached: int) -> Row:
    cells = [text(f"{reached} of {seeds}")]
    if each.number < len(report.summary):
        row = report.summary.iloc[each.number]
        forms = {"until_epochs": "g", "until_train_s": ".2f", "until_total_s": ".2f"}
        cells += [number(row[name], form) for name, form in forms.items()]
    else:
        cells += [text(None)] * 3
    return Row([text(each.label), *cells], each.number)
