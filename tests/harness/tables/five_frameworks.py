"""A summary of five frameworks, and what is printed of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from harness.results.folder import frame_of
from harness.results.schema import SCHEMA_VERSION, SUMMARY
from harness.tables import run_tables

# Backend, version, mode, images/s, import s, first step s, images until it overtakes.
FIVE = (
    ("tensorflow", "2.21.0", "graph", 21_614.0, 1.45, 0.279, 28_713.0),
    ("torch", "2.13.0+cpu", "eager", 18_277.0, 0.66, 0.014, None),
    ("mxnet", "1.9.1", "hybrid", 13_761.0, 0.58, 0.043, 1_234_567.0),
    ("jax", "0.10.2", "jit", 8_714.0, 0.44, 1.086, np.inf),
    ("paddle", "3.3.1", "dynamic", 6_223.0, 0.57, 0.022, np.inf),
)
VERDICTS = ("", "slower", "equivalent", "cannot tell", "slower")
SIZES = (1, 8, 64, 500)


def rows_of(**changes: Any) -> list[dict[str, Any]]:
    """A summary of five frameworks with figures as they come on one thread."""
    shared = {
        "schema_version": SCHEMA_VERSION, "run": "r", "network": "lenet5", "data_set": "mnist", "feed": "host",
        "device": "cpu", "dtype": "float32", "threads": 1, "batch_size": 64, "environment": "controlled",
        "launches": 5, "unsteady": 0, "train_images_per_s_cv": 0.018, "ratio_sd": 0.0071, "base": "tensorflow graph",
        "inference_images_per_s": 40_000.0, "latency_ms_p50": 0.171, "latency_ms_p95": 0.25, "latency_ms_p99": 1.234,
        "train_gflops": 25.31, "peak_share": 0.312, "rss_import_bytes": 300 * 2**20, "peak_rss_bytes": 1694 * 2**20,
        "epochs": 5, "test_accuracy": 0.99034,
    }  # fmt: skip
    return [shared | _own(number, *FIVE[number]) | changes for number in range(len(FIVE))]


def _own(number: int, *figures: Any) -> dict[str, Any]:
    backend, version, mode, speed, import_s, first_step_s, break_even = figures
    ratio = speed / FIVE[0][3]
    intervals = {
        "train_images_per_s": speed, "ratio": ratio, "import_s": import_s, "build_s": 0.304,
        "first_step_s": first_step_s, "first_epoch_s": 3 + 60_000 / speed,
    }  # fmt: skip
    row = {"backend": backend, "framework_version": version, "mode": mode, "break_even_images": break_even}
    for name, value in intervals.items():
        row |= {name: value, f"{name}_low": value * 0.95, f"{name}_high": value * 1.05}
    if number == 0:
        row |= {"ratio_low": None, "ratio_high": None}
    return row | {"verdict": VERDICTS[number] or None}


def sweep_of(entrants: int, sizes: tuple[int, ...] = SIZES) -> pd.DataFrame:
    """Images per second, ten thousand more with each entrant."""
    rates = [[10_000.0 * (number + 1) + size for size in sizes] for number in range(entrants)]
    return pd.DataFrame(rates, columns=list(sizes))


def shown(rows: list[dict[str, Any]], sweep: pd.DataFrame | None = None, *, width: int = 80) -> str:
    """The tables of a summary as they are printed, without the blanks at the ends of lines."""
    out = io.StringIO()
    summary = frame_of(rows, SUMMARY)
    sweep = sweep_of(len(rows)) if sweep is None else sweep
    run_tables.show_summary(Console(file=out, width=width, highlight=False), summary, sweep)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def table_text(table: Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def cells(text: str, title: str) -> dict[str, list[str]]:
    """The lines of the table below a title, split at blanks, by their first word."""
    lines = text.split(title)[1].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: line.split()[1:] for line in lines}


TABLES: dict[str, Callable[[pd.DataFrame], Table]] = {
    "speed": run_tables.speed_table,
    "start": run_tables.start_table,
    "inference": lambda summary: run_tables.inference_table(summary, sweep_of(len(summary))),
    "machine": run_tables.machine_table,
    "target": run_tables.target_table,
}

TARGETS = {"until": 0.985, "seeds": 5, "seeds_reached": 5, "until_epochs": 2.0, "until_train_s": 12.34}
REACHED = TARGETS | {"until_total_s": 15.67}
MISSED = TARGETS | {"seeds_reached": 2, "until_epochs": np.inf, "until_train_s": np.inf, "until_total_s": np.inf}
ENERGY = {"energy_j_per_image": 0.0012345}
