"""The shell steps of action.yml, as they stand, with what GitHub gives them: inputs, outputs, files to write into.

Reads the few forms that our own file has; that the file is right as YAML and as an action, actionlint says.
"""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.wheel.building import ROOT

ACTION = ROOT / "action.yml"
INPUT = re.compile(r"^  ([a-z-]+):\n((?:    .*\n)+)", re.MULTILINE)
STEP = re.compile(r"^    - (.*\n(?:(?:      .*)?\n)*)", re.MULTILINE)
ENTRY = re.compile(r"^        ([A-Z_]+): \$\{\{ (inputs|steps)\.([\w.-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One with a shell script.

    Attributes:
        variables: name -> what it is: `inputs.epochs`, or `steps.code.outputs.folder`; of several the first.
    """

    name: str
    script: str
    variables: dict[str, str]


def inputs(text: str = "") -> dict[str, str]:
    """Input -> its default."""
    part = (text or ACTION.read_text(encoding="utf-8")).partition("\ninputs:\n")[2].partition("\noutputs:\n")[0] + "\n"
    found = {name: re.search(r"^    default: (.*)$", body, re.MULTILINE) for name, body in INPUT.findall(part)}
    return {name: default[1].strip('"') if default else "" for name, default in found.items()}


def steps() -> Iterator[Step]:
    """All steps that run a script, in their order."""
    text = ACTION.read_text(encoding="utf-8").partition("\n  steps:\n")[2]
    for body in STEP.findall(text):
        script = re.search(r"^      run: \|\n((?:(?:        .*)?\n)+)", body, re.MULTILINE)
        if script:
            name = re.search(r"name: (.*)$", body, re.MULTILINE)
            variables = {key: f"{kind}.{rest}" for key, kind, rest in ENTRY.findall(body)}
            yield Step(name[1] if name else "", textwrap.dedent(script[1]), variables)


@dataclass
class Runner:
    """What runs them: folders and files as a runner has them.

    Attributes:
        given: inputs that differ from their defaults.
        outputs: of the steps, all in one.
    """

    workspace: Path
    temporary: Path
    environment: dict[str, str]
    given: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)

    def run(self, step: Step) -> subprocess.CompletedProcess[str]:
        """Run one as GitHub runs `shell: bash`, and keep its outputs."""
        values = inputs() | self.given
        own = {
            name: values[what.removeprefix("inputs.")]
            if what.startswith("inputs.")
            else self.outputs[what.rpartition(".")[2]]
            for name, what in step.variables.items()
        }
        files = {name: str(self.temporary / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        Path(files["GITHUB_OUTPUT"]).write_text("")
        places = {
            "GITHUB_WORKSPACE": self.workspace,
            "GITHUB_ACTION_PATH": self.workspace,
            "RUNNER_TEMP": self.temporary,
        }
        (self.temporary / "step.sh").write_text(step.script)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.temporary / "step.sh")],
            cwd=self.workspace,
            env=os.environ | self.environment | {name: str(each) for name, each in places.items()} | files | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = Path(files["GITHUB_OUTPUT"]).read_text().splitlines()
        self.outputs |= {name: value for name, _, value in (line.partition("=") for line in lines)}
        return done
