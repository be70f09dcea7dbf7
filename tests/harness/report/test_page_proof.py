"""What the report's page shows of the proof: which verification it finds, and one whose launch failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.proof import register
from harness.proof.problem import Check
from harness.proof.proving import LAUNCH, Outcome, Subject
from harness.report.reading import read_report
from harness.report.sections import sections
from harness.results.folder import frame_of, write_table
from harness.results.schema import VERIFICATION
from harness.runs import code
from tests.harness.synthetic_run import write_run


def test_verification_whose_launch_failed_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one row, without a share of a tolerance: the report says FAILED, and nothing in place of the share."""
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    folder = write_run(tmp_path / "results" / "run", entrants=1, rounds=4)
    row = read_report(folder).launches.iloc[0]
    names = (
        "schema_version", "backend", "framework_version", "network", "mode", "device", "dtype", "threads", "recipe",
    )  # fmt: skip
    failed = {name: row[name] for name in names} | {
        "verified_utc": "2026-11-20T09:00:00+00:00", "quantity": LAUNCH, "error": float("nan"), "tolerance": 0.0,
        "passed": False,
    }  # fmt: skip
    beside = tmp_path / "results" / "2026-11-20T09-00-00-verify"
    beside.mkdir()
    write_table(beside / "verification.csv", frame_of([failed], VERIFICATION))

    (shown,) = proof_of(folder)

    cells = [cell.text for cell in shown.cells[3:]]
    assert cells == [f"FAILED 2026-11-20 ({beside.name}/verification.csv)", "–", "1"]  # noqa: RUF001


def test_verification_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a `verify` beside the run, else of the cache; nothing is claimed without either."""
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    folder = write_run(tmp_path / "results" / "run", entrants=2, rounds=4)
    report = read_report(folder)
    rows = {row.cells[0].text: [cell.text for cell in row.cells[2:]] for row in proof_of(folder)}
    assert all(row[:2] == ["yes", "none at hand: lenet-bench verify writes one"] for row in rows.values())

    entrant = report.plan.entrants[0]  # type: ignore[union-attr]
    subject, packages = Subject(entrant, report.plan.recipe), str(report.launches["packages_sha256"].iloc[0])  # type: ignore[union-attr]
    checks = [Check("logits", 0.25, 1.0)]
    register.keep(Outcome(subject, 0, checks, [], "2.13.0", packages, code.digests(entrant.backend)))
    known = {"schema_version": report.launches["schema_version"].iloc[0], "backend": "tensorflow", "mode": "graph",
             "framework_version": "2.21.0", "network": "lenet5", "device": "cpu", "dtype": "float32", "threads": 1,
             "recipe": "lenet5", "verified_utc": "2026-11-20T09:00:00+00:00"}  # fmt: skip
    checks = [known | {"quantity": name, "error": error, "tolerance": 1e-6, "passed": True}
              for name, error in (("logits", 2e-7), ("loss", 5e-7))]  # fmt: skip
    beside = tmp_path / "results" / "2026-11-20T09-00-00-verify"
    beside.mkdir()
    write_table(beside / "verification.csv", frame_of(checks, VERIFICATION))
    broken = tmp_path / "results" / "2026-11-21T09-00-00-verify"
    broken.mkdir()
    (broken / "verification.csv").write_text("half a fi")

    rows = {row.cells[0].text: [cell.text for cell in row.cells[2:]] for row in proof_of(folder)}
    assert rows["PyTorch (eager)"] == ["yes", f"passed, for code {code.digest('torch')[:12]}", "0.25", "–"]  # noqa: RUF001
    assert rows["TensorFlow (graph)"] == ["yes", f"passed 2026-11-20 ({beside.name}/verification.csv)", "0.50", "2"]


def proof_of(folder: Path) -> list[Any]:
    found = next(each for each in sections(read_report(folder)) if each.name == "verification")
    return found.tables[0].rows
