"""The gallery, without a browser: what it writes and where, what it leaves out, refuses and keeps to itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.analysis.timeline import find_runs
from harness.report import first_screen, gallery, gallery_tables, site
from harness.results.folder import RunFolder
from tests.harness.report.gallery_runs import BUSY, VERSIONS, write_runs
from tests.harness.report_helpers import Call, Parsed, caller, change
from tests.harness.synthetic_run import write_run

OLD = Path(__file__).parents[1] / "old_results"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs of one machine."""
    folder = tmp_path_factory.mktemp("all") / "results"
    write_runs(folder)
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the command line in this process."""
    return caller(monkeypatch, capsys)


def read(results: Path) -> gallery.Gallery:
    records, left_out = gallery.read_records(find_runs([results]))
    runs: list[gallery.Run] = []
    for folder, record in records.items():
        runs.append(gallery.read_run(folder, record, [run.page for run in runs]))
    return gallery.gather(runs, [folder.name for folder in left_out])


def test_site_is_whole(results: Path, tmp_path: Path, call: Call) -> None:
    """A page of all runs and a report each; every link leads to a file of it, and none out of it."""
    place = tmp_path / "new" / "site"

    code, out, err = call("publish", results, "--output", place)

    assert (code, out) == (0, f"Wrote {place / 'index.html'}, with 4 reports")
    assert "Report 4 of 4: 2026-11-28" in err
    pages = sorted(path.relative_to(place).as_posix() for path in place.rglob("*.html"))
    assert pages == ["index.html", *(f"runs/2026-11-{day}.html" for day in VERSIONS)]
    assert (place / ".nojekyll").exists()
    for page in pages:
        parsed = Parsed((place / page).read_text(encoding="utf-8"))
        links = [each["href"] for tag in ("a", "link") for each in parsed.of(tag)]
        links += [each["src"] for each in parsed.of("script") if "src" in each]
        for link in links:
            assert link.startswith(("#", "data:")) or (place / page).parent.joinpath(link).resolve().is_file()
            assert not link.startswith(("/", "http"))
        assert any(link.endswith("plotly.min.js") for link in links)
    assert sum(path.stat().st_size for path in place.rglob("*") if path.name != "plotly.min.js") < 1_000_000


def test_latest_and_history(results: Path) -> None:
    """The latest figures are the last run's; each history has its runs, with a line before each new version."""
    found = read(results)
    (group,) = found.groups
    summary = RunFolder(results / "2026-11-28").read("summary")

    rows = gallery_tables.latest(found, group).rows
    assert [row.cells[0].text for row in rows] == ["TensorFlow (graph)", "PyTorch (eager)"]
    assert [row.cells[2].text for row in rows] == [f"{value:,.0f}" for value in summary["train_images_per_s"]]
    assert rows[1].cells[1].text == "2.13.0"
    torch = next(each for each in found.followers if each.backend == "torch")
    figure = gallery_tables.history(found, torch)
    assert figure is not None
    (line,) = figure.traces
    assert line["x"] == [1, 2, 3, 4]
    assert line["y"] == pytest.approx(list(torch.history["train_images_per_s"]), rel=1e-5)
    assert figure.layout["xaxis"]["ticktext"] == [f"2026-11-{day}" for day in VERSIONS]
    assert [shape["x0"] for shape in figure.layout["shapes"]] == [1.5, 3.5]
    assert [each["text"] for each in figure.layout["annotations"]] == ["→ 2.12.1", "→ 2.13.0"]
    hollow = [symbol.endswith("-open") for symbol in line["marker"]["symbol"]]
    assert hollow == [day == BUSY for day in VERSIONS]
    assert "over versions 2.12.0, 2.12.1 and 2.13.0" in figure.alt
    assert "Hollow" in figure.alt
    past = [row.cells[7].text for row in figure.table.rows]
    assert past[0] == "PyTorch 2.12.1 → 2.13.0"


def test_run_that_only_trained_is_not_shown_first(tmp_path: Path) -> None:
    """A gate trains briefly, and comes last: the page begins with the latest run that was timed. A gate is no run
    without a proof, and has no place on the axis of speeds; runs of one day have their time there."""
    for hour, timing in ((7, True), (8, True), (9, False)):
        folder = write_run(tmp_path / f"run-{hour}", entrants=2, rounds=4, epochs=1, seed=hour, timing=timing)

        def edit(rows: Any, hour: int = hour, timing: bool = timing) -> None:
            rows["started_utc"] = f"2026-11-20T{hour:02d}:30:00+00:00"
            rows["verified"] = "True" if timing else "False"

        change(folder / "launches.csv", edit)
    found = read(tmp_path)
    text = site.render(found)

    assert found.last.record.name == "run-8"
    assert "The latest run that was timed, 20 November 2026: " in text
    assert "Nothing was timed" not in text
    assert first_screen.warnings(found.runs[-1].report) == []
    figure = gallery_tables.history(found, found.followers[0])
    assert figure is not None
    assert figure.layout["xaxis"]["ticktext"] == ["2026-11-20<br>07:30", "2026-11-20<br>08:30"]


