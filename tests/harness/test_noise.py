"""Estimators and stopping rules judged by recorded blocks: by the recording that is committed, and by made-up ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.noise import duets, judge
from benchmarks.noise.estimators import ESTIMATORS
from benchmarks.noise.record import Recording
from harness.errors import InputError
from harness.files import ROOT

DUETS = Path(ROOT, "benchmarks", "noise", "recorded", "2026-11-28-duets.csv.gz")
RECORDED = Path(ROOT, "benchmarks", "noise", "recorded", "2026-11-28-quiet.csv.gz")


def _made_up(*, rounds: int, ratio: float, launch: float, block: float) -> list[judge.Round]:
    """Rounds of an entrant, its twin and a slower one, whose launches and blocks spread by so much."""
    random = np.random.default_rng(0)
    truth = {"a": 1.0, "a twin2": 1.0, "b": ratio}
    return [
        {
            label: [1000 * mean * np.exp(spread + block * random.standard_normal(5)) for _ in range(16)]
            for label, mean in truth.items()
            for spread in [launch * random.standard_normal()]
        }
        for _ in range(rounds)
    ]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_find_the_ratio(name: str) -> None:
    """Blocks that spread alike have the same ratio by whichever of their quantiles."""
    (round_,) = _made_up(rounds=1, ratio=1.25, launch=0.0, block=0.001)

    assert ESTIMATORS[name](round_["b"], round_["a"]) == pytest.approx(np.log(1.25), abs=0.003)


def test_spreads_are_told_apart() -> None:
    """What launches differ by is between rounds; what blocks do is within."""
    judged = judge.judge(ESTIMATORS["mean of pairs"], _made_up(rounds=200, ratio=1.2, launch=0.02, block=0.05))

    within = 5 * np.sqrt(2 / 80)
    assert judged.within == pytest.approx(within, rel=0.1)
    assert judged.between == pytest.approx(np.hypot(2 * np.sqrt(2), within), rel=0.1)
    assert abs(judged.bias[0]) < 3 * judged.bias_error[0]


def test_replayed_twins_are_covered() -> None:
    rounds = _made_up(rounds=400, ratio=1.1, launch=0.01, block=0.01)

    found = judge.replay(ESTIMATORS["median of pairs"], rounds, ["a", "a twin2"], precision=0.02)

    assert found.covered > 0.9
    assert found.alarms < 0.1
    assert 4 <= found.rounds <= 12


def test_recording_is_whole_and_says_what_the_page_says() -> None:
    """docs/noise.md has these figures of it."""
    rounds = judge.read(RECORDED)
    odd, even = judge.halves(rounds)

    assert (len(odd), len(even)) == (5, 4)
    ours = [judge.judge(ESTIMATORS["median of pairs"], half) for half in (odd, even)]
    assert [f"{each.between:.1f}" for each in ours] == ["2.7", "2.9"]
    assert [f"{each.within:.1f}" for each in ours] == ["1.2", "1.3"]


def test_duets_are_held_against_turns(tmp_path: Path) -> None:
    """Made up: beside each other the first is 10 % slower, the second 21 %, and both spread twice as much."""
    random = np.random.default_rng(0)
    rows = [
        {"round": round_, "repeat": repeat, "kind": kind, "with": "b" if kind == duets.DUET else "", "entrant": entrant,
         "cpu": 1, "step_us": us * beside ** (kind == duets.DUET) * np.exp(spread * random.standard_normal())}
        for round_ in range(30) for repeat in range(40)
        for kind, spread in ((duets.ALONE, 0.02), (duets.DUET, 0.04))
        for entrant, us, beside in (("a", 1000, 1.1), ("b", 2000, 1.21))
    ]  # fmt: skip
    file = tmp_path / "made-up.csv"
    pd.DataFrame(rows).to_csv(file, index=False)

    (found,) = duets.judge(file)

    assert found.entrant == "b"
    assert found.within == pytest.approx((2 * 2**0.5, 4 * 2**0.5), rel=0.1)
    assert found.slower == pytest.approx((10, 21), abs=0.5)
    assert found.bias == pytest.approx(100 * np.log(1.1), abs=4 * found.bias_error)


def test_recorded_duets_say_what_the_page_says() -> None:
    text = (ROOT / "docs" / "noise.md").read_text()
    for each in duets.judge(DUETS):
        figures = (*each.within, *each.between)
        slower = " and ".join(f"{value:.0f}" for value in each.slower)
        cells = " | ".join(f"{value:.1f}" for value in figures)
        assert f"| {each.entrant} | {cells} | {each.bias:+.1f} ± {each.bias_error:.1f} | {slower} |" in text


def test_duets_change_sides_and_turns_alone_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every repeat each launch has a turn alone, on one CPU, and the first a duet with every other."""
    taken: list[dict[str, int]] = []
    monkeypatch.setattr(duets, "_take", lambda workers, placed: taken.append(dict(placed)))
    monkeypatch.setattr(duets, "_with_steps", lambda rows, worker: rows)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    labels = ("a", "b", "c")
    round_ = SimpleNamespace(number=1, launch=lambda entrant, turns, cpus: None)

    rows = duets.in_duets(Recording(labels, 4, 1), [SimpleNamespace(label=each) for each in labels], round_)  # type: ignore

    assert Counter(label for placed in taken for label in placed) == {"a": 12, "b": 8, "c": 8}
    assert {cpu for placed in taken if len(placed) == 1 for cpu in placed.values()} == {7}
    for other in ("b", "c"):
        pairs = [placed for placed in taken if set(placed) == {"a", other}]
        assert sorted(placed["a"] for placed in pairs) == [5, 5, 7, 7]
        assert all(set(placed.values()) == {5, 7} for placed in pairs)
    assert sum(row["kind"] == duets.DUET for row in rows) == 16

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    with pytest.raises(InputError, match="A duet needs two CPUs, and this process may use 1"):
        duets.in_duets(Recording(labels, 4, 1), [], round_)  # type: ignore[arg-type]
