"""The count of false alarms: which trainings form a gate, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import gate_alarms
from harness.results.folder import frame_of
from harness.results.schema import BASELINE, BASELINE_VERSION, EPOCHS, SCHEMA_VERSION

KEYS = {
    "backend": "torch", "network": "lenet5", "data_set": "mnist", "recipe": "lenet5", "batch_size": 64,
    "dtype": "float32", "epoch": 2, "framework_version": "1.0",
}  # fmt: skip


def test_gates_share_no_training() -> None:
    """Neighbouring seeds, each in one gate; a seed that is left over, or there twice, is in none or one."""
    row = KEYS | {
        "schema_version": BASELINE_VERSION, "data_sha256": "f" * 64, "seeds": 10, "test_accuracy_mean": 0.98,
        "test_accuracy_sd": 0.002, "test_accuracy_min": 0.977,
    }  # fmt: skip
    accuracies = {7: 0.98, 3: 0.96, 5: 0.95, 4: 0.98, 6: 0.99}
    rows: list[dict[str, Any]] = [
        KEYS | {"schema_version": SCHEMA_VERSION, "seed": seed, "test_accuracy": value}
        for seed, value in accuracies.items()
    ]

    found = gate_alarms.form_gates(frame_of([*rows, rows[0]], EPOCHS), frame_of([row], BASELINE), 2)

    assert [each.measured for each in found] == [pytest.approx(0.97), pytest.approx(0.97)]
    assert [each.least for each in found] == [0.96, 0.95]
    # t(0.9995, 9) = 4.781: the bound is 0.98 - 4.781 * 0.002 * sqrt(1/10 + 1/2) = 0.97259.
    assert [each.below for each in found] == [True, True]
    assert found[0].distance == pytest.approx(0.96 - found[0].floor)


def test_table_counts_alarms(capsys: pytest.CaptureFixture[str]) -> None:
    """Gates, alarms, the nearest miss in points, and how many gates of worse trainings are caught."""
    honest = [gate_alarms.Accuracy("torch", 2, 2, mean, mean, 0.98, 0.972, 0.968) for mean in (0.98, 0.975, 0.971)]
    lossy = [gate_alarms.Accuracy("torch", 2, 2, 0.96, 0.96, 0.98, 0.972, 0.968)] * 3

    gate_alarms.show({"torch": honest}, {"torch": lossy}, 1.0)

    out = capsys.readouterr().out
    assert out.splitlines()[2].split() == [
        "torch",
        "3",
        "1",
        "97.53",
        "97.20",
        "97.10",
        "96.80",
        "-0.10",
        "3",
        "of",
        "3",
    ]
    assert "-1: caught" in out
