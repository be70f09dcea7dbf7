"""The walls between the rooms stand: each of the contracts in pyproject.toml is red where somebody walks through."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")
CONTRACTS = [
    each["name"] for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# Each is hidden in another way, or breaks another contract.
TRESPASSES = {
    "harness/runs/plan.py": "from harness.commands import options",
    "harness/spec/recipe.py": "def later():\n    from harness.runs import plan",
    "harness/results/folder.py": "import typing\nif typing.TYPE_CHECKING:\n    from harness.analysis import summary",
    "harness/errors.py": "from harness.spec import network",
    "backends/torch/model.py": "from harness.worker import job",
    "backends/jax/model.py": "from harness.errors import InputError",
    "harness/worker/batches.py": "from harness.data import idx",
    "harness/worker/steady.py": "def later():\n    import pandas",
    "harness/spec/start.py": "import psutil",
    "harness/proof/posing.py": "import torch",
    "backends/torch/weights.py": "from backends.jax import weights as others",
    "harness/proof/problem.py": "from harness.proof import rounding",
}  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    if not LINTER.exists():
        pytest.skip(f"import-linter is not installed here: there is no {LINTER.name} beside {sys.executable}")
    for name in ("harness", "backends"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def outcomes(folder: Path) -> dict[str, str]:
    """Contract -> KEPT or BROKEN."""
    done = subprocess.run(
        [LINTER, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
    )
    return dict(re.findall(r"^(.*) (KEPT|BROKEN)$", done.stdout, re.MULTILINE))


def test_nobody_walks_through_a_wall(copy: Path) -> None:
    """As the code is, every contract is kept."""
    assert outcomes(copy) == dict.fromkeys(CONTRACTS, "KEPT")


def test_every_wall_is_there(copy: Path) -> None:
    """With one import too many in twelve places, every contract is broken; so it is by a folder that is no room."""
    for name, line in TRESPASSES.items():
        with (copy / name).open("a") as file:
            file.write(f"\n{line}\n")

    assert outcomes(copy) == dict.fromkeys(CONTRACTS, "BROKEN")


def test_a_new_room_needs_its_place(copy: Path) -> None:
    """A folder that is not among the layers is refused."""
    (copy / "harness" / "cellar").mkdir()
    (copy / "harness" / "cellar" / "__init__.py").touch()

    assert outcomes(copy)[CONTRACTS[0]] == "BROKEN"
