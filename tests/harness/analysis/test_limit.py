"""The share of what this machine can do: against which row it is taken, and who may be the base beside it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from harness.analysis.comparison import compare_entrants
from harness.analysis.limit import limit_shares
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES, SUMMARY


def summary(*rows: dict[str, Any]) -> pd.DataFrame:
    alike = {"run": "r", "network": "lenet5", "data_set": "mnist", "dtype": "float32", "threads": 1, "batch_size": 64}
    return frame_of([alike | row for row in rows], SUMMARY)


def test_share_is_of_the_fastest_limit_that_computes_the_same() -> None:
    rows = summary(
        {"backend": "torch", "train_images_per_s": 10.0},
        {"backend": "numba", "train_images_per_s": 40.0},
        {"backend": "numba", "train_images_per_s": 50.0, "mode": "other"},
        {"backend": "torch", "train_images_per_s": 30.0, "batch_size": 256},
        {"backend": "torch", "train_images_per_s": 30.0, "threads": None},
        {"backend": "numba", "train_images_per_s": 90.0, "threads": None},
    )

    found = limit_shares(rows)

    assert found.iloc[:3].tolist() == pytest.approx([0.2, 0.8, 1.0])
    assert pd.isna(found.iloc[3])
    assert found.iloc[4:].tolist() == pytest.approx([1 / 3, 1.0])


def test_without_a_limit_nothing_is_known() -> None:
    assert limit_shares(summary({"backend": "torch", "train_images_per_s": 10.0})).isna().all()


def test_limit_is_no_base_while_there_is_a_framework() -> None:
    """What is compared are frameworks: the limit is faster than the base, and not it."""
    launches = frame_of(
        [
            {
                "run": "r",
                "backend": backend,
                "mode": "m",
                "status": "ok",
                "threads": 1,
                "round": number,
                "train_images_per_s": speed * (1 + number / 1000),
            }
            for backend, speed in (("numba", 50.0), ("torch", 10.0), ("jax", 8.0))
            for number in (1, 2, 3, 4, 5)
        ],
        LAUNCHES,
    )

    found = {each.label.split()[0]: each for each in compare_entrants(launches)}
    alone = compare_entrants(launches[(launches["backend"] == "numba").to_numpy(bool)])

    assert found["torch"].ratio is None
    assert found["numba"].verdict == "faster"
    assert found["numba"].ratio is not None
    assert found["numba"].ratio.estimate == pytest.approx(5.0)
    assert alone[0].ratio is None


def test_limit_changes_nothing_for_the_others() -> None:
    """Its launches spread by 10 %; intervals and verdicts of the frameworks are those of a run without it."""
    spreads = (("numba", 50.0, 0.05), ("torch", 10.0, 0.001), ("jax", 9.0, 0.002), ("mxnet", 8.0, 0.001))
    rows = [
        {"run": "r", "backend": backend, "mode": "m", "status": "ok", "threads": 1, "round": number,
         "train_images_per_s": speed * (1 + spread * (-1) ** number * number)}
        for backend, speed, spread in spreads for number in (1, 2, 3, 4, 5)
    ]  # fmt: skip
    launches = frame_of(rows, LAUNCHES)
    without = launches[(launches["backend"] != "numba").to_numpy(bool)]

    for base in ("", "jax"):
        found = {each.label: each for each in compare_entrants(launches, base=base)}
        assert found.pop("numba m").ratio is not None
        assert [(each.label, each.ratio, each.verdict) for each in found.values()] == [
            (each.label, each.ratio, each.verdict) for each in compare_entrants(without, base=base)
        ]
