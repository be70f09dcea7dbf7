"""The wheel in an empty environment, used from another folder: every command that a user has, and no word of nox.

One long test (`nox -s tests-wheel`, some minutes); what is in the wheel is looked at in tests/harness/test_wheel.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.wheel.building import build, pip

DRAWN = ["--data-set", "drawn-digits"]
SMALL = ["--rounds", "1", "--epochs", "0", "--steady-s", "0.1", "--inference-sizes", "none", *DRAWN]


class Installed:
    """lenet-bench in an environment of its own, with a home and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "environment" / "bin" / "python"
        self.here = folder / "somewhere else"
        self.home = folder / "home"
        self.here.mkdir()
        self.home.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(folder / "environment")], check=True)
        pip(self.python, "install", "--quiet", str(build(folder / "wheel")))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LENET_BENCH_", "XDG_"))}
        kept.pop("PYTHONPATH", None)
        self.environment = kept | {"HOME": str(self.home), "LENET_BENCH_OFFLINE": "1", "COLUMNS": "120"}

    def call(self, *arguments: str, code: int = 0) -> str:
        """Call it; its output, in which nothing may send anybody to a noxfile or tell of a traceback."""
        command = [str(self.python.with_name("lenet-bench")), *arguments]
        done = subprocess.run(command, cwd=self.here, env=self.environment, capture_output=True, text=True, timeout=900)
        said = done.stdout + done.stderr
        assert done.returncode == code, (arguments, said)
        assert "nox" not in said, said
        assert "traceback" not in said.lower(), said
        return said


def test_every_command_works_from_elsewhere(tmp_path: Path) -> None:
    """Before a framework is installed, with one from `install`, and with that of its own environment."""
    tool = Installed(tmp_path)

    assert "none: lenet-bench install NAME installs one." in tool.call("list")
    assert "Install it with: lenet-bench install torch" in tool.call("run", "-b", "torch", code=2)
    assert "-m pip install torch" in tool.call("run", "-b", "torch", "--here", code=2)
    assert "mnist" in tool.call("baseline", "show", "-b", "torch,jax")
    assert "--against needs the repository" in tool.call("gate", "-b", "numpy", "--speed", "--against", "x", code=2)

    said = tool.call("install", "numpy")
    place = tool.home / ".local/share/lenet-bench/environments/numpy"
    assert f"MB in {place}" in said
    assert json.loads((place.parent.parent / "interpreters.json").read_text()) == {"numpy": f"{place}/bin/python"}
    assert "is there already" in tool.call("install", "numpy")

    assert "all 82 passed" in tool.call("verify", "-b", "numpy", *DRAWN)
    said = tool.call("run", "-b", "numpy", "--name", "own", *SMALL)
    assert "Results: results/own" in said
    (worker,) = json.loads((tool.here / "results/own/environment.json").read_text())["interpreters"].values()
    assert "environments/numpy" in json.dumps(worker)
    said = tool.call("run", "-b", "numpy", "--here", "--unverified", "--name", "here", *SMALL)
    (worker,) = json.loads((tool.here / "results/here/environment.json").read_text())["interpreters"].values()
    assert "environments/numpy" not in json.dumps(worker)

    assert "Wrote" in tool.call("report", "results/own")
    assert (tool.here / "results/own/report.html").stat().st_size > 100_000
    tool.call("compare", "results/own")
    assert "numpy threads" in tool.call("doctor", "-b", "numpy")

    few = ["--seeds", "2", "--epochs", "1", *DRAWN]
    said = tool.call("baseline", "update", "-b", "numpy", "--yes", *few)
    assert "Its other rows are those that lenet-bench came with." in said
    own = (tool.here / "results/baselines/accuracy.csv").read_text()
    assert ",numpy," in own
    assert ",torch," in own
    assert "numpy: accuracy" in tool.call("gate", "-b", "numpy", *few, "--junit", "gate.xml")
    assert (tool.here / "gate.xml").exists()
