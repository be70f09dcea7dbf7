"""Estimators and stopping rules judged by recorded blocks: by the recording that is committed, and by made-up ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.noise import duets, judge
from benchmarks.noise.estimators import ESTIMATORS
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