def test_entrant_of_one_run_has_no_history(tmp_path: Path) -> None:
    """There is nothing to draw, and the section is absent; nor is there a column without remarks."""
    write_run(tmp_path / "run", entrants=2, rounds=4, epochs=0)
    found = read(tmp_path)

    assert [gallery_tables.history(found, each) for each in found.followers] == [None, None]
    assert "remarks" not in gallery_tables.latest(found, found.groups[0]).headers


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path, call: Call) -> None:
    """On the terminal with the reason, on the page by the folder's name; a copy of a run counts once."""
    results = tmp_path / "results"
    write_runs(results, {20: "2.12.0", 22: "2.12.1"})
    shutil.copytree(results / "2026-11-20", results / "a-copy")
    shutil.copytree(results / "2026-11-22", results / "cut")
    (results / "cut" / "launches.csv").write_text("half a fi")
    shutil.copytree(results / "2026-11-22", results / "odd")
    change(results / "odd" / "launches.csv", lambda rows: rows.__setitem__("run", "odd"))
    (results / "odd" / "epochs.csv").write_text("half a fi")

    code, out, err = call("publish", results, "-o", tmp_path / "site")

    assert (code, out.endswith("with 2 reports")) == (0, True)
    assert re.search(r"Left out: .*cut/launches\.csv does not end with the end of a line", err)
    assert re.search(r"Left out: .*odd/epochs\.csv", err)
    assert "is the same run as" in err
    words = Parsed((tmp_path / "site" / "index.html").read_text()).words
    assert re.search(r"cannot be read: (2026-11-20|a-copy), cut, odd\.", words)


def test_output_that_is_not_ours_is_left_alone(results: Path, tmp_path: Path, call: Call) -> None:
    """A folder with something in it, a file, the results themselves: refused before anything is read."""
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    file.write_text("mine")

    for output, message in (
        (full, "is not empty, and was not written by"),
        (file, "is no folder"),
        (results, "not empty"),
    ):
        code, _, err = call("publish", results, "--output", output)
        assert code == 2
        assert message in err
        assert "Reading" not in err
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]
    assert file.read_text() == "mine"


def test_no_runs_no_site(tmp_path: Path, call: Call) -> None:
    """A folder that is not there, one without runs, runs of which none can be read: a sentence, and nothing written."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad" / "run").mkdir(parents=True)
    (tmp_path / "bad" / "run" / "launches.csv").write_text("half a fi")

    for place, message in (
        ("nowhere", "There is no folder"),
        ("empty", "There is no run in"),
        ("bad", "The only run cannot be read"),
    ):
        code, _, err = call("publish", tmp_path / place, "--output", tmp_path / "site")
        assert code == 2
        assert message in err
    assert not (tmp_path / "site").exists()


def test_site_is_brought_up_to_date(tmp_path: Path, call: Call) -> None:
    """Reports of runs that are gone go too, new ones come, and what somebody else put there stays."""
    results, place = tmp_path / "results", tmp_path / "site"
    write_runs(results, {20: "2.12.0", 22: "2.12.1"})
    assert call("publish", results, "-o", place)[0] == 0
    (place / "CNAME").write_text("bench.example")
    (place / "runs" / "notes.html").write_text("<p>mine")
    shutil.rmtree(results / "2026-11-20")
    write_runs(results, {25: "2.12.1"})

    assert call("publish", results, "-o", place)[0] == 0

    assert sorted(path.name for path in (place / "runs").iterdir()) == [
        "2026-11-22.html",
        "2026-11-25.html",
        "notes.html",
    ]
    assert (place / "CNAME").read_text() == "bench.example"
    assert "2026-11-20" not in Parsed((place / "index.html").read_text()).words


def test_strangers_see_no_more_than_they_may(tmp_path: Path, call: Call) -> None:
    """No package, path or word of an error; names with HTML in them are text, and names of files are plain."""
    results = tmp_path / "results"
    for folder in write_runs(results, {20: "2.12.0", 22: "2.12.1"}):
        environment = RunFolder(folder).read_environment()
        environment["packages"] = {"torch": ["secret-package==1.0"]}
        environment["interpreters"] = {"torch": "/secret/python"}
        RunFolder(folder).write_environment(environment)

        def edit(rows, name=folder.name):  # type: ignore[no-untyped-def]
            rows["run"] = f"<b>{name}</b> ../../x"
            rows.loc[rows.index[0], ["status", "error", "train_images_per_s"]] = ["failed", "secret words", ""]

        change(folder / "launches.csv", edit)
        change(folder / "epochs.csv", lambda rows, name=folder.name: rows.__setitem__("run", f"<b>{name}</b> ../../x"))

    assert call("publish", results, "-o", tmp_path / "site")[0] == 0

    pages = list((tmp_path / "site").rglob("*.html"))
    assert sorted(path.name for path in pages if path.parent.name == "runs") == [
        "b-2026-11-20-b-..-..-x.html", "b-2026-11-22-b-..-..-x.html"
    ]  # fmt: skip
    for page in pages:
        text = page.read_text()
        assert "secret" not in text
        assert str(tmp_path) not in text
        assert not Parsed(text).of("b")


def test_two_runs_of_one_name_have_two_pages(tmp_path: Path) -> None:
    """Whatever the letters' case: some file systems take one for the other."""
    for place, name in (("here", "Run"), ("there", "run")):
        write_run(tmp_path / place / name, entrants=1, rounds=4, epochs=0)

    records, _ = gallery.read_records(find_runs([tmp_path / "here", tmp_path / "there"]))
    pages: list[str] = []
    for folder, record in records.items():
        pages.append(gallery.read_run(folder, record, pages).page)
    assert sorted(pages) in (["runs/Run-2.html", "runs/run.html"], ["runs/Run.html", "runs/run-2.html"])


