"""The report's figures as data: what each shows, in which marks, on which axes; cells of their tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from backends import BACKENDS
from harness.report.export import for_paper
from harness.report.facts import headline
from harness.report.launch_figures import latency, seconds_of
from harness.report.marks import marks_of
from harness.report.parts import Cell, Figure, digits, interval, log_axis, number
from harness.report.reading import read_report
from harness.report.sections import figures
from harness.results.folder import RunFolder
from harness.worker.inference import PERCENTILES
from tests.harness.synthetic_run import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six entrants, with all that a report can show."""
    folder = tmp_path_factory.mktemp("results") / "all"
    return write_run(folder, entrants=3, rounds=5, epochs=3, seeds=3, until=0.983, threads=(1, 2), spread=0.01)


def test_latency_is_shown_as_it_is_distributed(run: Path, tmp_path: Path) -> None:
    """Spans between percentiles behind the marks; a run of before latency.csv has the marks and three columns."""
    old = Path(shutil.copytree(run, tmp_path / "all"))
    (old / "latency.csv").unlink()
    found = {}
    for folder in (run, old):
        report = read_report(folder)
        found[folder] = figure = latency(report)
        marks = [trace for trace in figure.traces if trace["mode"] == "markers"]
        assert [trace["x"][0] for trace in marks] == [float(f"{x:.4g}") for x in report.summary["latency_ms_p50"]]
    new, last = found[run], found[old]

    assert [len(trace["x"]) for trace in new.traces[:3]] == [2, 2, 3]
    middle = report.launches[["position", "round", "entrant"]].merge(RunFolder(run).read("latency"))
    middle = middle[(middle["entrant"] == 0) & middle["percentile"].isin([25, 75])]
    expected = middle.groupby("percentile")["latency_ms"].median()
    assert new.traces[1]["x"] == [float(f"{x:.4g}") for x in expected]
    assert {trace["mode"] for trace in last.traces} == {"markers"}
    assert len(new.table.headers) == 1 + len(PERCENTILES)
    assert new.table.headers[1:3] == ["shortest, ms", "p1, ms"]
    assert last.table.headers == ["framework", "median, ms", "p95, ms", "p99, ms"]
    assert "Thick" in new.alt
    assert "Thick" not in last.alt


def test_a_first_epoch_is_what_a_user_waits_for(run: Path) -> None:
    """Its parts add up to what `first_epoch_s` says, and none is the window that the harness times in."""
    timed = read_report(run).timed
    found = seconds_of(timed)

    first = timed[timed["entrant"] == 0]
    assert found.loc[0, "import"] == pytest.approx(first["import_s"].mean())
    assert found.loc[0].sum() == pytest.approx(first["first_epoch_s"].mean())
    assert found.loc[0, "train one epoch"] == pytest.approx((first["first_epoch_s"] - first["start_up_s"]).mean())
    twice = timed.assign(steady_steps=timed["steady_steps"] * 2)
    pd.testing.assert_frame_equal(seconds_of(twice), found)


