"""Time to accuracy: who reached the target, on which clock, and what a seed counts that did not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis.summary import summarise
from harness.analysis.target import time_to_target
from harness.results.folder import frame_of
from harness.results.schema import EPOCHS, LAUNCHES

# Seconds of each epoch: training, and its evaluation.
TRAIN_S, EVALUATE_S = 10.0, 3.0


def tables(
    trained: list[int], *, reached: int, position: int = 1, run: str = "r", factor: float = 1.0, **changes: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Launches and epochs of one entrant: a round a seed, which trained so many epochs; the first `reached` got there.

    Args:
        factor: how much longer its epochs take.
    """
    fields = {"run": run, "backend": "torch", "mode": "eager", "position": position, "status": "ok", "until": 0.98}
    launches, epochs = [], []
    for number, count in enumerate(trained, start=1):
        accuracy = 0.98 if number <= reached else 0.9799
        launches.append(fields | {"round": number, "epochs": count, "test_accuracy": accuracy} | changes)
        of_launch = {"run": run, "round": number, "position": position}
        seconds = {"train_s": TRAIN_S * factor, "evaluate_s": EVALUATE_S * factor}
        epochs += [of_launch | seconds | {"epoch": each} for each in range(1, count + 1)]
    return frame_of(launches, LAUNCHES), frame_of(epochs, EPOCHS)


@pytest.mark.parametrize(
    ("trained", "reached", "median"),
    [
        ([4, 2, 3], 3, 3),
        ([3, 4, 2, 3, 9], 4, 3),  # 2 3 3 4 inf
        ([2, 3, 9, 9, 9], 2, np.inf),
        ([2, 4, 9, 3], 4, 3.5),
        ([5, 2, 3, 9], 3, 4),  # 2 3 5 inf
        ([5, 2, 9, 9], 2, np.inf),  # half of an even number
        ([3], 1, 3),
        ([9], 0, np.inf),
    ],
)
def test_seed_that_never_reached_it_took_for_ever(trained: list[int], reached: int, median: float) -> None:
    """Medians over seeds, infinity for those that did not reach the target; training alone, and with evaluation."""
    found = time_to_target(*tables(trained, reached=reached))

    assert found == {
        "until": 0.98,
        "seeds": len(trained),
        "seeds_reached": reached,
        "until_epochs": pytest.approx(median),
        "until_train_s": pytest.approx(median * TRAIN_S),
        "until_total_s": pytest.approx(median * (TRAIN_S + EVALUATE_S)),
    }


def test_epochs_of_other_entrants_are_not_mixed_in() -> None:
    """Seconds are those of the launch itself: same run, same round, same position."""
    launches, epochs = tables([2, 3, 4], reached=3)
    _, neighbour = tables([5, 5, 5], reached=3, position=2, factor=1000)
    _, other_run = tables([5, 5, 5], reached=3, run="another", factor=1000)
    _, later = tables([5, 5, 5, 5], reached=4, factor=1000)
    later = later[later["round"] == 4]

    found = time_to_target(launches, pd.concat([neighbour, other_run, later, epochs], ignore_index=True))

    assert found["until_train_s"] == pytest.approx(3 * TRAIN_S)
    assert found["until_total_s"] == pytest.approx(3 * (TRAIN_S + EVALUATE_S))


@pytest.mark.parametrize(
    "changes", [{"until": None}, {"test_accuracy": None, "epochs": 0}], ids=["no target", "untrained"]
)
def test_no_target_is_no_column(changes: dict[str, Any]) -> None:
    """Launches without a target, or that trained nothing, say nothing about it."""
    assert time_to_target(*tables([2, 3], reached=2, **changes)) == {}


def test_launches_that_only_were_timed_do_not_count() -> None:
    """Rounds after the last seed are no seeds that missed the target."""
    launches, epochs = tables([2, 3, 4], reached=3)
    timed, _ = tables([0, 0, 0, 0, 0], reached=0, until=None, test_accuracy=None, epochs=0)

    found = time_to_target(pd.concat([launches, timed[3:]], ignore_index=True), epochs)

    assert (found["seeds"], found["seeds_reached"], found["until_epochs"]) == (3, 3, 3)


def test_summary_has_the_time_to_accuracy() -> None:
    """Each entrant's row has its own figures; one whose runs had no target has none."""
    speed = {"train_images_per_s": 900.0, "steady": True}
    quick = tables([2, 2, 2], reached=3, **speed)
    late = tables([6, 5, 9], reached=2, position=2, backend="jax", **speed)
    none = tables([5, 5, 5], reached=0, position=3, backend="paddle", **speed | {"until": None})
    launches, epochs = (pd.concat(part, ignore_index=True) for part in zip(quick, late, none))

    summary = summarise(launches, epochs).set_index("backend")

    assert summary.loc["torch", ["seeds", "seeds_reached"]].tolist() == [3, 3]
    assert summary.loc["jax", ["seeds", "seeds_reached"]].tolist() == [3, 2]
    assert summary.loc["torch", "until_train_s"] == pytest.approx(20)
    assert summary.loc["jax", ["until_epochs", "until_train_s", "until_total_s"]].tolist() == pytest.approx([6, 60, 78])
    assert summary.loc["paddle", ["until", "seeds", "seeds_reached", "until_epochs"]].isna().all()
