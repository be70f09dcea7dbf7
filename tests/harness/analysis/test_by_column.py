"""Launches by one column: only what is alike in all else meets, and never two machines."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.by_column import by_column
from harness.analysis.comparison import SPEED, round_ratios
from harness.analysis.statistics import mean_of_logs
from harness.errors import InputError
from harness.results.folder import RunFolder
from tests.harness.synthetic_run import write_run


@pytest.fixture
def timed(finished_run: Path) -> pd.DataFrame:
    """Launches of numpy in two rounds, and the same at another batch size, exactly twice as fast."""
    rows = RunFolder(finished_run).read_counted("launches")
    rows = rows[rows[SPEED].notna() & (rows["backend"] == "numpy")].assign(turn_step_us=pd.NA)
    return pd.concat([rows, rows.assign(batch_size=16, **{SPEED: rows[SPEED] * 2})], ignore_index=True)


def test_the_smallest_value_is_the_base(timed: pd.DataFrame) -> None:
    """Of one run the launches are pairs by round; under four rounds there is no verdict."""
    found = by_column(timed, "batch_size")

    assert found["value"].tolist() == [8, 16]
    assert found["ratio"].tolist() == pytest.approx([1.0, 2.0])
    assert found["ratio_low"].iloc[1] == pytest.approx(2.0)
    assert (found["verdict"].iloc[1], found["paired"].iloc[1], found["launches"].tolist()) == (
        "cannot tell",
        True,
        [2, 2],
    )


def test_of_two_runs_they_are_no_pairs(timed: pd.DataFrame) -> None:
    """Rounds of the same number say nothing then."""
    apart = timed.assign(run=timed["batch_size"].astype("string"))

    assert by_column(apart, "batch_size")["paired"].iloc[1] == False  # noqa: E712


def test_pairs_are_of_one_run(timed: pd.DataFrame) -> None:
    """Of several runs with rounds of the same numbers, one of which was four times as fast."""
    fast = timed.assign(run="fast", **{SPEED: timed[SPEED] * 4})
    found = by_column(pd.concat([timed, fast], ignore_index=True), "batch_size").iloc[1]

    assert [found[name] for name in ("ratio", "ratio_low", "ratio_high")] == pytest.approx([2.0] * 3)
    assert found["paired"] == True  # noqa: E712


def test_turns_make_the_ratios_that_a_run_has(tmp_path: Path) -> None:
    """The same as `comparison.round_ratios`, which looks at one round after the other; also of disturbed turns."""
    rows = RunFolder(write_run(tmp_path / "run", entrants=2, rounds=4, epochs=0)).read("launches")
    rows.loc[1:4, "disturbed_turns"] = ["none", "1 2 60", " ".join(map(str, range(1, 65))), "7"]
    rows.loc[6, "turn_step_us"] = "1.5 2.5"
    one, other = (rows[rows["backend"] == name] for name in sorted(rows["backend"].unique()))
    expected = mean_of_logs(round_ratios(other, one))
    found = by_column(rows, "backend").iloc[1]

    limits = [expected.estimate, expected.low, expected.high]
    assert [found[name] for name in ("ratio", "ratio_low", "ratio_high")] == pytest.approx(limits, rel=1e-12)


def test_more_values_have_wider_intervals(timed: pd.DataFrame) -> None:
    """Those of a group hold together."""
    apart = timed.assign(run=timed["batch_size"].astype("string"))
    more = pd.concat([apart, apart.iloc[:2].assign(batch_size=32, run="32")], ignore_index=True)
    two, three = (by_column(rows, "batch_size").iloc[1] for rows in (apart, more))
    # On the scale of ratios: these launches are real, and may be as alike as they like.
    wide, narrow = (math.log(each["ratio_high"] / each["ratio_low"]) for each in (three, two))
    assert wide > 1.2 * narrow > 0


def test_several_seeds_are_told_apart(timed: pd.DataFrame) -> None:
    """Each is a group of its own, with its seed in its name."""
    found = by_column(pd.concat([timed, timed.assign(seed=7)], ignore_index=True), "batch_size")
    assert found["entrant"].unique().tolist() == [f"numpy eager seed {seed}" for seed in (timed["seed"].iloc[0], 7)]


@pytest.mark.parametrize("other", ["machine_sha256", "seed", "dtype", "feed", "controls_sha256", "recipe"])
def test_what_differs_in_more_does_not_meet(timed: pd.DataFrame, other: str) -> None:
    """Another machine, seed, precision: there is nothing to compare then."""
    timed.loc[timed["batch_size"] == 16, other] = 7 if other == "seed" else "other"

    with pytest.raises(InputError, match=r"No two launches differ in batch_size and are alike in all else.* 16, 8"):
        by_column(timed, "batch_size")


def test_with_a_network_go_its_recipe_and_images(timed: pd.DataFrame) -> None:
    """Or networks could never be compared."""
    gluon = {"network": "lenet-gluon", "recipe": "lenet-gluon", "data_set": "fashion-mnist", "data_sha256": "1" * 64}
    found = by_column(pd.concat([timed, timed.assign(**gluon)], ignore_index=True), "network")

    assert found["value"].tolist() == ["lenet-gluon", "lenet5"] * 2
    assert found["entrant"].unique().tolist() == ["numpy eager b8", "numpy eager b16"]


def test_machines_are_no_column(timed: pd.DataFrame) -> None:
    """They stand in no table together; nor is a measured column one."""
    with pytest.raises(InputError, match="Rows of different machines stand in no table together"):
        by_column(timed, "machine_sha256")
    with pytest.raises(InputError, match="There is no column to compare by 'launch_s'"):
        by_column(timed, "launch_s")
