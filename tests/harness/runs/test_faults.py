"""A quick share of the faults of tests/faults, around the NumPy backend; `nox -s faults` brings about all of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.faults import record, rows
from tests.faults.outcome import COLUMNS, Outcome, Tally
from tests.faults.trying import all_cases, attempt_all

pytestmark = pytest.mark.faults
KILLS, SEED = 2, 14
QUICK = [case.fault for case in all_cases(kills=KILLS, torch_kills=0, quick=True)]


@pytest.fixture(scope="module")
def tallies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tally]:
    """What came of the quick ones, two at a time."""
    cases = all_cases(kills=KILLS, torch_kills=0, quick=True)
    folder = tmp_path_factory.mktemp("faults")
    found = attempt_all(cases, folder, seed=SEED, jobs=2, tell=lambda done, of, tally: None, times=1)
    return {tally.fault: tally for tally in found}


@pytest.mark.parametrize("fault", QUICK)
def test_nothing_is_lost_left_or_wrong(tallies: dict[str, Tally], fault: str):
    """Rows, processes, files and exit codes are as if nothing had happened, or say what has."""
    assert tallies[fault].outcome.notes == []
    assert tallies[fault].tries > 0


LAUNCH = {"round": "1", "position": "1", "backend": "numpy", "status": "ok", "seed": "0", "counted": "True"}


def _write(folder: Path, *launches: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "launches.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(LAUNCH))
        writer.writeheader()
        writer.writerows([LAUNCH | each for each in launches])
    return folder


BOTH = ({}, {"position": "2", "backend": "torch"})


def test_a_lost_row_and_one_too_many_are_seen(tmp_path: Path):
    """The suite's own eyes: a run that lacks a launch, has one twice, or has another seed differs from the other."""
    right = _write(tmp_path / "right", *BOTH)
    lacks = _write(tmp_path / "lacks", BOTH[0])
    twice = _write(tmp_path / "twice", *BOTH, BOTH[1] | {"round": "2"})
    other = _write(tmp_path / "other", BOTH[0], BOTH[1] | {"seed": "5"})

    assert rows.compare(right, right)[:2] == (0, 0)
    assert rows.compare(lacks, right)[:2] == (1, 0)
    assert rows.compare(twice, right)[:2] == (0, 1)
    assert rows.compare(other, right)[:2] == (1, 1)


def test_a_row_that_was_on_the_disk_must_stay(tmp_path: Path):
    """Whether it still counts may change, nothing else; what was cut is known by its round."""
    folder = _write(tmp_path / "run", *BOTH, {"round": "2"})
    seen = rows.see(folder)

    assert seen.cut(entrants=2) == {("2", "1")}
    assert rows.lost(seen, folder) == 0
    assert rows.lost(seen, _write(folder, *BOTH, {"round": "2", "counted": "False"})) == 0
    assert rows.lost(seen, _write(folder, *BOTH)) == 1
    assert rows.lost(seen, _write(folder, BOTH[0], BOTH[1] | {"seed": "9"}, {"round": "2"})) == 1


def test_the_table_has_every_column_and_says_what_was_skipped():
    """A fault that cannot be tried here is no zero."""
    bad = Outcome()
    bad.count("orphans", "one is left", 2)
    table = record.table([Tally("x", "this", 3, "", bad), Tally("x", "that", 0, "no root")]).splitlines()

    assert table[0] == f"| fault | tries | {' | '.join(COLUMNS.values())} |"
    assert table[2] == "| this | 3 | 0 | 0 | 0 | 2 | 0 | 0 | 0 |"
    assert table[3].startswith("| that | skipped: no root |")
    assert not bad.good
