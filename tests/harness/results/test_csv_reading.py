"""Tables as people hand them on: whole numbers exactly, what spreadsheets did undone or named, all within bounds."""

from __future__ import annotations

import csv
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import InputError
from harness.results import csv_reading
from harness.results.counted import counting
from harness.results.csv_reading import AGAIN, MAX_BYTES, read_table
from harness.results.folder import RunFolder, frame_of, write_table
from harness.results.schema import EPOCHS, LAUNCHES, SCHEMA_VERSION
from tests.harness.synthetic_run import write_run

ROWS = [
    {
        "schema_version": SCHEMA_VERSION, "run": "a;b, c", "round": number, "position": 1, "backend": "torch",
        "seed": 1_700_000_000_000_000_000 + number, "epoch": 1, "train_s": 1.5 + number, "train_loss": 0.25,
    }
    for number in (1, 2)
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a table of two rows that differ in the last digits of a large seed."""
    write_table(tmp_path / "epochs.csv", frame_of(ROWS, EPOCHS))
    return tmp_path / "epochs.csv"


@pytest.mark.parametrize("value", [2**53 + 1, 1_700_000_000_000_000_001, 2**63 - 1, -(2**63), 0])
def test_whole_numbers_come_back(tmp_path: Path, value: int) -> None:
    """To the last of 64 bits, beside a missing cell too."""
    write_table(tmp_path / "t.csv", frame_of([ROWS[0] | {"seed": seed} for seed in (value, None, value)], EPOCHS))
    found = read_table(tmp_path / "t.csv", EPOCHS)["seed"]
    assert [found[0], found[2]] == [value, value]
    assert pd.isna(found[1])
    assert found.dtype == "Int64"


def saved_again(text: str, delimiter: str = ";", comma: bool = True) -> str:
    """A table as a spreadsheet of another country writes it."""
    rows = [line.replace('"a;b, c"', "a;b, c").split(",") for line in text.splitlines()]
    rows = [[*row[:1], "a;b, c", *row[3:]] if row[1:2] == ["a;b"] else row for row in rows]
    if comma:
        rows = [[cell.replace(".", ",") if cell[:1].isdigit() else cell for cell in row] for row in rows]
    return "".join(delimiter.join(f'"{c}"' if delimiter in c else c for c in row) + "\n" for row in rows)


CHANGES: dict[str, Callable[[str], str]] = {
    "byte order mark": lambda text: "\ufeff" + text,
    "line ends": lambda text: text.replace("\n", "\r\n"),
    "semicolons": lambda text: saved_again(text, comma=False),
    "semicolons and commas": saved_again,
    "tabs": lambda text: saved_again(text, "\t", comma=False),
    "empty columns at the end": lambda text: "".join(f"{line},,\n" for line in text.splitlines()),
    "empty rows at the end": lambda text: text + "," * text.splitlines()[0].count(",") + "\n\n",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_saved_again_by_a_spreadsheet(path: Path, change: Callable[[str], str]) -> None:
    """What is not lost is read: the same cells as before."""
    before = read_table(path, EPOCHS)
    path.write_bytes(change(path.read_text()).encode())
    pd.testing.assert_frame_equal(read_table(path, EPOCHS), before)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_truth_as_spreadsheets_write_it(tmp_path: Path, delimiter: str) -> None:
    """TRUE and FALSE, in capitals: a launch that does not count does not begin to, and what is missing stays so."""
    told = [("True", "False", ""), ("False", "True", "")]
    path = write_run(tmp_path / "run", entrants=2, rounds=3, epochs=0) / "launches.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["counted"], row["verified"], row["steady"] = told[number % 2]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows({name: cell.upper() if cell in ("True", "False") else cell for name, cell in row.items()}
                         for row in rows)  # fmt: skip

    found = RunFolder(path.parent).read("launches")
    assert list(found["counted"]) == [True, False] * 3
    assert list(found["verified"]) == [False, True] * 3
    assert found["steady"].isna().all()
    assert list(counting(found).index) == [0, 2, 4]


def test_truth_in_another_language_is_refused(tmp_path: Path) -> None:
    """WAHR may be anything: the cell is named."""
    path = write_run(tmp_path / "run", entrants=2, rounds=2, epochs=0) / "launches.csv"
    path.write_text(path.read_text().replace("True", "WAHR"))
    with pytest.raises(InputError, match=r"row 2, column \w+: 'WAHR' is not boolean"):
        read_table(path, LAUNCHES)


def put(column: str, value: str, delimiter: str = ",") -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        lines = content.decode().splitlines()
        if delimiter == ";":
            lines = saved_again(content.decode(), comma=False).splitlines()
        place = lines[0].split(delimiter).index(column) - len(lines[0].split(delimiter))
        cells = lines[1].split(delimiter)
        cells[place] = f'"{value}"'
        return "\n".join([lines[0], delimiter.join(cells), *lines[2:], ""]).encode()

    return change


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "rounded": (
        put("seed", "1.7E+18"),
        "row 2, column seed: '1.7E.18' is a whole number that a spreadsheet has rounded",
    ),
    "too large": (put("seed", str(2**63)), f"column seed: '{2**63}' does not fit into 64 bits"),
    "fraction": (put("seed", "1.5"), "column seed: '1.5' is not Int64"),
    "underscore": (put("train_s", "1_0"), "column train_s: '1_0' is not Float64"),
    "thousands": (
        put("train_s", "1.234,5", ";"),
        "column train_s: '1.234,5' is not Float64: .* marks between its thous",
    ),
    "comma in commas": (put("train_s", "1,5"), "column train_s: '1,5' is not Float64: a decimal comma"),
    "both": (put("train_s", "1,5", ";"), "column train_s: '1,5' has a comma and '3.5' a point"),
    "UTF-16": (lambda content: content.decode().encode("utf-16"), "saved it as UTF-16. Save it as CSV UTF-8"),
    "workbook": (lambda content: b"PK\x03\x04" + content, "a spreadsheet's workbook"),
    "column twice": (lambda content: content.replace(b"train_s", b"seed"), "has the column 'seed' twice"),
    "latin-1": (lambda content: content.replace(b"torch", b"t\xf6rch"), "is not a CSV table: .*utf-8"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_spreadsheet_has_lost_is_named(path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    """Where a cell may have been another, the sentence says what became of it."""
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        read_table(path, EPOCHS)


def test_formulas_are_text(tmp_path: Path) -> None:
    """No cell of the file begins as a formula; each comes back as it was."""
    names = ["=cmd()", "@x", "+a", "\t=1", "'=x", "torch"]
    write_table(tmp_path / "t.csv", frame_of([ROWS[0] | {"run": name} for name in names], EPOCHS))
    assert "=cmd" in (text := (tmp_path / "t.csv").read_text())
    assert not any(cell[:1] in "=@+\t" for line in text.splitlines() for cell in line.split(",") if cell)
    assert list(read_table(tmp_path / "t.csv", EPOCHS)["run"]) == names


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "columns without end": (lambda: b"a," * (64 * 2**20), f"first line has more than 65,536 bytes. {AGAIN}"),
    "one long line": (lambda: b"schema_version,run\n" + b"x" * (64 * 2**20) + b"\n", "not a CSV table"),
    "one long cell": (lambda: b'a,b\n1,"' + b"x\n" * (32 * 2**20) + b'"\n', "field larger"),
    "cells without end": (lambda: b"a,b\n" + b"1," * (32 * 2**20) + b"\n", "cells, but the header has 2"),
}


@pytest.mark.parametrize(("make", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_table_is_bounded(tmp_path: Path, make: Callable[[], bytes], message: str) -> None:
    """Whatever is in a file, it is refused in seconds, with a few times its size of memory."""
    path = tmp_path / "launches.csv"
    path.write_bytes(make())
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InputError, match=message):
        read_table(path, EPOCHS)
    assert time.process_time() - started < 20
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 24 * path.stat().st_size


def test_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a terabyte is refused by its size; the largest allowed one is read."""
    with (tmp_path / "launches.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match=f"1,099,511,627,776 bytes; at most {MAX_BYTES:,} are read"):
        read_table(tmp_path / "launches.csv", EPOCHS)
    write_table(tmp_path / "t.csv", frame_of(ROWS, EPOCHS))
    monkeypatch.setattr(csv_reading, "MAX_BYTES", (tmp_path / "t.csv").stat().st_size)
    assert len(read_table(tmp_path / "t.csv", EPOCHS)) == 2