def test_first_epoch_of_an_old_run(run: Path) -> None:
    """Rows of before there was a start-up have what it is made of, and no epoch."""
    timed = read_report(run).timed
    nothing = pd.Series(pd.NA, index=timed.index, dtype="Float64")
    old = seconds_of(timed.assign(start_up_s=nothing, first_epoch_s=nothing))

    assert old[["import", "build the network", "compile (first step)"]].notna().all(axis=None)
    assert old[["warm up", "train one epoch"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("name", "column", "scale"), [("accuracy-epochs", "test_accuracy", 100), ("loss-epochs", "train_loss", 1)]
)
def test_learning_curves_are_at_whole_epochs(run: Path, name: str, column: str, scale: int) -> None:
    """Points and lines stand at the epochs that they are of; bars alone are moved, and not beyond half an epoch."""
    report = read_report(run)
    figure = next(each for each in figures(report) if each.name == name)
    lines = [trace for trace in figure.traces if trace["mode"] == "lines+markers"]
    bars = [trace for trace in figure.traces if trace["mode"] == "markers"]

    for trace in lines:
        mine = report.epochs[report.epochs["entrant"] == trace["meta"]["entrant"]]
        means = mine.groupby("epoch")[column].mean() * scale
        assert trace["x"] == [int(epoch) for epoch in means.index]
        assert trace["y"] == pytest.approx(list(means), rel=1e-5)
        assert "error_y" not in trace
    assert len(lines) == len(bars) == len(report.entrants)
    assert [trace["y"] for trace in bars] == [trace["y"] for trace in lines]
    assert all(trace["marker"]["opacity"] == 0 for trace in bars)
    assert len({trace["x"][0] for trace in bars}) == len(bars)
    assert max(abs(x - round(x)) for trace in bars for x in trace["x"]) < 0.25


def test_time_to_target(run: Path) -> None:
    """Each seed at the seconds it trained; those that did not get there apart from those that did."""
    report = read_report(run)
    figure = next(each for each in figures(report) if each.name == "time-to-target")
    seconds = report.epochs.groupby(["round", "position"])["train_s"].sum()

    drawn = [value for trace in figure.traces for value in trace["x"]]
    assert sorted(drawn) == pytest.approx(sorted(seconds), rel=1e-3)
    good = report.launches[report.launches["test_accuracy"].notna()]
    reached = int((good["test_accuracy"] >= 0.983).sum())
    assert sum(len(trace["x"]) for trace in figure.traces if trace["marker"]["symbol"] != "x-thin-open") == reached
    assert f"{reached} of {len(good)} trainings" in figure.alt


def test_figures_can_be_filtered_and_drawn(run: Path) -> None:
    """Every trace says of which entrants it is, has a table behind it, and is what Plotly takes."""
    report = read_report(run)
    for figure in figures(report):
        for trace in figure.traces:
            of = trace["meta"].get("entrants", [trace["meta"].get("entrant")])
            assert set(of) <= {each.number for each in report.entrants}
            assert "entrant" in trace["meta"] or len(of) == len(trace["x"])
        assert figure.table.rows
        assert all(len(row.cells) == len(figure.table.headers) for row in figure.table.rows)
        assert len(go.Figure(for_paper(report, figure)).data) == len(figure.traces)


def test_marks_tell_entrants_apart() -> None:
    """A colour for each framework, and a marker for each of its first sixteen; other backends have colours."""
    marks = marks_of(["torch"] * 16 + ["jax"] * 3 + ["twin", "mine", "twin"])

    assert len({each.colour for each in marks[:16]}) == 1
    assert len({each.symbol for each in marks[:16]}) == 16
    assert all(each.path.startswith("M") for each in marks)
    assert len({marks[0].colour, marks[16].colour, marks[19].colour, marks[20].colour}) == 4
    assert len({mark.colour for mark in marks_of([*BACKENDS, *(f"outside{number}" for number in range(40))])}) == 47
    five = marks_of(["torch", "tensorflow", "jax", "mxnet", "paddle"])
    assert len({each.symbol for each in five}) == len({each.dash for each in five}) == 5
    assert marks[19].colour == marks[21].colour


@pytest.mark.parametrize(
    ("cell", "text", "sort"),
    [
        (number(None, ".1f"), "–", ""),  # noqa: RUF001
        (number(pd.NA, ".1f"), "–", ""),  # noqa: RUF001
        (number(float("inf"), ".1f"), "never", "Infinity"),
        (number(0.5, ".1f", scale=100), "50.0", "50.0"),
        (interval(1.0, 2.0, ".2f"), "1.00 – 2.00", "1.0"),  # noqa: RUF001
        (interval(1.0, pd.NA, ".2f"), "–", ""),  # noqa: RUF001
    ],
)
def test_cells(cell: Cell, text: str, sort: str) -> None:
    """What is missing is a dash and sorted last; what never happens is more than anything."""
    assert (cell.text, cell.sort) == (text, sort)


def test_axes() -> None:
    """Logarithmic where values are far apart, with labels that are round; missing values do no harm."""
    assert log_axis([1.0, 3.0, None]) == {"tickformat": ",~g", "rangemode": "tozero"}
    assert log_axis([]) == {"tickformat": ",~g", "rangemode": "tozero"}
    assert log_axis([1.0, 40.0])["ticktext"] == ["1", "2", "5", "10", "20"]
    assert log_axis([900.0, 100_000.0])["ticktext"] == ["1,000", "3,000", "10,000", "30,000", "100,000"]
    assert digits([1.23456789, None, float("nan"), float("inf")], 3) == [1.23, None, None, None]


def test_limit_is_a_line_and_a_column(run: Path, tmp_path: Path) -> None:
    """Where a run has kernels made for the machine; not where threads have limits of their own, or there is none."""

    def figure_of(folder: Path) -> Figure:
        return next(each for each in figures(read_report(folder)) if each.name == "throughput")

    folder = write_run(tmp_path / "limited", entrants=3, rounds=5)
    assert "shapes" not in figure_of(folder).layout
    for file in folder.glob("*.csv"):
        file.write_text(file.read_text().replace("torch", "numba"))

    report = read_report(folder)
    (line,) = figure_of(folder).layout["shapes"]

    limit = report.summary.loc[(report.summary["backend"] == "numba").to_numpy(bool), "train_images_per_s"].max()
    assert line["x0"] == line["x1"] == pytest.approx(limit, abs=1)
    table = headline(report)
    assert table.headers[-1] == "% of limit"
    assert [row.cells[-1].text for row in table.rows if "numba" in row.cells[0].text] == ["100.0"]
