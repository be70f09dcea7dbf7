"""One stage after the other, each in a process of its own with a time limit; what it wrote remains, however it ends."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.gpu.commands import GRACE_S, end_tree
from benchmarks.gpu.stages import Stage
from benchmarks.gpu.summary import write_summary
from benchmarks.gpu.trial import ROOT, environment, read_json, write_json

# A stage is begun only where it has a chance to find out something.
LEAST_S = 10.0


def conduct(
    stages: Sequence[Stage],
    *,
    out: Path,
    device: str,
    budget_s: float,
    limits: dict[str, float],
    command: Callable[[Stage, float], list[str]],
) -> bool:
    """Carry out stages; return whether all ended well, with nothing that is not as it should be.

    Args:
        out: results; of what it holds of other stages nothing is touched.
        budget_s: seconds for all of them together, 0 for no such limit.
        limits: seconds of a stage, in place of its own.
        command: makes the command line of a stage with a time limit.
    """
    out.mkdir(parents=True, exist_ok=True)
    began, good = time.monotonic(), True
    for stage in stages:
        limit = limits.get(stage.name, stage.seconds if device == "gpu" else stage.rehearsal_s)
        left = budget_s - (time.monotonic() - began) if budget_s else math.inf
        if left < LEAST_S:
            outcome = {"status": "not begun", "seconds": 0.0, "limit_s": limit}
        else:
            limit = min(limit, left)
            print(f"== {stage.name}: {stage.title} (at most {limit:.0f} s)", flush=True)
            outcome = _carry_out(stage, command(stage, limit), out=out, limit_s=limit)
        good &= outcome["status"] == "ended"
        _keep(out / stage.name, outcome)
        write_summary(out, device=device)
        print(f"== {stage.name}: {outcome['status']} after {outcome['seconds']:.1f} s", flush=True)
    return good


def _keep(folder: Path, outcome: dict[str, object]) -> None:
    """Write a stage's outcome; that it was not begun says nothing where an earlier call did it."""
    folder.mkdir(exist_ok=True)
    if outcome["status"] != "not begun" or not (folder / "outcome.json").exists():
        write_json(folder / "outcome.json", outcome)


def _carry_out(stage: Stage, command: list[str], *, out: Path, limit_s: float) -> dict[str, object]:
    folder = out / stage.name
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(out), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            # A stage that heeds its limit ends by itself before this.
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_tree(process.pid, grace_s=GRACE_S)
            process.wait()
    problems = read_json(folder / "stage.json").get("problems", [])
    status = "cut off" if code is None else "failed" if code else "ended with problems" if problems else "ended"
    return {"status": status, "seconds": time.monotonic() - began, "limit_s": limit_s, "exit_code": code}
