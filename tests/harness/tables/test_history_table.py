"""The history of a run as `run` writes it, and the bars that stand for speeds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.commands.history import history
from harness.results.folder import RunFolder
from harness.tables.history_table import bars


def test_a_real_run_has_a_history(finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run as `run` writes it, and once more a day later under another name: equal speeds, nothing changed."""
    shutil.copytree(finished_run, tmp_path / "results" / "first")
    again = RunFolder(tmp_path / "results" / "again")
    shutil.copytree(finished_run, again.path)
    launches = again.read("launches")
    (again.path / "launches.csv").unlink()
    again.write_environment(again.read_environment() | {"run": "again"})
    later = launches.assign(run="again", started_utc="2099-01-01T00:00:00+00:00")
    again.append(
        "launches",
        [{key: None if pd.isna(cell) else cell for key, cell in row.items()} for row in later.to_dict("records")],
    )

    history([tmp_path / "results"], format_="json")
    rows = {(row["entrant"], row["run"]): row for row in json.loads(capsys.readouterr().out)}

    assert set(rows) == {(name, run) for name in ("numpy eager b8", "twin eager b8") for run in ("first", "again")}
    row = rows["twin eager b8", "again"]
    assert row["ratio"] == pytest.approx(1)
    assert row["against"] == "numpy eager b8"
    assert row["against_ratio"] == pytest.approx(1)
    assert row["verdict"] == row["against_verdict"] == "cannot tell"
    assert row["changed"] == ""
    assert row["test_accuracy"] == rows["twin eager b8", "first"]["test_accuracy"] is not None


def test_bars_span_their_values() -> None:
    """The least is the lowest bar, the largest the highest; equal values are level."""
    assert bars([1.0, 8.0, 4.5]) == "▁█▅"
    assert bars([2.0, 2.0, 2.0]) == "▁▁▁"
