"""What a run says is still to come: rounds that are timed, trainings behind them, and how long these may take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES
from harness.runs import to_come
from harness.runs.display import Display
from harness.runs.plan import Plan
from harness.runs.rounds import Rounds


def timed_rows(*launches: tuple[str, float | None, float | None]) -> pd.DataFrame:
    """Launches of these labels, with their start-up and first epoch in seconds."""
    rows = [{"run": "r", "start_up_s": start, "first_epoch_s": first} for _, start, first in launches]
    return frame_of(rows, LAUNCHES).assign(label=[label for label, _, _ in launches])


def test_rounds_come_before_trainings(make_plan: Callable[..., Plan]) -> None:
    """A round is a piece of its own; of a training each launch is one, and where nothing is timed, that is all."""
    timed, trains = make_plan("numpy", "twin", timing=True, epochs=3), make_plan("numpy", "twin", epochs=3)

    def kinds(plan: Plan, **counts: int) -> list[str]:
        return [each.kind for each in to_come.pieces(plan, plan.entrants, timed_rows(), **counts)]

    assert kinds(timed, rounds=2, trainings=2) == ["round"] * 2 + ["training"] * 4
    assert kinds(trains, rounds=2, trainings=0) == ["training"] * 4


def test_training_follows_from_what_was_timed(make_plan: Callable[..., Plan]) -> None:
    """Starting once, and as many epochs as there are; medians over launches; nothing where nothing was timed of it."""
    plan = make_plan("numpy", "twin", timing=True, epochs=3)
    rows = timed_rows(
        ("numpy eager", 1.0, 9.0), ("numpy eager", 2.0, 12.0), ("numpy eager", 9.0, 99.0), ("twin eager", None, None)
    )

    guesses = [each.guess_s for each in to_come.pieces(plan, plan.entrants, rows, rounds=0, trainings=1)]

    assert guesses == [2.0 + 3 * 10.0, None]


def test_other_work_has_another_name(make_plan: Callable[..., Plan]) -> None:
    """What an earlier run took says nothing of one with other entrants or longer turns; their order is nothing."""
    plan = make_plan("numpy", "twin", timing=True)
    piece = to_come.timed_round(plan, plan.entrants)

    assert to_come.timed_round(plan, plan.entrants[::-1]) == piece
    assert to_come.timed_round(plan, plan.entrants[:1]) != piece
    assert to_come.timed_round(make_plan("numpy", "twin", timing=True, steady_s=9.0), plan.entrants) != piece


@pytest.mark.parametrize("timing", [True, False])
def test_all_that_was_to_come_has_come(run_made_up: Callable[..., Rounds], timing: bool) -> None:
    """At the end of a run nothing is left, and each piece has its time for the next run."""
    work = run_made_up("numpy", "twin", rounds=2, most_rounds=2, epochs=1, seeds=2, timing=timing)

    outlook: Any = work.display.outlook
    kinds = sorted(key.split()[0] for key in outlook.took)
    assert outlook.left_s() is None
    assert kinds == (["round"] if timing else []) + ["training"] * 2


def test_rounds_are_named_of_how_many(
    run_made_up: Callable[..., Rounds], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first nobody knows what is left; then it is known: made-up launches take no time."""
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    seen: list[tuple[str, str]] = []
    right = Display.round_started

    def watched(self: Any, number: int, title: str = "") -> None:
        seen.append((title, self.outlook.words))
        right(self, number, title)

    monkeypatch.setattr(Display, "round_started", watched)
    run_made_up("numpy", "twin", rounds=3, most_rounds=3, epochs=10, seeds=1)

    assert [title for title, _ in seen] == ["round 1 of 3", "round 2 of 3", "round 3 of 3"]
    assert seen[0][1] == ""
    assert seen[1][1] == "nearly done"
