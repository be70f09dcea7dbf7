"""Stage `launches`: where the time of a step goes, and what no program for this card could do without."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.commands import Command, Ended, run, run_all
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import FRAMEWORKS, Cell, Trial, of_probe
from harness.spec import operations
from harness.spec.network import Flatten, Relu
from harness.spec.networks import get_network

BATCHES = (64, 1024, 8192)
FLOAT_BYTES = 4


def run_launches(trial: Trial) -> None:
    """Measure the card's ceilings, then trace the steps of every mode; the profiles are kept in profiles/."""
    ceilings = Command(
        "ceilings", ("-m", "benchmarks.gpu.probes.ceilings", trial.device), python=python_of("torch", trial)
    )
    how = run(ceilings, trial)
    found: dict[str, Any] = {}
    for values in how.found:
        found |= values
    if how.code != 0:
        trial.problem(f"The ceilings could not be measured: {how.fate}")
    trial.record("ceilings", found)
    trial.table("Ceilings of this card, measured", ["what", "value"], [[name, value] for name, value in found.items()])
    _floors(trial, found)
    _steps(trial)


def least_bytes(batch: int) -> int:
    """The fewest bytes that a training step of lenet5 moves where each layer goes through the card's memory, uncached.

    Each weight is read by the forward pass, by the backward pass and by the update, and written; its gradient is
    written and read; its momentum is read and written. The output of each convolution, pool and dense layer, a ReLU
    and all being part of it, is written, and read once by the next layer and once by the backward pass; its gradient
    is written and read. The images are read by the first layer and by the gradient of its weights.
    """
    network = get_network("lenet5")
    kept = sum(_size(row.output_shape) for row in network.summary() if not isinstance(row.layer, Relu | Flatten))
    return FLOAT_BYTES * (8 * network.parameters + batch * (5 * kept + 2 * _size(network.input_shape)))


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


def _floors(trial: Trial, found: dict[str, Any]) -> None:
    """Time of a step if only bytes, or only multiplications, took time."""
    per_image = operations.training(get_network("lenet5")).total
    rows: list[list[Cell]] = []
    for batch in BATCHES:
        moved, work = least_bytes(batch), batch * per_image
        bandwidth, rate = found.get("copy_gb_s"), found.get("float32_tflop_s")
        rows.append([
            batch, moved / 1e6, moved / bandwidth / 1e3 if bandwidth else None, work / 1e9,
            work / rate / 1e6 if rate else None,
        ])  # fmt: skip
    trial.table(
        "The least a step of lenet5 takes",
        ["batch", "MB moved", "us at this card's bandwidth", "GFLOP", "us at its float32 rate"],
        rows,
    )


def _steps(trial: Trial) -> None:
    rows: list[list[Cell]] = []

    def ended(command: Command, how: Ended) -> None:
        if how.code != 0:
            trial.problem(f"{command.name} could not be traced to the end: {how.fate}")
        for step in how.found:
            rows.append([
                command.name, step["mode"], step["feed"], step["batch_size"], step["step_us"], step["card_us"],
                step["card_us"] / step["step_us"], step["kernels"], step["copies"], step["calls"],
            ])  # fmt: skip
        header = [
            "backend", "mode", "feed", "batch", "step us", "card busy us", "share busy", "kernels", "copies",
            "calls that launch",
        ]  # fmt: skip
        trial.table("A step: untraced time; what the card did in it, traced", header, rows)
        trial.record("steps", rows)

    profiles = trial.folder / "profiles"
    profiles.mkdir(exist_ok=True)
    commands = [
        Command(name, ("-m", f"benchmarks.gpu.probes.{name}_launches", trial.device, str(profiles)),
                python=python_of(name, trial), variables=of_probe(trial.out))
        for name in FRAMEWORKS
    ]  # fmt: skip
    # One after the other: untraced times are measured, too.
    run_all(commands, trial, width=1, ended=ended)
