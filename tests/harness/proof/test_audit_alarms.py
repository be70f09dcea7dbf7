"""The count of the audit's false alarms: every turn is an audit, and an alarm is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import audit_alarms
from harness.runs.plan import Plan
from harness.worker.job import Entrant


def test_it_ends_where_all_launches_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A launch that fails has no audits: without an end, there would be rounds for ever."""
    failed = pd.DataFrame({"label": ["numpy"], "status": ["failed"], "error": ["no"], "audited_turns": [pd.NA]})
    rounds = [
        failed.assign(status="ok", error=pd.NA, audited_turns=7, audit_share=0.1),
        failed.assign(audit_share=pd.NA),
    ]
    left = iter(rounds)
    monkeypatch.setattr(audit_alarms, "one_run", lambda plan, results: next(left))

    with pytest.raises(SystemExit, match="1"):
        audit_alarms.main(["numpy"], audits=10, results_dir=tmp_path)


def test_every_turn_is_audited(
    tiny_commands: None,
    make_plan: Callable[..., Plan],
    make_entrant: Callable[..., Entrant],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of the honest, who is beside one whose alarm is counted, with what it said."""
    entrants = [make_entrant("numpy", batch_size=8), make_entrant("cheating", mode="half-batch", batch_size=8)]
    plan = make_plan(
        *entrants, rounds=1, epochs=0, timing=True, inference_sizes=(), steady_s=0.05, verified=True,
    )  # fmt: skip

    launches = audit_alarms.one_run(plan, tmp_path)
    audit_alarms.show(launches)

    honest, cheat = (launches.set_index("backend").loc[name] for name in ("numpy", "cheating"))
    assert honest["audited_turns"] == plan.turns > 1
    assert cheat["status"] == "failed"
    said = capsys.readouterr().out
    rows = {words[0]: words for words in map(str.split, said.splitlines()) if words}
    assert rows["numpy"][-4:-1] == ["1", str(plan.turns), "0"]
    assert rows["cheating"][-2:] == ["1", "-"]
    assert "the loss of step" in said
