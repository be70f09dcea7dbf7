"""From launches to the rows and tables that people read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from harness import tables
from harness.results import frame_of
from harness.schema import EPOCHS, LAUNCHES
from harness.summary import accuracy_spread, summarise


def launch_row(backend: str, number: int, speed: float, *, run: str = "r", **changes: Any) -> dict[str, Any]:
    """A launch as `rounds` writes it, with the fields that summaries read."""
    row = {
        "schema_version": 1, "run": run, "round": number, "position": 1, "backend": backend, "framework_version": "1.0",
        "network": "lenet5", "data_set": "mnist", "mode": "eager", "feed": "host", "device": "cpu", "dtype": "float32",
        "threads": 1, "batch_size": 64, "environment": "controlled", "machine": "m", "machine_sha256": "0",
        "status": "ok", "steady": True, "train_images_per_s": speed, "import_s": 1.0, "build_s": 0.1,
        "first_step_s": 0.2, "inference_images_per_s": 9000.0, "latency_ms_p50": 0.1, "latency_ms_p95": 0.2,
        "latency_ms_p99": 0.3, "peak_rss_bytes": 400 * 2**20,
    }  # fmt: skip
    return row | changes


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return frame_of(rows, LAUNCHES)


def test_ratio_is_paired_by_round():
    """A drift that both entrants share leaves a paired ratio exact, however wide their own intervals are."""
    drift = [1.0, 2.0, 0.5, 4.0, 1.5]
    rows = [launch_row("torch", n, 1000 * d) for n, d in enumerate(drift, 1)]
    rows += [launch_row("jax", n, 500 * d) for n, d in reversed(list(enumerate(drift, 1)))]

    summary = summarise(frame(rows)).set_index("backend")

    assert list(summary.index) == ["torch", "jax"]
    assert summary.loc["jax", "ratio"] == pytest.approx(0.5)
    assert summary.loc["jax", "ratio_low"] == pytest.approx(0.5)
    assert summary.loc["jax", "ratio_high"] == pytest.approx(0.5)
    assert summary.loc["jax", "verdict"] == "slower"
    assert summary.loc["jax", "train_images_per_s_high"] > 2 * summary.loc["jax", "train_images_per_s"]
    assert pd.isna(summary.loc["torch", "verdict"])


def test_only_shared_rounds_are_paired():
    """A launch without a partner in its round does not enter the ratio; under four pairs nothing can be told."""
    rows = [launch_row("torch", n, 1000.0) for n in range(1, 7)] + [launch_row("jax", n, 500.0) for n in (2, 4, 6)]

    summary = summarise(frame(rows)).set_index("backend")

    assert summary.loc["jax", "launches"] == 3
    assert summary.loc["jax", "verdict"] == "cannot tell"


def test_failed_and_untimed_launches_are_left_out():
    """Rows that failed, or that only trained, do not count as launches."""
    rows = [launch_row("torch", n, 1000.0) for n in range(1, 5)]
    rows += [launch_row("torch", 5, 1.0, status="failed"), launch_row("torch", 6, 1.0, train_images_per_s=None)]

    summary = summarise(frame(rows))

    assert summary["launches"].tolist() == [4]
    assert summary["train_images_per_s"].iloc[0] == pytest.approx(1000)


def test_different_settings_are_different_entrants():
    """The same backend with another number of threads is another row."""
    rows = [launch_row("torch", n, 1000.0 * threads, threads=threads) for n in range(1, 5) for threads in (1, 2)]

    summary = summarise(frame(rows))

    assert summary["threads"].tolist() == [2, 1]
    assert summary["ratio"].tolist() == pytest.approx([1.0, 0.5])


def test_tables_fit_eighty_columns_and_show_every_figure():
    """Both tables of two runs with long versions stay within 80 columns, unfolded, and explain their letters."""
    rows = [
        launch_row(b, n, s, run=run, framework_version="2.13.0+cpu")
        for b, s in (("tensorflow", 112_345.0), ("torch", 98_765.0))
        for n in range(1, 6)
        for run in ("2026-11-20T08-41-12-torch-mxnet", "2026-11-20T08-42-39-torch-mxnet")
    ]
    out = io.StringIO()

    tables.show_summary(Console(file=out, width=80, highlight=False), summarise(frame(rows)))

    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("112,345" in line for line in lines) == 2
    assert any("2.13.0+cpu" in line for line in lines)
    assert "B: 2026-11-20T08-42-39-torch-mxnet" in out.getvalue()


def test_accuracy_spread_separates_seeds_from_backends():
    """With equal backends the spread between them is zero and that between seeds is the seeds' own."""
    seeds = [0.98, 0.99, 1.00]
    rows = [
        {key: launch_row(b, 1, 1.0)[key] for key in ("schema_version", "run", "backend")}
        | {"seed": seed, "epoch": epoch, "test_accuracy": accuracy - 0.1 * (2 - epoch)}
        for b in ("torch", "jax")
        for seed, accuracy in enumerate(seeds)
        for epoch in (1, 2)
    ]

    spread = accuracy_spread(frame_of(rows, EPOCHS))

    assert spread is not None
    assert spread.by_seed["jax"].tolist() == pytest.approx(seeds)
    assert spread.between_seeds == pytest.approx(np.std(seeds, ddof=1))
    assert spread.between_backends == pytest.approx(0)


def test_one_seed_has_no_spread():
    """A single seed says nothing about spread."""
    rows = [{"schema_version": 1, "backend": "torch", "seed": 0, "epoch": 1, "test_accuracy": 0.9}]

    assert accuracy_spread(frame_of(rows, EPOCHS)) is None


def test_what_tells_entrants_apart_is_shown():
    """Entrants of one backend that differ in threads, batch size or feed can be told apart in the table."""
    rows = [
        launch_row("torch", n, 900.0, threads=t, feed=f)
        for n in range(1, 5)
        for t in (1, 2)
        for f in ("host", "device")
    ]
    out = io.StringIO()

    tables.show_summary(Console(file=out, width=80, highlight=False), summarise(frame(rows)))

    for mode in ("eager 1t host", "eager 2t host", "eager 1t device", "eager 2t device"):
        assert mode in out.getvalue()
    assert "b64" not in out.getvalue()
