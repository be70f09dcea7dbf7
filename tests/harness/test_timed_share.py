"""What share of a run's wall time was timed: by a made-up run, whose rounds begin a minute apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.timed_share import shares
from harness.results.folder import RunFolder
from tests.harness.synthetic_run import write_run


def test_shares_are_of_the_wall_time(tmp_path: Path) -> None:
    """Of the last round, whose end nobody wrote down, the wall time is that of its launches: 12 s each."""
    folder = RunFolder(write_run(tmp_path / "run", entrants=3, rounds=3, blocks=True))

    found = shares(folder)

    assert list(found.index) == [1, 2, 3]
    assert list(found["wall_s"]) == [60.0, 60.0, 36.0]
    blocks = folder.read("blocks")
    steady = blocks[blocks["phase"] == "steady"].groupby("round")["seconds"].sum()
    assert list(found["timed"]) == pytest.approx(list(steady / found["wall_s"]))
    assert (found["blocks"] > found["timed"]).all()
