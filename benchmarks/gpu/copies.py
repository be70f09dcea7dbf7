"""Stage `copies`: would handing batches over in another way make PyTorch faster? In one process, in turns."""

from __future__ import annotations

from benchmarks.gpu.commands import Command, run
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import Cell, Trial


def run_copies(trial: Trial) -> None:
    """Time the variants at each batch size; ratios are to the backend's own way."""
    variables = {"NVIDIA_TF32_OVERRIDE": "0"}
    arguments = ("-m", "benchmarks.gpu.probes.torch_copies", trial.device)
    how = run(Command("copies", arguments, python=python_of("torch", trial), variables=variables), trial)
    rows: list[list[Cell]] = []
    for found in how.found:
        for name, step_us in found["step_us"].items():
            base = found["step_us"][found["base"][name]]
            rows.append([found["batch_size"], name, step_us, found["base"][name], found["ratio"][name], base / step_us])
    header = ["batch", "variant", "step us", "base", "ratio by turn", "ratio of medians"]
    trial.table("PyTorch, host feed: speed over the backend's own way", header, rows)
    trial.record("rows", rows)
    if how.code != 0:
        trial.problem(f"The variants could not all be timed: {how.fate}")
