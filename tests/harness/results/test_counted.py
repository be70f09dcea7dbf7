"""Rounds that a kill has cut count nowhere, also before anybody has resumed the run; unless there is no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.timeline import read_runs
from harness.report.reading import read_report
from harness.results.folder import RunFolder, write_table
from tests.harness.synthetic_run import write_run

Call = Callable[..., tuple[int, str, str]]


def cut_off(path: Path, *, rounds: int, keep: Callable[[pd.DataFrame], pd.Series]) -> RunFolder:
    """A run of three entrants of which some launches never ended, as a kill leaves it."""
    folder = RunFolder(write_run(path, entrants=3, rounds=rounds, epochs=0))
    launches = folder.read("launches")
    write_table(folder.path / "launches.csv", launches[keep(launches).to_numpy(bool)])
    folder.forget_summary()
    return RunFolder(path)


def whole_but_last(rows: pd.DataFrame) -> pd.Series:
    """All rows but the last launch of the last round."""
    return (rows["round"] < rows["round"].max()) | (rows["position"] < 3)


def test_half_round_counts_nowhere(tmp_path: Path, call: Call) -> None:
    """Not in rows, epochs, tables, report, history: all of them are as if the round had not been begun."""
    folder = cut_off(tmp_path / "cut" / "run", rounds=6, keep=whole_but_last)
    without = cut_off(tmp_path / "without" / "run", rounds=6, keep=lambda rows: rows["round"] < 6)

    assert len(folder.read("launches")) == 17
    assert sorted(set(folder.read_counted("launches")["round"])) == [1, 2, 3, 4, 5]
    assert set(folder.read_counted("blocks")["round"]) <= {1, 2, 3, 4, 5}
    assert folder.has_whole_round()
    shown = [call("compare", str(each.path), "--format", "csv")[1] for each in (folder, without)]
    assert shown[0] == shown[1]
    report = read_report(folder.path)
    assert (report.rounds, report.uncounted, report.halved) == (5, 2, False)
    assert len(read_runs([folder.path])[0][0].launches) == 15
    assert "No round of" not in call("compare", str(folder.path))[1]


def test_half_round_that_is_all_there_is_is_shown_and_said(tmp_path: Path, call: Call) -> None:
    """Under the table; what was measured is not hidden."""
    folder = cut_off(tmp_path / "run", rounds=1, keep=whole_but_last)

    assert len(folder.read_counted("launches")) == 2
    code, out, _ = call("compare", str(folder.path))
    assert code == 0
    assert f"No round of {folder.name} is whole: these are the launches of one that was cut off." in " ".join(
        out.split()
    )
    assert read_report(folder.path).halved


def test_round_without_an_entrant_that_has_left_is_whole(tmp_path: Path) -> None:
    """One that failed leaves the run: the rounds of the others go on, and count."""
    folder = RunFolder(write_run(tmp_path / "run", entrants=3, rounds=4, epochs=0))
    launches = folder.read("launches")
    gone = launches["backend"] == launches["backend"].iloc[0]
    launches.loc[gone & (launches["round"] == 2), "status"] = "failed"
    write_table(folder.path / "launches.csv", launches[~(gone & (launches["round"] > 2)).to_numpy(bool)])

    assert list(folder.read_counted("launches")["round"].value_counts().sort_index()) == [3, 3, 2, 2]


@pytest.mark.parametrize("content", [None, "{}", '{"plan": {"entrants": "torch"}, "earlier": 3}'])
def test_rows_without_a_plan_all_count(tmp_path: Path, content: str | None) -> None:
    """Who was given the tables alone, or has a run of before there were plans, sees all rows."""
    folder = cut_off(tmp_path / "run", rounds=3, keep=whole_but_last)
    (folder.path / "environment.json").unlink()
    if content is not None:
        (folder.path / "environment.json").write_text(content)

    assert len(folder.read_counted("launches")) == 8


def test_entrants_from_a_later_round_on_are_judged_by_their_own_plan(tmp_path: Path) -> None:
    """`--anew-from-here` has other entrants: those of before it are missing in no round of theirs."""
    folder = RunFolder(write_run(tmp_path / "run", entrants=3, rounds=4, epochs=0))
    environment, launches = folder.read_environment(), folder.read("launches")
    plan = environment["plan"]
    later = [each | {"variant": "from round 3"} for each in plan["entrants"]]
    folder.write_environment(environment | {"plan": plan | {"entrants": later}, "earlier": [{"plan": plan}]})
    launches.loc[launches["round"] >= 3, "variant"] = "from round 3"
    write_table(folder.path / "launches.csv", launches[whole_but_last(launches).to_numpy(bool)])

    assert sorted(set(folder.read_counted("launches")["round"])) == [1, 2, 3]
