"""When rounds no longer time inference, of rows and of runs that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES
from harness.runs.enough import LEAST_LAUNCHES, MOST_ROUNDS, highest_peak, wants_inference


def rows(*launches: dict[str, Any]) -> Any:
    usual = {"status": "ok", "latency_ms_p50": 1.0, "inference_images_per_s": 1e4}
    made = [{"backend": "numpy", "mode": "eager"} | usual | each for each in launches]
    return frame_of(made, LAUNCHES).assign(label="numpy eager")


def rounds(latencies: list[float]) -> Any:
    return rows(*({"plan_round": n, "latency_ms_p50": value} for n, value in enumerate(latencies, start=1)))


@pytest.mark.parametrize(
    ("latencies", "wanted"),
    [
        ([], True),
        ([1.0] * (LEAST_LAUNCHES - 1), True),
        ([1.0] * LEAST_LAUNCHES, False),
        ([1.0, 1.05, 0.95], True),
        ([1.0, 1.002, 0.998], False),
        ([1.0, 1.5, 0.7, 1.2, 0.9][:MOST_ROUNDS], False),
    ],
    ids=["none", "few", "three alike", "wide", "narrow", "no more rounds"],
)
def test_inference_is_timed_until_it_is_known(latencies: list[float], wanted: bool) -> None:
    """Three launches, and an interval narrower than a tenth of the median latency; or five rounds."""
    assert wants_inference(rounds(latencies), len(latencies) + 1, ["numpy eager"]) is wanted


def test_throughput_counts_too() -> None:
    """A latency that is known is not all."""
    made = rows(*({"plan_round": n, "inference_images_per_s": speed} for n, speed in ((1, 1e4), (2, 1.1e4), (3, 9e3))))

    assert wants_inference(made, 4, ["numpy eager"]) is True


def test_what_comes_later_or_failed_decides_nothing() -> None:
    """A round that is done again decides as it did at first; every entrant that is launched must be known."""
    made = rounds([1.0] * 4)

    assert wants_inference(made, 3, ["numpy eager"]) is True
    assert wants_inference(made, 5, ["numpy eager", "twin eager"]) is True
    made.loc[1:, "status"] = "failed"
    assert wants_inference(made, 5, ["numpy eager"]) is True


def test_highest_peak_is_of_equal_cpus_and_precision() -> None:
    """Others say nothing; without one there is none."""
    made = rows(
        {"threads": 1, "replicas": 1, "dtype": "float32", "peak_gflops": 100.0},
        {"threads": 1, "replicas": 1, "dtype": "float32"},
        {"threads": 2, "replicas": 1, "dtype": "float32", "peak_gflops": 200.0},
        {"threads": 2, "replicas": 2, "dtype": "float32", "peak_gflops": 400.0},
    )

    assert highest_peak(made, cpus=1, dtype="float32") == 100.0
    assert highest_peak(made, cpus=4, dtype="float32") == 400.0
    assert highest_peak(made, cpus=1, dtype="float64") is None
