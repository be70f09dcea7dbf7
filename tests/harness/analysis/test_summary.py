"""From launches to one row an entrant: intervals, start-up, medians, the sweep, the spread of accuracies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.analysis.summary import accuracy_spread, break_even_images, inference_sweep, summarise
from harness.results.folder import frame_of
from harness.results.schema import EPOCHS, INFERENCE, LAUNCHES, SCHEMA_VERSION

STARTS = ("import_s", "build_s", "first_step_s", "start_up_s", "first_epoch_s")


def launch_row(backend: str, number: int, speed: float = 1000.0, **changes: Any) -> dict[str, Any]:
    """A launch as `rounds` writes it, with the fields that summaries read."""
    row = {
        "schema_version": SCHEMA_VERSION, "run": "r", "round": number, "position": 1, "backend": backend,
        "framework_version": "1.0", "network": "lenet5", "data_set": "mnist", "mode": "eager", "feed": "host",
        "device": "cpu", "dtype": "float32", "threads": 1, "batch_size": 64, "environment": "controlled",
        "machine": "m", "machine_sha256": "0", "data_sha256": "1", "status": "ok", "steady": True, "steady_steps": 200,
        "train_images_per_s": speed,
    }  # fmt: skip
    return row | changes


def summary_of(rows: list[dict[str, Any]], **options: Any) -> pd.DataFrame:
    return summarise(frame_of(rows, LAUNCHES), **options).set_index("backend")


def test_row_has_speed_ratio_and_verdict() -> None:
    """Rows are fastest first, with what identifies them, launches, speeds and ratios with intervals, and the base."""
    torch = [launch_row("torch", n, 1000.0 * n) for n in range(1, 6)]
    jax = [launch_row("jax", n, 500.0 * n) for n in range(1, 6)]

    found = summary_of(jax + torch)
    named = summary_of(jax + torch, base="jax")

    assert list(found.index) == list(named.index) == ["torch", "jax"]
    assert found["schema_version"].tolist() == [SCHEMA_VERSION] * 2
    assert found.loc["jax", ["run", "machine", "machine_sha256", "data_sha256"]].tolist() == ["r", "m", "0", "1"]
    assert found["launches"].tolist() == [5, 5]
    assert found.loc["jax", "train_images_per_s"] == pytest.approx(500 * math.factorial(5) ** (1 / 5))
    assert found.loc["jax", "train_images_per_s_low"] < 500 * math.factorial(5) ** (1 / 5)
    assert found["base"].tolist() == ["torch eager"] * 2
    assert found.loc["jax", ["ratio", "ratio_low", "ratio_high"]].tolist() == pytest.approx([0.5] * 3)
    assert found.loc["jax", "verdict"] == "slower"
    assert found.loc["torch", "ratio"] == 1
    assert found.loc["torch", ["ratio_low", "ratio_high", "verdict"]].replace("", pd.NA).isna().all()
    assert named["base"].tolist() == ["jax eager"] * 2
    assert named.loc["torch", "ratio"] == pytest.approx(2)
    assert named.loc["torch", "verdict"] == "faster"


def test_no_launches_are_no_rows() -> None:
    """Without a launch that was timed the summary is empty, and has all its columns."""
    found = summarise(frame_of([launch_row("torch", 1, status="failed")], LAUNCHES))

    assert len(found) == 0
    assert {"break_even_images", "until_total_s"} <= set(found)


@pytest.mark.parametrize("name", STARTS)
def test_start_up_has_intervals(name: str) -> None:
    """Geometric mean of the launches, and Student's interval of their logarithms; launches without one are left out."""
    values = [1.0, 1.1, 1.3, 0.9]
    rows = [launch_row("torch", n, **{name: value}) for n, value in enumerate([*values, None], start=1)]

    found = summary_of(rows).loc["torch"]

    logs = np.log(values)
    half = stats.t.ppf(0.975, 3) * logs.std(ddof=1) / 2
    assert found[name] == pytest.approx(math.exp(logs.mean()))
    assert found[f"{name}_low"] == pytest.approx(math.exp(logs.mean() - half))
    assert found[f"{name}_high"] == pytest.approx(math.exp(logs.mean() + half))
    others = [other for other in STARTS if other != name]
    assert found[others].isna().all()
    assert found[[f"{other}_low" for other in others]].isna().all()


def test_one_launch_has_no_interval() -> None:
    """A single launch gives estimates, and neither limits nor a spread."""
    found = summary_of([launch_row("torch", 1, start_up_s=2.5)]).loc["torch"]

    assert found["start_up_s"] == pytest.approx(2.5)
    assert found[["start_up_s_low", "start_up_s_high", "train_images_per_s_low", "train_images_per_s_cv"]].isna().all()


