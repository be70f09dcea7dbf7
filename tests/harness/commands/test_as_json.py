"""JSON of `verify`, `gate` and `doctor`: one object, the fields that docs/json.md has, the same exit codes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.statistics import Interval
from harness.commands import as_json, cli
from harness.commands import doctor as doctor_command
from harness.doctor.checks import Finding
from harness.gate import speed, verdicts
from harness.gate.verdicts import Accuracy
from harness.proof import proving
from harness.proof.outcome import Outcome, Subject
from harness.proof.problem import Check
from harness.results.folder import frame_of, write_table
from harness.results.schema import BASELINE
from harness.spec.recipes import LENET5
from tests.harness.commands.test_gate import ROW

PAGE = (Path(__file__).parents[3] / "docs" / "json.md").read_text(encoding="utf-8")
Json = Callable[..., tuple[int, dict[str, Any], str]]


def documented(section: str) -> set[str]:
    """The fields of a section, with those that all three have."""
    parts = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    return set(re.findall(r"^\| `([^`]+)` \|", parts["In all three"] + parts[section], re.MULTILINE))


def fields_of(value: Any, name: str = "") -> Iterator[str]:
    """Every field, `verdicts[].kind` say; what is in `figures` under its own name."""
    for key, each in value.items():
        yield f"{name}{key}"
        for one in each if isinstance(each, list) else [each]:
            if isinstance(one, dict):
                yield from fields_of(one, "" if key == "figures" else f"{name}{key}[].")


@pytest.fixture
def call_json(
    mutants: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Json:
    """Return a function that calls a command with --format json: exit code, object, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, dict[str, Any], str]:
        monkeypatch.setattr(sys, "argv", ["lenet-bench", *arguments, "--format", "json"])
        code = cli.command_line()
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else {}, err

    return call


@pytest.mark.parametrize(("mean", "status", "code"), [(0.901, "passed", 0), (0.95, "FAILED", 1)])
def test_gate(call_json: Json, made_up: Any, tmp_path: Path, mean: float, status: str, code: int) -> None:
    """Passed or failed: verdicts with their figures, and the exit code as without it."""
    row = ROW | {"test_accuracy_mean": mean, "test_accuracy_min": mean - 0.002}
    write_table(tmp_path / "accuracy.csv", frame_of([row], BASELINE))

    found, answer, err = call_json("gate", "-b", "numpy", "--baseline", "accuracy.csv")

    assert (found, answer["exit_code"], answer["status"]) == (code, code, status)
    (verdict,) = answer["verdicts"]
    assert (verdict["backend"], verdict["kind"], verdict["status"]) == ("numpy", "accuracy", status)
    assert verdict["figures"]["test_accuracy"] == pytest.approx(0.9)
    assert ("loss_noticed_points" in verdict["figures"]) is (code == 0)
    assert set(fields_of(answer)) <= documented("gate")
    assert "The baseline was measured with numpy 1.0" in " ".join(answer["notes"])
    assert "numpy eager" in err


def test_gates_fields_are_those_of_the_page() -> None:
    """Those of accuracy and of speed together are all that the page has."""
    passed = Accuracy("numpy", 2, 2, 0.9, 0.899, 0.9, 0.89, 0.88).verdict()
    timed = speed.judge("numpy", Interval(1.0, 0.99, 1.01, 5), margin=0.05, against="x")
    answer = {"json_version": 1, "lenet_bench": "", "command": "gate", "status": "", "exit_code": 0, "notes": [],
              "verdicts": [vars(passed), vars(timed)]}  # fmt: skip

    assert set(fields_of(answer)) == documented("gate")


def test_gate_that_cannot_run_prints_nothing(call_json: Json, made_up: Any) -> None:
    """Exit code 2, the sentence on standard error, no half of an object."""
    code, answer, err = call_json("gate", "-b", "numpy", "--baseline", "none.csv")

    assert (code, answer) == (2, {})
    assert "There is no baseline none.csv" in err


@pytest.mark.parametrize(("errors", "code"), [((0.5,), 0), ((0.5, float("nan")), 1)])
def test_verify(
    call_json: Json, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_entrant: Any, errors: Any, code: int
) -> None:
    """Every check with its numbers, null where there is none; the certificate is written all the same."""
    checks = [Check(f"quantity {number}", error, 1.0) for number, error in enumerate(errors)]
    outcome = Outcome(Subject(make_entrant(), LENET5), 0, checks, ["It begins here."] * code, "1.0", "a", {})
    monkeypatch.setattr(proving, "verify", lambda *_, **__: iter([outcome]))

    found, answer, _ = call_json("verify", "-b", "numpy")

    assert (found, answer["exit_code"]) == (code, code)
    assert answer["status"] == ("FAILED" if code else "passed")
    assert set(fields_of(answer)) == documented("verify")
    (told,) = answer["outcomes"]
    assert [each["error"] for each in told["checks"]] == [0.5, None][: len(errors)]
    assert told["passed"] is (code == 0)
    assert (tmp_path / answer["certificate"]).exists()


def test_doctor(call_json: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found, and how much of it is to be mended."""
    found = [Finding("weather", "sunny", "good"), Finding("noise", "loud", "bad", "Be quiet.", "It is quieter.")]
    monkeypatch.setattr(doctor_command, "examine", lambda *_, **__: found)

    code, answer, _ = call_json("doctor", "-b", "numpy")

    assert code == 0
    assert answer["to_mend"] == 1
    assert answer["findings"][1]["advice"] == "Be quiet."
    assert set(fields_of(answer)) == documented("doctor")


@pytest.mark.parametrize("command", [["verify", "-b", "numpy"], ["gate", "-b", "numpy"], ["doctor"]], ids=str)
def test_another_format_is_refused_first(call_json: Json, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """With what there is, before any work."""
    monkeypatch.setattr(sys, "argv", ["lenet-bench", *command, "--format", "jsn"])

    assert cli.command_line() == 2


def test_what_json_does_not_have_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """Infinities and not-a-number, however deep."""
    as_json.show("gate", {"a": [float("inf"), {"b": float("nan"), "c": (1, 2.5, True, None, "x")}]})

    assert json.loads(capsys.readouterr().out)["a"] == [None, {"b": None, "c": [1, 2.5, True, None, "x"]}]
    assert verdicts.exit_code([]) == 0
