"""What the report refuses: files that are not what `run` wrote, with file, row and column, and nothing overwritten."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report import page
from tests.harness.report_helpers import Call, caller, change
from tests.harness.synthetic_run import write_run


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the command line in this process."""
    return caller(monkeypatch, capsys)


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:-40])


def lose_newline(path: Path) -> None:
    path.write_text(path.read_text().rstrip("\n"))


def put(row: int, column: str, value: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        change(path, lambda frame: frame.__setitem__(column, [*frame[column][:row], value, *frame[column][row + 1 :]]))

    return edit


def twice(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[1], *lines[3:]]))


@pytest.mark.parametrize(
    ("table", "damage", "message"),
    [
        ("launches", cut, "launches.csv does not end with the end of a line"),
        ("launches", lose_newline, "launches.csv does not end with the end of a line"),
        ("launches", lambda path: path.write_text(""), "launches.csv is not a CSV table: No columns"),
        ("launches", lambda path: path.write_text("a,b\n1,2\n"), "launches.csv lacks the columns"),
        ("launches", lambda path: path.write_bytes(b"\xff\xfe\x00\n"), "launches.csv is not a CSV table"),
        ("launches", put(0, "error", "x" * 200_000), "launches.csv is not a CSV table: field larger"),
        ("launches", put(2, "train_images_per_s", "fast"), "row 4, column train_images_per_s: 'fast' is not Float64"),
        ("launches", put(2, "train_images_per_s", "-5"), "row 4, column train_images_per_s: -5.0 is no speed"),
        ("launches", put(2, "train_images_per_s", "0"), "row 4, column train_images_per_s: 0.0 is no speed"),
        ("launches", put(2, "import_s", "-1"), "row 4, column import_s: -1.0 can be no amount"),
        ("launches", put(2, "steady_steps", "-1"), "row 4, column steady_steps: -1 can be no amount"),
        ("launches", put(2, "import_s", "inf"), "row 4, column import_s: inf can be no amount"),
        ("launches", put(1, "backend", ""), "row 3, column backend: an empty cell"),
        ("launches", put(1, "batch_size", ""), "row 3, column batch_size: an empty cell"),
        ("launches", put(1, "round", "nan"), "row 3, column round"),
        ("launches", put(1, "status", "fine"), "row 3, column status: 'fine' is none of ok, failed"),
        ("launches", put(1, "schema_version", "999"), "schema_version"),
        ("launches", twice, "row 4: the same launch as row 2"),
        ("epochs", cut, "epochs.csv does not end with the end of a line"),
        ("epochs", put(0, "test_accuracy", "98.2"), "epochs.csv, row 2, column test_accuracy: 98.2 is no share"),
        ("epochs", twice, "epochs.csv, row 4: the same launch as row 2"),
        ("inference", put(0, "inference_batch_size", ""), "inference.csv, row 2, column inference_batch_size: an emp"),
        ("latency", put(0, "percentile", "101"), "latency.csv, row 2, column percentile: 101.0 is no percentile"),
        ("latency", put(0, "latency_ms", "-1"), "latency.csv, row 2, column latency_ms: -1.0 can be no amount"),
        ("latency", twice, "latency.csv, row 4: the same launch as row 2"),
        ("summary", lambda path: path.write_text("x\n"), "summary.csv lacks the columns"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(
    tmp_path: Path, call: Call, table: str, damage: Callable[[Path], None], message: str
) -> None:
    """A sentence with file, row and column; exit code 2; the report that is there stays as it is."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4, epochs=2)
    target = folder / "report.html"
    target.write_text(f"<!doctype html>{page.MARK} the report of yesterday")
    damage(folder / f"{table}.csv")
    before = target.read_bytes()

    code, _, err = call("report", folder)

    assert code == 2
    assert re.search(message, err), err
    assert target.read_bytes() == before
    assert sorted(path.name for path in folder.glob(".*")) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "launches.csv").unlink(), "has no launches.csv: no launch of it has ended yet"),
        (lambda folder: (folder / "environment.json").unlink(), "is not a run: environment.json"),
        (lambda folder: (folder / "environment.json").write_text('{"plan": '), "environment.json is not JSON"),
        (lambda folder: (folder / "environment.json").write_text('{"plan": {"seed": 3}}'), "plan in environment.json"),
        (lambda folder: change(folder / "launches.csv", lambda rows: rows.__setitem__("status", "failed")),
         "has no launch that succeeded yet"),
        (lambda folder: change(folder / "launches.csv", lambda rows: rows.__setitem__("machine_sha256", rows["round"])),
         "the machine is not the same"),
    ],
)  # fmt: skip
def test_bad_folders_are_refused(tmp_path: Path, call: Call, damage: Callable[[Path], None], message: str) -> None:
    """A sentence and exit code 2, and no report."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4)
    damage(folder)

    code, _, err = call("report", folder)

    assert code == 2
    assert re.search(message, err), err
    assert not (folder / "report.html").exists()
