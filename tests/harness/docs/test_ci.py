"""docs/ci.md, action.yml and the example workflow against each other and against the commands that they call."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness import errors
from harness.analysis.statistics import LEVEL, student
from harness.commands.cli import imported
from harness.commands.signals import INTERRUPTED
from tests.wheel.steps import Step, inputs, steps

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "example.yml").read_text(encoding="utf-8")
ALL = list(steps())


def test_page_has_every_input_with_its_default() -> None:
    """The table is the action's own list, in its order; defaults that are words are in words."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+?) \| .+ \|$", PAGE.partition("Outputs:")[0], re.MULTILINE)

    assert [name for name, _ in rows] == list(inputs())
    for name, said in rows:
        literal = re.fullmatch(r"`(.+)`", said)
        assert not literal or literal[1] == inputs()[name], name


def test_every_input_is_used_and_none_is_pasted_into_a_script() -> None:
    """Scripts take inputs from variables: what is pasted into a shell's text would be obeyed by it."""
    text = (ROOT / "action.yml").read_text(encoding="utf-8")

    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(inputs())
    assert not any("${{" in step.script for step in ALL)
    given = set(re.findall(r"^          ([a-z-]+): ", WORKFLOW, re.MULTILINE))
    assert given - set(inputs()) == {"fetch-depth", "name", "path"}


@pytest.mark.parametrize("step", ALL, ids=lambda step: step.name)
def test_scripts_are_bash(step: Step) -> None:
    """As bash reads them; and every variable that a script has of us is one that its step gives it."""
    done = subprocess.run(["bash", "-n"], input=step.script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

    used = set(re.findall(r"\$\{?([A-Z_]+)", step.script))
    assert {name for name in used if not name.startswith(("GITHUB_", "RUNNER_"))} <= set(step.variables)
    assert len(ALL) == 4


def test_commands_have_the_options_that_scripts_give() -> None:
    """Each `--option` of the gate's script, and of the page's examples."""
    options = {option for each in imported("gate").params for option in each.opts}
    script = next(step.script for step in ALL if step.name == "Gate")

    assert set(re.findall(r"--[a-z-]+", script)) <= options
    for line in re.findall(r"^lenet-bench (.+)$", PAGE, re.MULTILINE):
        command = imported(line.split()[0])
        assert set(re.findall(r"--[a-z-]+", line)) <= {option for each in command.params for option in each.opts}


def test_exit_codes_are_those_of_the_errors() -> None:
    """A row for each."""
    codes = {
        int(code) for code in re.findall(r"^\| (\d+)[ |]", PAGE.split("## Colours")[1].split("## ")[0], re.MULTILINE)
    }

    classes = (errors.LenetBenchError, errors.InputError, errors.Regression, errors.WorkerFailed)
    assert codes == {0, INTERRUPTED, *(each.exit_code for each in classes)}


def test_rounds_that_are_needed_are_computed() -> None:
    """The least number of rounds with which Student's interval is as wide as the margin, four at the least."""
    rows = re.findall(r"^\| ([\d.]+) % \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)

    assert len(rows) == 4
    for spread, *said in rows:
        for margin, rounds in zip((3, 5, 10, 20), map(int, said), strict=True):

            def half(count: int, spread: float = float(spread)) -> float:
                return float(student((1 + LEVEL) / 2, count - 1)) * spread / count**0.5

            assert half(rounds) <= margin / 2
            assert rounds == 4 or half(rounds - 1) > margin / 2


def test_noise_is_that_of_its_page() -> None:
    """The figures that the choice of a margin rests on."""
    noise = (ROOT / "docs" / "noise.md").read_text(encoding="utf-8")

    assert "differed by 1.4 to 2.0 %" in PAGE
    assert "twins differ by 1.4 % (PyTorch) and 2.0 % (JAX)" in noise
    assert "3.6 % beside other work" in PAGE
    assert "| median of pairs of turns, as `run` has it | 2.7 | 2.9 | 3.6 |" in noise
