"""Two runs on one machine at the same time: said at the start, in the rows and below the table."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.results.folder import RunFolder
from harness.runs import live_runs
from tests.harness.busy import on_one_cpu

OTHER = """
import sys
from harness.runs.live_runs import announced
from harness.worker.controls import choose_cpus
with announced("the run ~/results/first", choose_cpus(1)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_told_of_the_first(
    small_cli: Callable[..., tuple[int, str, str]], tmp_path: Path, session_environment: dict[str, str]
) -> None:
    """It names the process, the folder and the CPU that both have; its rows count it, its table says so."""
    live = {"LENET_BENCH_LIVE_RUNS": str(tmp_path / "live")}
    options = (
        "run -b numpy --data-set drawn-digits --rounds 1 --epochs 0 --steady-s 0.1 --batch-size 8 "
        "--inference-sizes none --name second"
    )
    # Where there are other CPUs, the second run takes one of these (test_quiet.py).
    with on_one_cpu(), subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=session_environment | live,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        code, out, err = small_cli(*options.split(), **live)
        other.communicate("")

    assert code == 0
    told = " ".join(err.split())
    assert f"Process {other.pid} is at work on the run ~/results/first, pinned to CPU " in told
    assert "of which each has half" in told
    assert "NOT ALONE: another lenet-bench was at work on this machine beside 1 of 1 launches." in " ".join(out.split())
    assert RunFolder(tmp_path / "results" / "second").read("launches")["other_runs"].tolist() == [1]


def test_a_verification_is_seen_too(
    start_small_cli: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes as much of the machine as a run: whoever is timed beside it has a neighbour."""
    monkeypatch.setenv(live_runs.FOLDER_VARIABLE, str(tmp_path / "live"))
    process = start_small_cli("verify", "-b", "twin", LENET_BENCH_LIVE_RUNS=str(tmp_path / "live"))

    found: list[live_runs.LiveRun] = []
    while not found and process.poll() is None:
        time.sleep(0.05)
        found = live_runs.others() or []

    assert [(each.pid, each.what, len(each.cpus)) for each in found] == [(process.pid, "a verification", 1)]
