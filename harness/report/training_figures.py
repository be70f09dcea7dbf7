"""Figures of training: accuracy over epochs and seconds, time to a target."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.analysis.target import LAUNCH
from harness.report.names import counted
from harness.report.parts import (
    Cell,
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

ACCURACY = {"title": {"text": "test accuracy, %"}, "tickformat": ".4~g"}
LOSS = {"title": {"text": "training loss (cross-entropy)"}}
# How far apart the bars of entrants stand within an epoch: they often reach the same, and would hide each other.
# Lines and points stay at the epochs that they are of.
DODGE = 0.3


def accuracy_by_epoch(report: Report) -> Figure | None:
    """Mean over the seeds after each epoch, with the range of the seeds; None where no epoch was trained."""
    if report.epochs.empty:
        return None
    last = report.epochs.groupby(LAUNCH)["test_accuracy"].last() * 100
    ends = f"At the end of each training {span(last.min(), last.max(), '.2f', '%')}."
    return _by_epoch(report, "test_accuracy", "accuracy-epochs", "Test accuracy", ends, ACCURACY, 100, " %")


def loss_by_epoch(report: Report) -> Figure | None:
    """As `accuracy_by_epoch`, of the loss on the training images; None where it was not recorded."""
    if report.epochs.empty or report.epochs["train_loss"].isna().all():
        return None
    means = report.epochs.groupby(["entrant", "epoch"])["train_loss"].mean()
    ends = "The loss is the mean over the epoch's images, each before its own update."
    return _by_epoch(report, "train_loss", "loss-epochs", "Training loss", ends, LOSS | log_axis(means), 1, "")


def _by_epoch(
    report: Report, column: str, name: str, title: str, ends: str, axis: dict[str, Any], scale: int, unit: str
) -> Figure:  # fmt: skip
    shown = named(report.entrants, report.epochs["entrant"].unique())
    epochs = [int(value) for value in sorted(report.epochs["epoch"].unique())]
    form = ".2f" if scale == 100 else ".4f"
    lines, bars, rows = [], [], []
    for place, each in enumerate(shown):
        found = _spread(report.epochs[report.epochs["entrant"] == each.number], column, scale)
        lines.append(_means(each, found, f"%{{y:{form}}}{unit}"))
        if (found["count"] > 1).any():
            bars.append(_bars(each, found, (place - (len(shown) - 1) / 2) * DODGE / len(shown)))
        means = [number(found["mean"].get(epoch), form) for epoch in epochs]
        rows.append(Row([text(each.label), *means, number(found["count"].max(), ".0f")], each.number))
    headers = ["framework", *(f"epoch {epoch}{',' if unit else ''}{unit}" for epoch in epochs), "seeds"]
    spread = ", mean over seeds; bars, moved aside from one another, span the seeds" if bars else ""
    left = report.epochs.groupby("epoch").size()
    fewer = " Later epochs are of fewer seeds: the others had reached the target." if left.iloc[-1] < left.max() else ""
    x_axis = {"title": {"text": "epoch"}, "tickvals": epochs, "range": [epochs[0] - 0.4, epochs[-1] + 0.4]}
    return Figure(
        name,
        f"{title} over epochs",
        f"{title} after each of {counted(epochs[-1], 'epoch')}{spread}. {ends}{fewer}",
        # Lines first: a legend shows the first trace of a name.
        lines + bars,
        line_layout(x_axis, axis),
        Table(headers, rows, f"Mean {title.lower()} by epoch"),
        half=True,
        legend=legend_of(shown),
    )


def _spread(epochs: pd.DataFrame, column: str, scale: int) -> pd.DataFrame:
    """Mean, min and max, and the count of seeds, by epoch."""
    found = epochs.groupby("epoch")[column].agg(["mean", "min", "max", "count"])
    return found.astype(float) * [scale, scale, scale, 1]


def _means(each: Entrant, found: pd.DataFrame, shown: str) -> dict[str, Any]:
    return line(
        each, digits(found.index), digits(found["mean"]), f"epoch %{{x}}: {shown}, %{{customdata}}",
        customdata=[counted(int(count), "seed") for count in found["count"]],
    )  # fmt: skip


def _bars(each: Entrant, found: pd.DataFrame, offset: float) -> dict[str, Any]:
    """From the least to the most of the seeds, beside the points, which are drawn apart."""
    above, below = digits(found["max"] - found["mean"], 3), digits(found["mean"] - found["min"], 3)
    return {
        "type": "scatter", "mode": "markers", "x": digits(found.index + offset), "y": digits(found["mean"]),
        "name": plain(each.label), "meta": {"entrant": each.number}, "hoverinfo": "skip", "showlegend": False,
        "marker": {"opacity": 0, "size": 1, "color": each.mark.colour},
        "error_y": {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5,
                    "width": 3, "color": each.mark.colour},
    }  # fmt: skip


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
        "Test accuracy over seconds of training",
        "A line is a training from one seed; they took "
        f"{span(ends.min(), ends.max(), '.2f', 's')}. Evaluations and start-up are not counted.",
        traces,
        line_layout({"title": {"text": "seconds of training"}, "rangemode": "tozero"}, ACCURACY),
        Table(["framework", "seed", "epochs", "training, s", "accuracy, %"], rows, "The end of each training"),
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
        Table(["framework", "reached", "epochs", "training, s", "with evaluations, s"], rows, "Median over the seeds"),
        rows=True,
    )


def _times(each: Entrant, launches: pd.DataFrame, symbol: str, what: str) -> dict[str, Any]:
    epochs = [counted(int(count), "epoch") for count in launches["epochs"]]
    return {
        "type": "scatter", "mode": "markers", "x": digits(launches["seconds"], 4), "name": plain(each.label),
        "y": [plain(each.label)] * len(launches), "meta": {"entrant": each.number},
        # A seed as text: JavaScript holds 53 bits of a number.
        "customdata": [[str(seed), count] for seed, count in zip(launches["seed"], epochs)],
        "hovertemplate": f"seed %{{customdata[0]}}: {what} after %{{x:.2f}} s, %{{customdata[1]}}",
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
