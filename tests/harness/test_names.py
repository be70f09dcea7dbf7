"""What the harness knows of a framework it learns from that framework's facts: no line of it names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "harness"
FRAMEWORKS = re.compile(r"torch|tensorflow|\bkeras\b|\bjax\b|mxnet|paddle|numba|\bnumpy\b", re.IGNORECASE)
# Where a name stands all the same, and why. Comments and docstrings may name what they tell of.
REASONS = {
    "commands/compare.py": "an example in the help", "commands/options.py": "examples in the help",
    "commands/report.py": "an example in the help", "commands/new_backend.py": "what --like knows",
    "commands/run.py": "examples in the help, and what --limit times",
    "commands/settings.py": "examples in messages", "commands/sweep_file.py": "an example in a message",
    "worker/facts.py": "an example in a message",
    "data/other_forms.py": "whose form a file has", "data/sources.py": "NumPy, which draws the digits",
    "doctor/yardsticks.py": "NumPy, which multiplies in a process of its own", "worker/peak.py": "NumPy's own BLAS",
    "proof/kept.py": "the reference's version", "proof/starts.py": "the reference's version",
    "proof/posing.py": "the reference", "proof/rounding.py": "the reference",
    "report/names.py": "networks of documents", "spec/networks.py": "networks of documents",
    "spec/recipes.py": "recipes of documents", "spec/published.py": "what documents trained their networks in",
    "results/schema.py": "the dictionary of columns", "runs/interpreters.py": "NumPy, which every worker needs",
    "runs/wheels.py": "why a framework needs an old Python: its NumPy",
}  # fmt: skip


def names_in(file: Path) -> list[str]:
    """Lines of code, but for docstrings, in which a framework is named."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = [
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
    ]
    found = []
    for node in ast.walk(tree):
        text = str(getattr(node, "value", "")) if isinstance(node, ast.Constant) else ""
        text += getattr(node, "id", "") + getattr(node, "attr", "")
        if node not in documented and FRAMEWORKS.search(text):
            found.append(f"line {getattr(node, 'lineno', 0)}: {text[:60]!r}")
    return found


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_framework_is_named(file: Path) -> None:
    """Each exception has a reason, and is one."""
    found = names_in(file)

    assert bool(found) == (str(file.relative_to(ROOT)) in REASONS), found
