"""What launches differ by apart from their turns, of launches that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.analysis.spread import spread_of
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES

LABELS = ("numpy eager", "torch eager", "jax jit", "paddle dynamic")


def drawn(
    rounds: int, turns: int, *, turn_sd: float, launch_sd: float, drift_sd: float = 0.1, seed: int = 0, **more: Any
) -> Any:
    """Launches whose turns differ by turn_sd, beside a drift that all entrants of a turn share."""
    random, rows = np.random.default_rng(seed), []
    for number in range(1, rounds + 1):
        drift = random.normal(0, drift_sd, turns)
        for label in LABELS:
            logs = random.normal(0, launch_sd) + drift + random.normal(0, turn_sd, turns)
            text = " ".join(f"{value:.3f}" for value in 5000 * np.exp(logs))
            rows.append({"round": number, "backend": label, "turn_step_us": text} | more)
    return frame_of(rows, LAUNCHES).assign(label=[row["backend"] for row in rows])


@pytest.mark.parametrize(("turn_sd", "launch_sd"), [(0.03, 0.01), (0.01, 0.03), (0.05, 0.0)])
def test_turns_and_launches_are_told_apart(turn_sd: float, launch_sd: float) -> None:
    """Many rounds give back what was drawn, whatever the machine did to all entrants of a turn."""
    found = spread_of(drawn(300, 25, turn_sd=turn_sd, launch_sd=launch_sd), least_rounds=3)

    assert found is not None
    # The mean over four entrants, which is taken out, takes a quarter of each variance with it.
    assert found.turn == pytest.approx(np.pi / 2 * turn_sd**2 * 3 / 4, rel=0.08)
    assert found.launch == pytest.approx(launch_sd**2 * 3 / 4, rel=0.15, abs=1e-5)
    assert found.of(25) == pytest.approx(found.launch + found.turn / 25)


def test_disturbed_turns_are_no_part_of_it() -> None:
    """A turn that others had the CPUs in is left out on all sides, as it is of the ratio."""
    rows = drawn(4, 12, turn_sd=0.0, launch_sd=0.0)
    first = rows.index[0]
    rows.loc[first, "turn_step_us"] = rows.loc[first, "turn_step_us"].replace(" ", "9 ", 4)
    whole = spread_of(rows, least_rounds=3)
    rows["disturbed_turns"] = "1 2 3 4"
    clean = spread_of(rows, least_rounds=3)

    assert whole is not None
    assert clean is not None
    assert whole.turn > 0
    assert clean.turn == pytest.approx(0.0, abs=1e-12)


def test_too_little_says_nothing() -> None:
    """Few rounds, one entrant, turns of unlike number, launches without turns: None."""
    rows = drawn(5, 10, turn_sd=0.03, launch_sd=0.01)

    assert spread_of(rows, least_rounds=3) is not None
    assert spread_of(rows[rows["round"] < 3], least_rounds=3) is None
    assert spread_of(rows[rows["label"] == LABELS[0]], least_rounds=3) is None
    assert spread_of(rows.iloc[:0], least_rounds=3) is None
    unlike = rows.copy()
    for number in (1, 2, 3):
        place = unlike.index[unlike["round"] == number][0]
        unlike.loc[place, "turn_step_us"] = unlike.loc[place, "turn_step_us"].rpartition(" ")[0]
    assert spread_of(unlike, least_rounds=3) is None
    assert spread_of(unlike, least_rounds=2) is not None
    assert spread_of(rows.assign(turn_step_us=None), least_rounds=3) is None
