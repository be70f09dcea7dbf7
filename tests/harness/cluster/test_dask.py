"""Dask: not imported by anything else, missed with a sentence; and a sweep of real nodes, one of which is killed."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import dask_nodes, worker
from tests.cluster.kills import Trial, carry_out, faults

Call = Callable[..., tuple[int, str, str]]
SWEEP = "[[entrants]]\nbackend = 'numpy'\n[run]\nrounds = 2\nepochs = 0\n"
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs the extra cluster")


def test_nothing_else_imports_dask() -> None:
    """Not even the modules of the cluster, before one is asked for."""
    code = "import sys, harness.commands.run, harness.cluster.worker; sys.exit('dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0


def test_without_the_extra(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence with the command that installs it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    Path("sweep.toml").write_text(SWEEP)
    code, _, err = call("run", "sweep.toml", "--cluster", "local:2")
    assert (code, "Install it: pip install 'lenet-bench[cluster]'" in err) == (2, True)


def test_what_cannot_be_shared_out_is_refused(call: Call) -> None:
    """Rounds that are added; options without a sweep."""
    Path("sweep.toml").write_text(SWEEP.replace("rounds = 2\n", "").replace("'numpy'", "['numpy', 'twin']"))
    code, _, err = call("run", "sweep.toml", "--cluster", "local:1")
    assert (code, "--cluster needs a number of rounds" in err) == (2, True)
    code, _, err = call("run", "-b", "numpy", "--cluster", "local:1")
    assert (code, "--cluster shares out the rounds of a sweep" in err) == (2, True)
    assert not Path("results").exists()


@needs_dask
@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("tcp://127.0.0.1:9", "There is no Dask scheduler at tcp://127.0.0.1:9"),
        ("127.0.0.1:8786", "--cluster takes a scheduler's address or local:N, got '127.0.0.1:8786'"),
        ("local:0", "--cluster local:N takes 1 to "),
        ("local:x", "got local:x"),
        ("smoke://a", "There is no Dask scheduler at smoke://a"),
    ],
)
def test_a_cluster_that_is_not_there(call: Call, monkeypatch: Any, where: str, words: str) -> None:
    """Named, with what to do."""
    monkeypatch.setattr("harness.cluster.dask_nodes.CONNECT_S", 0.5)
    Path("sweep.toml").write_text(SWEEP)
    code, _, err = call("run", "sweep.toml", "--cluster", where)
    assert code == 2
    assert words in err


def test_a_worker_keeps_still() -> None:
    """One thread, one round, no limit of memory that would end it; what is given wins."""
    found = worker.arguments(["tcp://x", "--nthreads=2", "--dashboard"])
    assert found == [
        "tcp://x", "--nthreads=2", "--dashboard",
        "--nworkers", "1", "--memory-limit", "0", "--resources", "lenet-bench=1",
    ]  # fmt: skip
    assert worker.STILL["distributed.worker.profile.enabled"] is False


def test_files_of_the_documentation_start_nodes() -> None:
    """As Python, with the module and the resource that are there."""
    page = (Path(__file__).parents[3] / "docs" / "scale.md").read_text(encoding="utf-8")
    files = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(files) == 3
    for text in files:
        ast.parse(text)
        assert worker.__name__ in text
        assert f'"--resources", "{dask_nodes.RESOURCE}=1"' in text


@needs_dask
def test_a_killed_node_costs_its_round_alone(tmp_path: Path) -> None:
    """Scheduler and two nodes as processes: each row is there once, nothing is left. Longer: nox -s cluster-kills."""
    trial = Trial(tmp_path, seeds=1, rounds=6)
    assert carry_out(trial, kills=1, commands_killed=0) == 0
    assert faults(trial) == []
    assert [what for what, _ in trial.killed] in (["worker"], ["node"])
