"""How speed grows with threads and batch size."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from harness.analysis.scaling import scaling
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES
from harness.tables import run_tables


def launches_of(speeds: dict[tuple[int, int], float], rounds: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """Rows of a sweep: (threads, batch size) -> images per second, a little faster in every round."""
    usual = {
        "run": "r", "backend": "torch", "mode": "eager", "feed": "host", "device": "cpu", "dtype": "float32",
        "network": "lenet5", "environment": "controlled", "status": "ok",
    }  # fmt: skip
    return [
        usual
        | {"round": number, "train_images_per_s": speed * 1.01**number, "threads": threads, "batch_size": size}
        | changes
        for number in range(1, rounds + 1)
        for (threads, size), speed in speeds.items()
    ]


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return scaling(frame_of(rows, LAUNCHES))


def test_ratios_are_to_the_smallest_of_the_same_family() -> None:
    """Threads are compared at the same batch size and batch sizes at the same threads, paired by round."""
    speeds = {(1, 64): 1000.0, (2, 64): 1800.0, (1, 256): 1500.0, (2, 256): 2850.0}

    found = frame(launches_of(speeds)).set_index(["dimension", "threads", "batch_size"])

    assert found["ratio"].to_dict() == pytest.approx(
        {
            ("threads", 1, 64): 1, ("threads", 2, 64): 1.8, ("threads", 1, 256): 1, ("threads", 2, 256): 1.9,
            ("batch_size", 1, 64): 1, ("batch_size", 1, 256): 1.5,
            ("batch_size", 2, 64): 1, ("batch_size", 2, 256): 2850 / 1800,
        }
    )  # fmt: skip
    grown = found[found["ratio"] != 1]
    assert (grown["ratio_low"] <= grown["ratio"]).all()
    assert (grown["ratio_high"] >= grown["ratio"]).all()
    assert found.loc[("threads", 2, 256), "base_value"] == 1


def test_nothing_to_compare_is_no_row() -> None:
    """One value of each, failed launches, or values that only different modes have."""
    failed = launches_of({(2, 64): 1.0}, status="failed")
    other = [row | {"mode": "compiled"} for row in launches_of({(2, 64): 1.0})]

    assert frame(launches_of({(1, 64): 1000.0}) + failed + other).empty


def test_table_has_a_line_an_entrant_and_fits() -> None:
    """Columns are the values; the first is images a second, the others say by how much that grows."""
    speeds = {(t, b): 1000.0 * t * b**0.5 for t in (1, 2) for b in (32, 64, 256, 1024)}
    out = io.StringIO()

    run_tables.show_scaling(Console(file=out, width=80, highlight=False), frame(launches_of(speeds)))

    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["batch"] * 4 in lines
    assert ["entrant", "32", "64", "256", "1024"] in lines
    assert [
        "torch",
        "eager",
        "2t",
        "11,657",
        *["x", "1.41", "±.00", "x", "2.83", "±.00", "x", "5.66", "±.00"],
    ] in lines
    assert ["threads", "threads"] in lines
    assert ["entrant", "1", "2"] in lines
    assert ["torch", "eager", "b1024", "32,970", "x", "2.00", "±.00"] in lines


def test_efficiency_of_replicas() -> None:
    """The ratio over their number, its interval likewise; of batch sizes there is none."""
    rows = [
        {"run": "r", "backend": "torch", "mode": "eager", "status": "ok", "threads": 1, "batch_size": size,
         "replicas": count, "round": number, "train_images_per_s": speed * 1.01**number}
        for (count, size), speed in {(1, 64): 100.0, (2, 64): 150.0, (4, 64): 200.0, (1, 256): 110.0}.items()
        for number in range(1, 6)
    ]  # fmt: skip
    found = frame(rows)

    replicas = found[found["dimension"] == "replicas"].set_index("replicas")
    assert dict(replicas["efficiency"]) == {1: 1.0, 2: pytest.approx(0.75), 4: pytest.approx(0.5)}
    assert replicas["efficiency_low"][2] == pytest.approx(replicas["ratio_low"][2] / 2)
    assert found["efficiency"][found["dimension"] == "batch_size"].isna().all()
    out = io.StringIO()
    run_tables.show_scaling(Console(file=out, width=80, highlight=False), frame(rows))
    assert "x 1.50 ±.00, 75%" in out.getvalue()
    assert "efficiency, the speed of k replicas over k times that of one" in out.getvalue()
