"""Stage `pose`: the reference's part of every proof, which needs no card, done once and kept for all that follow.

What is kept is in `cache/problems` and `cache/starts` of the results. It depends on NumPy's version and the code, and
not on the machine.
"""

from __future__ import annotations

from benchmarks.gpu.commands import Command, Ended, run_all
from benchmarks.gpu.trial import Cell, Trial

PRECISIONS = ("float32", "tf32", "bfloat16", "float64")


def run_pose(trial: Trial) -> None:
    """Choose images and measure tolerances in each precision, side by side."""
    rows: list[list[Cell]] = []

    def ended(command: Command, how: Ended) -> None:
        if how.code != 0:
            trial.problem(f"The problem in {command.name} is not kept, `verify` poses it again: {how.fate}")
        rows.append([command.name, "kept" if how.code == 0 else "not kept", how.seconds])
        trial.table("Problems that the reference has posed", ["precision", "outcome", "seconds"], rows)

    commands = [
        Command(precision, ("-m", "benchmarks.gpu.probes.posing", precision))
        for precision in (PRECISIONS[:1] if trial.rehearsal else PRECISIONS)
    ]
    run_all(commands, trial, width=len(commands), ended=ended, all_cpus=True)