def test_images_after_which_a_late_start_is_made_up() -> None:
    """By hand: 1 + n / 1000 = 3 + n / 2000 at n = 4,000; whoever starts later and is no faster never catches up."""
    starts = {"early": (1.0, 1000.0), "fast": (3.0, 2000.0), "slow": (1.5, 500.0), "as fast": (1.5, 1000.0)}
    rows = [launch_row(name, n, speed, start_up_s=s) for name, (s, speed) in starts.items() for n in range(1, 5)]

    found = summary_of(rows)["break_even_images"]

    assert found["fast"] == pytest.approx(4000)
    assert np.isposinf(found[["slow", "as fast"]].to_numpy(float)).all()
    assert pd.isna(found["early"])


def test_who_starts_as_early_and_is_faster_leads_at_once() -> None:
    """Equal start-ups: the faster one is ahead from the first image on."""
    first, second = ({"start_up_s": 1.0, "train_images_per_s": speed} for speed in (1000.0, 2000.0))

    assert break_even_images(second, first) == 0


def test_break_even_needs_start_ups() -> None:
    """Nothing is said of an entrant without a start-up time, and it is not the one that others are held against."""
    rows = [launch_row("torch", n) for n in range(1, 5)]
    rows += [launch_row("jax", n, 900.0, start_up_s=2.0) for n in range(1, 5)]
    rows += [launch_row("paddle", n, 1800.0, start_up_s=3.0) for n in range(1, 5)]

    found = summary_of(rows)["break_even_images"]

    assert found[["torch", "jax"]].isna().all()
    assert found["paddle"] == pytest.approx(1800)


def test_figures_of_launches() -> None:
    """Spread, unsteady launches, energy per image, medians; bytes stay whole numbers."""
    speeds, energy, peaks = [900.0, 1000.0, 1100.0, 1200.0], [64.0, 128.0, None, 640.0], [90.0, 250.0, None, 240.0]
    rows = [
        launch_row(
            "torch", n, speed, steady=n > 1, energy_j=joules, latency_ms_p99=float(n), train_gflops=10.0 * n,
            peak_gflops=peak, peak_rss_bytes=100 * n + 1, rss_import_bytes=7, inference_images_per_s=n**2,
        )
        for n, speed, joules, peak in zip(range(1, 5), speeds, energy, peaks)
    ]  # fmt: skip

    found = summary_of(rows).loc["torch"]

    assert found["train_images_per_s_cv"] == pytest.approx(np.std(speeds, ddof=1) / 1050)
    assert found["unsteady"] == 1
    # 200 steps of 64 images: 5, 10 and 50 mJ an image.
    assert found["energy_j_per_image"] == pytest.approx(0.01)
    assert found["latency_ms_p99"] == pytest.approx(2.5)
    assert found["train_gflops"] == pytest.approx(25)
    # Of the largest peak: a small one was disturbed.
    assert found["peak_share"] == pytest.approx(0.1)
    assert found["inference_images_per_s"] == pytest.approx(6.5)
    assert found["peak_rss_bytes"] == 251
    assert found["rss_import_bytes"] == 7
    assert found[["device_memory_bytes", "latency_ms_p50", "until", "epochs", "test_accuracy"]].isna().all()


def test_no_meter_and_no_peak_are_empty_cells() -> None:
    """Where no launch could read a meter, or no peak was measured, there is no figure, not zero."""
    found = summary_of([launch_row("torch", n, train_gflops=9.0) for n in range(1, 5)]).loc["torch"]

    assert found[["energy_j_per_image", "peak_share"]].isna().all()


def test_accuracy_is_a_mean_over_seeds() -> None:
    """Only launches that trained count; epochs are the most, where a target ended some of them."""
    rows = [launch_row("torch", n, epochs=0) for n in range(3, 6)]
    rows += [launch_row("torch", n, epochs=2 + n, test_accuracy=0.9 + n / 100) for n in (1, 2)]

    found = summary_of(rows).loc["torch"]

    assert found["test_accuracy"] == pytest.approx(0.915)
    assert found["epochs"] == 4
    assert found["launches"] == 5


def sweep_rows(launch: dict[str, Any], rates: dict[int, float]) -> list[dict[str, Any]]:
    """Rows of inference.csv of one launch."""
    known = {key: launch[key] for key in ("schema_version", "run", "round", "position", "backend", "mode")}
    return [known | {"inference_batch_size": size, "inference_images_per_s": rate} for size, rate in rates.items()]


