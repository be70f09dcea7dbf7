"""Runs that nobody made: any number of entrants, all that can tell them apart, names of 3 to 30 letters."""

from __future__ import annotations

import random
import re
import string
from typing import Any

import numpy as np
import pandas as pd

from harness.results.folder import frame_of
from harness.results.schema import SCHEMA_VERSION, SUMMARY

# Where a text stands whole that a table cut.
BELOW = re.compile(r"^ *…(\d+):", re.MULTILINE)
INTERVALS = ("train_images_per_s", "ratio", "import_s", "build_s", "first_step_s", "first_epoch_s")
CHOICES: dict[str, tuple[Any, ...]] = {
    "threads": (1, 2, 16), "batch_size": (1, 64, 4096), "replicas": (1, 2, 8), "feed": ("host", "device"),
    "device": ("cpu", "gpu"),
    "dtype": ("float32", "float64", "bfloat16"), "environment": ("controlled", "native"),
    "network": ("lenet5", "lenet-gluon"), "variant": (None, "twin", "2.13.0+cu130"), "launches": (5, 3),
}  # fmt: skip


def name(drawn: random.Random, least: int = 3, most: int = 30) -> str:
    """Letters, hyphens and blanks in no order, as long as a name may be here."""
    middle = "".join(drawn.choice(string.ascii_lowercase + "-- ") for _ in range(drawn.randint(least, most) - 2))
    return drawn.choice(string.ascii_lowercase) + " ".join(middle.split()) + drawn.choice(string.ascii_lowercase)


def summary(drawn: random.Random, entrants: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of summary.csv, and the sweep that belongs to them; a random part of all fields differs."""
    differ = {field for field in CHOICES if drawn.random() < 0.4}
    same = {field: drawn.choice(values) for field, values in CHOICES.items()}
    runs = [name(drawn, 3, 30) for _ in range(drawn.choice((1, 1, 3)))]
    one = name(drawn) if drawn.random() < 0.2 else ""
    extras = {field for field in ("energy", "until", "limit", "unsteady") if drawn.random() < 0.4}
    rows = []
    for number in range(entrants):
        own = {field: drawn.choice(CHOICES[field]) for field in differ}
        who = {"backend": one or name(drawn), "mode": f"{name(drawn)}{number}", "run": drawn.choice(runs)}
        rows.append(same | own | who | _figures(drawn, extras))
    sizes = drawn.sample((1, 8, 64, 500, 4096, 65536), drawn.randint(0, 6))
    sweep = pd.DataFrame({size: [10 ** drawn.uniform(2, 7) for _ in rows] for size in sizes}, index=range(len(rows)))
    if "limit" in extras:
        rows[0] |= {"backend": "numba", "mode": "kernels"}
    return frame_of(rows, SUMMARY), sweep


def _figures(drawn: random.Random, extras: set[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION, "data_set": "fashion-mnist", "framework_version": "12.10.100rc1+cu130",
        "unsteady": 2 * ("unsteady" in extras), "train_images_per_s_cv": drawn.random(), "ratio_sd": drawn.random(),
        "base": "b", "verdict": drawn.choice(("faster", "slower", "equivalent", "cannot tell")), "paired": False,
        "latency_ms_p50": drawn.uniform(0, 999), "latency_ms_p95": 1.0, "latency_ms_p99": 1.0, "epochs": 5,
        "train_gflops": drawn.uniform(1, 9e4), "peak_share": drawn.uniform(0, 1.2), "rss_import_bytes": 300 * 2**20,
        "peak_rss_bytes": int(drawn.uniform(2**29, 2**37)), "test_accuracy": drawn.random(),
        "break_even_images": drawn.choice((np.inf, 1e4, 123456789.0)), "verified": drawn.random() < 0.5,
    }  # fmt: skip
    for column in INTERVALS:
        value = 10 ** drawn.uniform(-2, 7 if "images" in column else 2)
        row |= {column: value, f"{column}_low": value * 0.9, f"{column}_high": value * 1.1}
    if "energy" in extras:
        row["energy_j_per_image"] = drawn.uniform(0, 5)
    if "until" in extras:
        reached = drawn.choice((12.5, np.inf))
        row |= {"until": 0.985, "seeds": 10, "seeds_reached": 10, "until_epochs": reached}
        row |= {"until_train_s": reached * 99, "until_total_s": reached * 100}
    return row


def check_marks(text: str) -> None:
    """Each mark has its text below, and nothing is below without a mark."""
    below = {*BELOW.findall(text)}
    above = {*re.findall(r"…(\d+)", BELOW.sub("", text))}
    assert above == below