@pytest.mark.parametrize("version", range(1, 7))
def test_old_runs_have_reports_and_are_published(version: int, tmp_path: Path, call: Call) -> None:
    """Result files of every version, with the environment.json that such a run had at least."""
    folder = tmp_path / "results" / "run"
    shutil.copytree(OLD / f"version-{version}", folder)
    (folder / "environment.json").write_text("{}\n")

    code, _, err = call("publish", tmp_path / "results", "-o", tmp_path / "site")

    assert code == 0, err
    name = RunFolder(folder).name
    report = Parsed((tmp_path / "site" / "runs" / f"{name}.html").read_text())
    assert re.search(r"trains fastest|has the highest speed|images/s\.", report.words)
    assert "What you wait for until one epoch is trained" in report.words
    assert report.data["figures"]["launch"]["traces"][0]["name"] == "import"
    assert "launches" in Parsed((tmp_path / "site" / "index.html").read_text()).words


def test_one_machine_at_a_time(tmp_path: Path, call: Call) -> None:
    """Runs of another machine are named and not mixed in; which one is meant must be clear."""
    results = tmp_path / "results"
    write_runs(results, {20: "2.12.0", 22: "2.12.1"})

    def move(rows: pd.DataFrame) -> None:
        rows["machine"], rows["machine_sha256"] = "Another CPU, 8 CPUs, 32 GiB", "f" * 64

    change(results / "2026-11-22" / "launches.csv", move)

    code, _, err = call("publish", results, "-o", tmp_path / "site")
    assert (code, (tmp_path / "site").exists()) == (2, False)
    assert "The runs are of several machines" in err

    code, out, err = call("publish", results, "-o", tmp_path / "site", "--machine", "Another")
    assert (code, out.endswith("with 1 report")) == (0, True)
    assert "Not of this machine: 2026-11-20, of AMD EPYC" in err
    assert "One run on Another CPU" in Parsed((tmp_path / "site" / "index.html").read_text()).words


def test_writer_that_was_killed_is_no_hindrance(results: Path, tmp_path: Path, call: Call) -> None:
    """What it has left is known as ours, before there is a page of all runs."""
    site.prepare(tmp_path / "site")
    (tmp_path / "site" / "runs" / ".half.partial").write_text("half a pa")

    assert call("publish", results, "-o", tmp_path / "site")[0] == 0
    assert (tmp_path / "site" / "index.html").exists()


def test_limit_is_no_fastest_framework(tmp_path: Path) -> None:
    """The list of runs names who could be chosen."""
    for folder in write_runs(tmp_path, {20: "2.12.1"}):
        for file in folder.glob("*.csv"):
            file.write_text(file.read_text().replace("tensorflow", "numba"))

    (row,) = gallery_tables.runs(read(tmp_path)).rows

    assert "PyTorch (eager)" in [cell.text for cell in row.cells]
