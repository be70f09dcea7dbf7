"""Who has a turn in a round, in which order, and how many turns there are: launches are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from harness.runs import launch, rounds
from harness.runs.plan import Plan
from harness.runs.rounds import Rounds
from harness.runs.ticker import Ticker
from harness.worker.job import Entrant


def test_launches_of_a_round_take_turns(run_made_up: Callable[..., Rounds], made_up: Any) -> None:
    """All are started up to steady training, one after the other; then each turn has every entrant once, in an order
    that is not always the same."""
    work = run_made_up("numpy", "twin", rounds=3, most_rounds=3, precision=0.0)

    plan, labels, orders = work.plan, ["numpy eager", "twin eager"], set()
    size = len(labels) * (1 + plan.turns)
    assert len(made_up.steps) == 3 * size
    for number in range(3):
        steps = made_up.steps[number * size : (number + 1) * size]
        assert steps[:2] == [("ready", entrant.label) for entrant in plan.order(number + 1)]
        turns = [tuple(label for _, label in steps[place : place + 2]) for place in range(2, size, 2)]
        assert all(sorted(turn) == labels for turn in turns)
        assert {what for what, _ in steps[2:]} == {"turn"}
        orders |= set(turns)
    assert len(orders) == 2
    assert {job.turns for job in made_up.jobs if job.kind != "peak"} == {plan.turns}


def test_single_entrant_takes_turns(run_made_up: Callable[..., Rounds], made_up: Any) -> None:
    """With nobody to take them with: each is an experiment that can be done over. Where nothing is timed, none."""
    work = run_made_up("numpy", rounds=1, most_rounds=1)
    assert [step for step, _ in made_up.steps] == ["ready"] + ["turn"] * work.plan.turns
    assert work.plan.turns == 8
    assert {job.turns for job in made_up.jobs if job.kind != "peak"} == {8}
    assert replace(work.plan, timing=False).turns == 0


def test_turns_follow_from_how_long_blocks_take(run_made_up: Callable[..., Rounds], made_up: Any) -> None:
    """A launch says it when it is warm: two seconds in blocks of a tenth are twenty turns."""
    made_up.block_s = 0.1
    work = run_made_up("numpy", rounds=1, most_rounds=1, steady_s=2.0)

    assert [step for step, _ in made_up.steps] == ["ready"] + ["turn"] * 20
    assert work.plan.turns == 67


@pytest.mark.parametrize(
    ("blocks_s", "expected"),
    [([0.05] * 5, 80), ([0.0], 133), ([0.001, 0.09], 67), ([0.15], 27), ([2.0], 27), ([0.05, 0.05, 1.0], 27)],
)
def test_launches_are_timed_for_so_long_on_average(
    make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant], blocks_s: list[float], expected: int
) -> None:
    """Four seconds; no turn is shorter than 0.03 s, and there are as many as if none were longer than 0.15."""
    assert make_plan(make_entrant("numpy"), timing=True, steady_s=4.0).turns_of(blocks_s) == expected


@pytest.mark.parametrize("inference_sizes", [(1, 8), ()])
def test_clock_stands_still_while_a_launch_is_timed(
    run_made_up: Callable[..., Rounds], made_up: Any, monkeypatch: pytest.MonkeyPatch, inference_sizes: tuple[int, ...]
) -> None:
    """From the machine's peak to the end of inference. A launch that only trains says itself when that is timed."""
    tickers: list[Ticker] = []
    seen: set[tuple[str, bool]] = set()

    def watched(what: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def look(*given: Any, **options: Any) -> Any:
            seen.add((what, tickers[-1].is_ticking))
            return step(*given, **options)

        return look

    def worker(job: Any, **options: Any) -> SimpleNamespace:
        found = made_up.worker(job, **options)

        def result(listen: Callable[..., None]) -> Any:
            # The clock goes on, and has to be stopped for whoever is next.
            listen({"event": "phase", "name": "digests"})
            return found.result(listen)

        parts = {"ready": found.ready, "turn": found.turn, "result": result}
        steps = {name: watched(f"{job.kind} {name}", step) for name, step in parts.items()}
        return SimpleNamespace(**vars(found) | steps)

    monkeypatch.setattr(Ticker, "start", lambda self: tickers.append(self))
    monkeypatch.setattr(launch, "WorkerProcess", worker)
    monkeypatch.setattr(rounds, "run_job", watched("peak", made_up.launch))
    run_made_up("numpy", "twin", rounds=2, most_rounds=2, epochs=1, inference_sizes=inference_sizes)

    timed = ("measure ready", "measure turn", "measure result", *(["peak"] if inference_sizes else []))
    still = {(what, False) for what in timed}
    assert seen == still | {("train result", True)}