def test_sweep_has_the_medians_of_each_entrant_and_size() -> None:
    """A row an entrant, in the summary's order; the same backend with other threads or batches, or in another run,
    is another one; sizes that an entrant did not run are missing; launches that are not in the table are ignored."""
    entrants = [
        ({"backend": "jax", "mode": "jit", "framework_version": "0.10"}, 500.0, {8: 1.0}),
        ({"backend": "torch"}, 1000.0, {64: 20.0, 1: 10.0}),
        ({"backend": "torch", "threads": 2}, 2000.0, {1: 100.0, 64: 200.0}),
        ({"backend": "torch", "threads": None, "environment": "native"}, 1500.0, {1: 400.0}),
        ({"backend": "torch", "batch_size": 128}, 3000.0, {1: 1000.0}),
        ({"backend": "torch", "run": "another"}, 4000.0, {1: 9000.0, 64: 9500.0}),
        ({"backend": "torch", "variant": "twin", "slowdown": 0.03}, 250.0, {1: 7.0}),
        ({"backend": "paddle"}, 100.0, {}),
    ]
    launches, inference = [], []
    for position, (fields, speed, rates) in enumerate(entrants, start=1):
        for number in (1, 2, 3):
            launch = launch_row("", number, speed + number, position=position, slowdown=0.0) | fields
            launches.append(launch)
            # The median of three is the middle one, whose rates are those above.
            factor = [0.25, 1.0, 1.5][number - 1]
            inference += sweep_rows(launch, {size: rate * factor for size, rate in rates.items()})
    inference += sweep_rows(launch_row("torch", 9), {1: 1e6, 500: 1e6})
    timed = frame_of(launches, LAUNCHES)
    summary = summarise(timed)

    found = inference_sweep(summary, timed, frame_of(inference, INFERENCE))

    by_speed = [rates for _, _, rates in sorted(entrants, key=lambda each: -each[1])]
    assert list(found.index) == list(summary.index)
    assert list(found.columns) == [1, 8, 64]
    for place, rates in enumerate(by_speed):
        row = found.iloc[place]
        assert {size: pytest.approx(row[size]) for size in found.columns if pd.notna(row[size])} == rates


def test_sweep_of_runs_without_one_has_no_sizes() -> None:
    """A run that left out inference has a row an entrant, and no column."""
    timed = frame_of([launch_row(name, n) for name in ("torch", "jax") for n in (1, 2)], LAUNCHES)

    found = inference_sweep(summarise(timed), timed, frame_of([], INFERENCE))

    assert found.shape == (2, 0)


def test_accuracy_spread_separates_seeds_from_backends() -> None:
    """With equal backends the spread between them is zero and that between seeds is the seeds' own."""
    seeds = [0.98, 0.99, 1.00]
    rows = [
        {"run": "r", "backend": b, "seed": seed, "epoch": epoch, "test_accuracy": accuracy - 0.1 * (2 - epoch)}
        for b in ("torch", "jax")
        for seed, accuracy in enumerate(seeds)
        for epoch in (1, 2)
    ]

    spread = accuracy_spread(frame_of(rows, EPOCHS))

    assert spread is not None
    assert spread.by_seed["jax"].tolist() == pytest.approx(seeds)
    assert spread.between_seeds == pytest.approx(np.std(seeds, ddof=1))
    assert spread.between_backends == pytest.approx(0)


def test_entrants_of_one_backend_are_told_apart() -> None:
    """Where a backend has several entrants its columns have their labels, and accuracies of two are not averaged."""
    rows = [
        {"run": "r", "backend": backend, "mode": mode, "seed": seed, "epoch": 1, "test_accuracy": accuracy}
        for backend, mode, accuracy in (("torch", "eager", 0.98), ("torch", "compiled", 0.96), ("jax", "jit", 0.97))
        for seed in (0, 1)
    ]

    spread = accuracy_spread(frame_of(rows, EPOCHS))

    assert spread is not None
    assert spread.by_seed.mean().to_dict() == pytest.approx({"jax": 0.97, "torch compiled": 0.96, "torch eager": 0.98})
    assert spread.between_backends == pytest.approx(0.01)


def test_one_seed_has_no_spread() -> None:
    """A single seed says nothing about spread."""
    rows = [{"backend": "torch", "seed": 0, "epoch": 1, "test_accuracy": 0.9}]

    assert accuracy_spread(frame_of(rows, EPOCHS)) is None
