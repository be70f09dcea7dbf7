"""The made-up runs are runs: read, compared and repeated as real ones are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.joining import load_runs
from harness.analysis.summary import summarise
from harness.results.folder import RunFolder
from harness.runs.plan import Plan
from tests.harness.synthetic_run import write_run


@pytest.mark.parametrize("entrants", [1, 5, 30])
def test_a_made_up_run_is_a_run(tmp_path: Path, entrants: int) -> None:
    """It has a launch for each entrant and round, its tables are read, and it compares as it was summarised."""
    folder = RunFolder(write_run(tmp_path / "made-up", entrants=entrants, rounds=4, epochs=1, blocks=True))

    runs = load_runs([folder.path])

    assert len(runs.timed) == 4 * entrants
    assert len(summarise(runs.timed, runs.epochs)) == len(folder.read("summary")) == entrants
    assert len(Plan.from_dict(folder.read_environment()["plan"]).entrants) == entrants
    assert len(folder.read("blocks")) > 70 * len(runs.timed)
    assert len(runs.epochs) == entrants


def test_made_up_runs_are_reproducible(tmp_path: Path) -> None:
    """Equal arguments give equal bytes, another seed gives others."""
    first, again, other = (
        write_run(tmp_path / name / "run", entrants=2, rounds=4, seed=seed)
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )

    for name in ("launches.csv", "epochs.csv", "inference.csv", "summary.csv", "environment.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert (first / "launches.csv").read_bytes() != (other / "launches.csv").read_bytes()
