"""`lenet-bench gate` as a command: options, what it prints and writes, exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.commands import cli
from harness.gate import parts
from harness.gate.speed import Commit
from harness.proof import register
from harness.proof.problem import Check
from harness.proof.proving import Outcome, Subject
from harness.results.folder import frame_of, write_table
from harness.results.schema import BASELINE, BASELINE_VERSION
from harness.runs import launch, preparation
from harness.worker import catalogue

ROW = {
    "schema_version": BASELINE_VERSION, "backend": "numpy", "framework_version": "1.0", "network": "lenet5",
    "data_set": "drawn-digits", "data_sha256": "0" * 64, "recipe": "lenet5", "batch_size": 64, "dtype": "float32",
    "epoch": 2, "seeds": 10, "test_accuracy_mean": 0.9, "test_accuracy_sd": 0.002, "test_accuracy_min": 0.898,
}  # fmt: skip
Gate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gate(made_up: Any, tiny_commands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Gate:
    """Return a function that calls the gate on made-up launches, which reach 0.9, and returns exit code and output."""
    path = tmp_path / "accuracy.csv"
    write_table(path, frame_of([ROW, ROW | {"backend": "twin", "framework_version": "0.1"}], BASELINE))

    def call(*arguments: Any, mean: float = 0.9) -> tuple[int, str, str]:
        if mean != 0.9:
            changed = {"backend": "twin", "test_accuracy_mean": mean, "test_accuracy_min": mean - 0.002}
            write_table(path, frame_of([ROW, ROW | changed], BASELINE))
        options = ["--baseline", path, "--results-dir", tmp_path / "results"]
        monkeypatch.setattr("sys.argv", ["lenet-bench", "gate", *map(str, [*arguments, *options])])
        code = cli.command_line()
        return code, *capsys.readouterr()

    return call


def test_line_a_backend_and_notes(gate: Gate, made_up: Any) -> None:
    """Two seeds of two epochs each, a line a backend that fits the terminal, and a note on other versions."""
    code, out, _ = gate("-b", "numpy,twin")

    assert code == 0
    assert [job.epochs for job in made_up.jobs] == [2] * 4
    lines = out.splitlines()
    # t(0.9995, 9) = 4.781 and t(1 - 0.00025, 9) = 5.291 (scipy.stats.t.ppf).
    # The mean may lose 0.7406 points, the next tenth fails.
    noticed = "a loss of 0.8 points or more would have failed"
    assert lines[0] == f"passed numpy: accuracy 90.00 % ({noticed}), on drawn-digits"
    assert lines[1].startswith("passed twin: ")
    assert f"numpy 1.0 (here {catalogue.installed_version('numpy')}), twin 0.1" in lines[2]


@pytest.mark.parametrize("bad", [False, True])
def test_reports_are_written_in_any_case(gate: Gate, bad: bool, tmp_path: Path) -> None:
    """Markdown and JUnit XML, whether the gate passes or not; exit code 1 where it does not."""
    summary, junit = tmp_path / "summary.md", tmp_path / "gate.xml"

    code, out, err = gate("-b", "numpy,twin", "--summary", summary, "--junit", junit, mean=0.95 if bad else 0.901)

    assert code == (1 if bad else 0)
    assert ("FAILED twin: accuracy 90.00 % BELOW its bound 94.26" in out) is bad
    assert ("The gate failed for twin (accuracy)" in err) is bad
    assert ("FAILED" in summary.read_text()) is bad
    suite = ElementTree.parse(junit).getroot()[0]
    assert [case.get("name") for case in suite.iter("testcase")] == ["numpy", "twin"]
    assert suite.get("failures") == str(int(bad))
    for named in (summary.read_text(), junit.read_text(), *out.splitlines()[:2]):
        assert "on drawn-digits" in named.replace("\\", "")


def test_nothing_stands_in(mutants: Path, empty_cache: Path, tmp_path: Path, call: Callable[..., Any]) -> None:
    """Where the data set cannot be had, or is there in another form, nothing is trained, and what was seen is named."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist.npz").write_bytes(b"")
    data = ["--data-dir", str(tmp_path / "data"), "--results-dir", str(tmp_path / "results"), "-b", "numpy"]
    known = str(Path(__file__).parents[3] / "results" / "baselines" / "accuracy.csv")
    for command in (
        ["gate", "--baseline", known],
        ["baseline", "update", "--yes"],
        ["reproduce", "folk"],
        ["run", "--rounds", "1"],
    ):
        code, out, err = call(*command, *data)
        assert code == 2
        assert "The data set 'mnist' cannot be had." in err
        assert f"Seen and not taken: {tmp_path / 'data' / 'mnist.npz'} (an archive of NumPy's" in err
        assert "drawn" not in out + err
    assert not list((tmp_path / "results").glob("*/launches.csv"))


