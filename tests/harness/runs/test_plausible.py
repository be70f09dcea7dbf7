"""Results that cannot be: by themselves, and from workers that cheat while they are timed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.commands import run as run_command
from harness.errors import WorkerFailed
from harness.results.folder import RunFolder
from harness.runs.plan import Plan
from harness.runs.plausible import check, check_beside, check_peak
from harness.worker.job import Entrant


def result(**changes: Any) -> dict[str, Any]:
    """Two turns of two blocks of a tenth of a second each, and what they give with batches of 64."""
    blocks = {"warmup": [[1.0]], "return": [[0.05], [0.05]], "steady": [[0.1, 0.1], [0.1, 0.1]]}
    return {"block_steps": 20, "train_images_per_s": 12800.0, "blocks": blocks} | changes


def seen(**changes: Any) -> dict[str, Any]:
    """What the harness saw of it."""
    return {"turns": 2, "batch_size": 64, "heard": [0.26, 0.26]} | changes


def brief(turn_s: float) -> dict[str, Any]:
    """Two turns of one block each, of so many seconds."""
    blocks = {"warmup": [[1.0]], "return": [[0.0], [0.0]], "steady": [[turn_s], [turn_s]]}
    return result(train_images_per_s=64 * 20 / turn_s, blocks=blocks)


def test_honest_result_passes() -> None:
    """In turns, and all at once."""
    check(result(), **seen())
    at_once = {"warmup": [[1.0]], "return": [[]], "steady": [[0.1, 0.1, 0.1]]}
    check(result(blocks=at_once), **seen(turns=0, heard=[0.31]))
    # A word may wait on a busy machine, at either end, and short turns are mostly waiting then.
    check(result(), **seen(heard=[0.2, 0.4]))
    check(brief(0.02), **seen(heard=[0.027, 0.027]))


@pytest.mark.parametrize(("turn_s", "heard"), [(0.021, 0.030), (0.0345, 0.045), (0.004, 0.0081), (0.07, 0.1)])
def test_a_clock_that_goes_slower_by_a_third_is_refused(turn_s: float, heard: float) -> None:
    """In turns of 30 ms and more; of shorter ones half of their time is enough."""
    with pytest.raises(WorkerFailed, match="clock cannot be right"):
        check(brief(turn_s), **seen(heard=[heard, heard]))


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({}, {"turns": 3}, r"timed 2 turn\(s\), and told of 2; it was let go on 3 time"),
        ({}, {"heard": [0.5]}, r"timed 2 turn\(s\), and told of 1"),
        ({}, {"heard": []}, "told of 0"),
        ({}, {"heard": [0.0, 0.0]}, "clock cannot be right"),
        ({}, {"heard": [0.6, 0.6]}, r"took 0\.500 s, .* lay 1\.200 s"),
        ({}, {"heard": [0.36, 0.36]}, "clock cannot be right"),
        ({"train_images_per_s": 12801.0}, {}, "says 12,801 images/s, and its blocks give 12,800"),
        ({"train_images_per_s": float("nan")}, {}, "do not give its speed"),
        ({"train_images_per_s": float("inf")}, {}, "do not give its speed"),
        ({"blocks": {"steady": [[0.1, 0.0], [0.1]]}}, {}, "took no time"),
        ({"blocks": {"steady": [[0.1, -0.1], [0.1]]}}, {}, "took no time"),
        ({"blocks": {"steady": [[0.1, float("nan")], [float("nan")]]}}, {}, "clock cannot be right"),
        ({"blocks": {"steady": [[], []]}}, {}, "took no time"),
        ({"blocks": {}}, {}, "timed 0 turn"),
        ({"blocks": {"steady": [[0.001, 0.001, 0.3], [0.001, 0.3, 0.001]]}}, {"heard": [0.31, 0.31]}, "took 1% of the"),
        ({"left_share": 0.04}, {}, "went on for 4% of the time of a turn"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], what: dict[str, Any], words: str) -> None:
    """With what was said and what was seen."""
    with pytest.raises(WorkerFailed, match=words):
        check(result(**changes), **seen(**what))


def test_steps_that_are_not_counted_are_between_the_words_of_a_turn() -> None:
    """Also where they are as many as a block has, as with batches of 256 and more; a whole block comes before."""
    blocks = {"warmup": [[1.0]], "return": [[0.1], [0.1]], "steady": [[0.1], [0.1]]}
    large = result(block_steps=4, return_steps=4, blocks=blocks, train_images_per_s=256 * 4 / 0.1)
    check(large, **seen(batch_size=256, heard=[0.21, 0.21]))
    check(large, **seen(batch_size=256, heard=[0.11, 0.11], whole=True))
    with pytest.raises(WorkerFailed, match="clock cannot be right"):
        check(large, **seen(batch_size=256, heard=[0.21, 0.21], whole=True))


def test_a_quarter_of_undisturbed_turns_may_lack_time() -> None:
    """Where something else had the CPUs words wait, and half of all turns may; a cheat in few turns wins nothing."""
    blocks = {"warmup": [[1.0]], "return": [[0.05]] * 8, "steady": [[0.1, 0.1]] * 8}
    for lacking, disturbed, passes in (
        (2, (), True), (3, (), False), (3, {1, 2, 3}, True), (5, {1, 2, 3, 4, 5}, False),
        (3, {1, 2, 5, 6, 7, 8}, True), (3, {1, 5, 6, 7, 8}, False),
    ):  # fmt: skip
        what = seen(turns=8, heard=[0.5] * lacking + [0.26] * (8 - lacking), disturbed=disturbed)
        if passes:
            check(result(blocks=blocks), **what)
        else:
            with pytest.raises(WorkerFailed, match="clock cannot be right"):
                check(result(blocks=blocks), **what)


def test_work_beside_what_is_counted_is_refused() -> None:
    """In loading, in first steps, before answers are asked for or when these are looked at; not some of it."""
    honest = result(return_steps=4, spare=[-0.5, 0.9], looked=[0.0, 0.4]) | {
        "blocks": {"warmup": [[1.0]], "return": [[0.024], [0.02]], "steady": [[0.1, 0.1], [0.1, 0.1]]}
    }
    check_beside(honest, start=[0.03, 0.05], heard=[0.2, 0.2])
    check_beside(result(), start=[0.01], heard=[0.31])
    # Words wait on a busy machine, and turns may be short.
    check_beside(honest, start=[0.01, 0.01], heard=[0.02, 0.02])
    for changes, start, words in (
        ({}, 0.2, "Loading weights took it 96% of the time of a turn"),
        (
            {"blocks": {"return": [[0.1], [0.1]], "steady": [[0.1], [0.1]]}},
            0.01,
            "took 5.0 times as long as the others",
        ),
        ({"spare": [0.1, 3.0]}, 0.01, "at work for 3.0 times as long"),
        ({"spare": [0.1, float("nan")]}, 0.01, "at work for nan times"),
        ({"looked": [0.1, 1.0]}, 0.01, "Looking at an answer took it 1.0 times as long as answering"),
    ):
        for disturbed in ((), {2}):
            with pytest.raises(WorkerFailed, match=words):
                check_beside(honest | changes, start=[start, start], heard=[0.2, 0.2], disturbed=disturbed)
    with pytest.raises(WorkerFailed, match=r"It said of 1 of its 2 turns when it began to load their weights"):
        check_beside(honest, start=[0.01], heard=[0.2, 0.2])


def test_undisturbed_turns_decide() -> None:
    """Who had to wait for a CPU in the first steps of a turn, or before it, is no cheat; where all had to, more may be,
    and not all that a cheat needs."""
    slow = result(return_steps=4) | {"blocks": {"return": [[0.02], [0.045]], "steady": [[0.1], [0.1]]}}
    check_beside(slow, start=[0.01, 0.2], heard=[0.2, 0.2], disturbed={2})
    check_beside(slow, start=[0.1, 0.1], heard=[0.2, 0.2], disturbed={1, 2})
    for disturbed, start, words in (
        ({1}, 0.01, r"took 2\.2 times as long as the others"),
        ({1}, 0.1, "Loading weights took it 46%"),
        ({1, 2}, 0.2, "Loading weights took it 96%"),
    ):
        with pytest.raises(WorkerFailed, match=words):
            check_beside(slow, start=[0.2, start], heard=[0.2, 0.2], disturbed=disturbed)
    cheating = slow | {"blocks": {"return": [[0.18], [0.18]], "steady": [[0.1], [0.1]]}}
    with pytest.raises(WorkerFailed, match=r"took 9\.0 times as long as the others"):
        check_beside(cheating, start=[0.01, 0.01], heard=[0.2, 0.2], disturbed={1, 2})


def test_speed_above_the_peak_is_refused() -> None:
    """Products with zeros may be skipped: twice the peak is the limit, not the peak."""
    check_peak(190.0, 100.0)
    with pytest.raises(WorkerFailed, match="210 GFLOP/s, where multiply-adds reach 100"):
        check_peak(210.0, 100.0)


OPTIONS = {"rounds": 1, "epochs": 0, "timing": True, "inference_sizes": (), "steady_s": 0.2}
# Mode of the cheating backend -> what is said of its launch.
CHEATS = {
    "slow-clock": "Its clock cannot be right",
    "patched-timed": "Its clock cannot be right",
    "forged-blocks": "Its clock cannot be right",
    "forged-speed": "Its blocks do not give its speed",
    "more-turns": "It says that it timed",
    "nan": "The training diverged: its loss became nan in step",
    "few-losses": r"gave back losses of shape \(1,\), not",
    "nice": "It changed how it is scheduled",
    "fifo": "It changed how it is scheduled",
    "elsewhere": "It left the CPUs that it was given",
}


@pytest.fixture(scope="module")
def in_turns(
    run_once: Callable[..., Path], make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant]
) -> pd.DataFrame:
    """The launches of one round in which all cheats take turns with honest ones, by mode."""
    modes = ["honest", *(mode for mode in CHEATS if not why_not(mode))]
    cheats = [make_entrant("cheating", mode=mode, batch_size=8) for mode in modes]
    # With the larger batch a block is shorter, and no longer than what comes before it.
    honest = [make_entrant("numpy", batch_size=size) for size in (8, 256)]
    plan = make_plan(*cheats, *honest, **OPTIONS)
    return RunFolder(run_once("implausible", plan)).read("launches").set_index("mode")


def why_not(mode: str) -> str:
    """Why it cannot be tried here; empty where it can."""
    if mode == "fifo" and os.geteuid() != 0:
        return "only root may change its scheduling class"
    return "there is no other CPU to run on" if mode == "elsewhere" and len(os.sched_getaffinity(0)) < 2 else ""


def assert_found(row: pd.Series, mode: str) -> None:
    assert row["status"] == "failed"
    assert re.search(CHEATS[mode], row["error"]), row["error"]
    assert pd.isna(row["train_images_per_s"])


def test_honest_workers_pass(in_turns: pd.DataFrame) -> None:
    """What the cheats are held against; whatever these do, those who take turns with them are not disturbed."""
    assert list(in_turns.loc[["honest", "eager"], "status"]) == ["ok"] * 3


@pytest.mark.parametrize("mode", CHEATS)
def test_cheat_is_no_result(in_turns: pd.DataFrame, mode: str) -> None:
    """Each fails its launch with a sentence, and has no speed."""
    if why_not(mode):
        pytest.skip(why_not(mode))

    assert_found(in_turns.loc[mode], mode)


@pytest.mark.parametrize("mode", ["honest", "slow-clock", "nice"])
def test_launch_that_is_alone_is_held_to_the_same(
    tiny_commands: None,
    make_plan: Callable[..., Plan],
    make_entrant: Callable[..., Entrant],
    tmp_path: Path,
    mode: str,
) -> None:
    """It takes turns, too, with nobody: a cheat by its clock and one by its place are found as among others."""
    plan = make_plan(make_entrant("cheating", mode=mode, batch_size=8), **OPTIONS)
    run_command.new_run(plan, results=tmp_path, name="run", pythons={})

    row = RunFolder(tmp_path / "run").read("launches").iloc[0]
    if mode == "honest":
        assert row["status"] == "ok"
    else:
        assert_found(row, mode)