def test_worker_that_died_is_3(gate: Gate, made_up: Any, tmp_path: Path) -> None:
    """Exit code 3 and an error in JUnit's terms, with the others' verdicts."""
    made_up.failing = {"twin eager": 1}

    code, out, err = gate("-b", "numpy,twin", "--junit", tmp_path / "gate.xml")

    assert code == 3
    assert "passed numpy: " in out
    assert "no result twin: accuracy not measured: a launch failed" in out
    assert "could not measure: twin (accuracy)" in err
    (error,) = ElementTree.parse(tmp_path / "gate.xml").getroot().iter("error")
    assert error.text == "twin eager has had enough"


def test_bad_report_file_is_refused_first(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 before anything is trained."""
    monkeypatch.setattr(launch, "WorkerProcess", None)

    code, _, err = gate("-b", "numpy", "--junit", tmp_path / "no" / "gate.xml")

    assert code == 2
    assert "no such folder" in err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("remove", "There is no baseline"),
        ("empty", "The baseline has 0 rows for backend=numpy"),
        ("data", "was measured on other bytes of drawn-digits"),
    ],
)
def test_baseline_that_does_not_fit_is_2(
    gate: Gate, change: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file, no row for what was asked, other data: exit code 2 and a sentence, before anything is trained."""
    path = tmp_path / "accuracy.csv"
    rows = {"empty": [], "data": [ROW | {"data_sha256": "f" * 64}]}
    if change == "remove":
        path.unlink()
    else:
        write_table(path, frame_of(rows[change], BASELINE))
    monkeypatch.setattr(launch, "WorkerProcess", None)

    code, _, err = gate("-b", "numpy")

    assert code == 2
    assert message in " ".join(err.split())
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("checks", "status", "code"),
    [
        ([], "has a certificate", 0),
        ([Check("loss", 0.0, 1.0)], "verified now", 0),
        (
            [Check("loss", 2.0, 1.0)],
            "passed numpy: accuracy 90.00 % (a loss of 0.8 points or more would have failed), on drawn-digits\n"
            "FAILED numpy: verification FAILED, on drawn-digits\n",
            1,
        ),
        ([Check("launch", float("nan"), 0.0)], "no result numpy: ", 3),
    ],
)
def test_verification_is_a_kind_of_verdict(
    gate: Gate, checks: list[Check], status: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--verify: passed with or without a certificate, failed with its words, or no result where the launch failed."""

    def verify_missing(plan: Any, *, pythons: Any) -> list[Outcome]:
        subject = Subject(plan.entrants[0], plan.recipe)
        return [Outcome(subject, 0, checks, ["the loss is twice"], "1.0", "", {})] if checks else []

    monkeypatch.setattr(register, "verify_missing", verify_missing)
    found, out, _ = gate("-b", "numpy", "--verify", "--summary", tmp_path / "s.md")

    assert found == code
    assert status in out + (tmp_path / "s.md").read_text()
    assert ("the loss is twice" in (tmp_path / "s.md").read_text()) is (code > 0)


@pytest.mark.parametrize(("strict", "code"), [(False, 0), (True, 1)])
def test_speed_that_cannot_tell_warns(
    gate: Gate, made_up: Any, tiny_dataset: Any, strict: bool, code: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Passes with a warning that says how many rounds more would tell; with --strict exit code 1."""
    monkeypatch.setattr(parts, "check_out", lambda ref, folder: Commit(ref, "a" * 40, folder))
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    options = ["--speed", "--against", "main", "--rounds", "3", *(["--strict"] if strict else [])]

    found, out, err = gate("-b", "numpy", *options, "--junit", tmp_path / "gate.xml")

    assert found == code
    assert out.startswith("passed numpy: accuracy 90.00 %")
    assert re.search(
        r"^cannot tell numpy: (.+: )?speed \d\.\d+ times that of aaaaaaaaaa \(.+, limit 0\.950\)", out, re.M
    )
    assert "4 in all (--rounds 4)." in out
    assert ("--strict asks for more" in err) is strict
    tags = {child.tag for case in ElementTree.parse(tmp_path / "gate.xml").getroot().iter("testcase") for child in case}
    assert tags == {"system-out", "failure" if strict else "skipped"}
    assert {job.entrant.variant for job in made_up.jobs} == {"", "at aaaaaaaaaa"}


@pytest.mark.parametrize(("margin", "code"), [(5, 0), (2, 1)])
def test_margin_decides(
    gate: Gate, made_up: Any, tiny_dataset: Any, margin: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that is 4 % slower passes at 5 % and fails at 2 %."""
    monkeypatch.setattr(parts, "check_out", lambda ref, folder: Commit(ref, "a" * 40, folder))
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    made_up.speeds = {"numpy eager": 960.0}

    found, out, _ = gate("-b", "numpy", "--speed", "--against", "main", "--rounds", "4", "--margin", margin)

    assert found == code
    assert ("limit 0.980): SLOWER" in out) is (code == 1)
