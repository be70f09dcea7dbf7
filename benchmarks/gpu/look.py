"""Stage `look`: what is there. What costs nothing is asked first, then the frameworks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from typing import Any

from benchmarks.gpu.card import Card
from benchmarks.gpu.commands import Command, Ended, run_all
from benchmarks.gpu.made_up_card import MadeUpNvml
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import FRAMEWORKS, Trial

PACKAGES = (
    "torch", "triton", "jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "flax", "optax", "numpy", "pandas",
    "scipy", "nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cublas", "plotly", "platformdirs", "pooch", "pytest",
)  # fmt: skip
VARIABLES = ("CUDA", "XLA", "JAX", "TORCH", "NVIDIA", "TRITON", "LD_LIBRARY_PATH", "PATH")
TOOLS = ("nvidia-smi", "nvcc", "ptxas", "gcc", "nsys", "ncu")


def run_look(trial: Trial) -> None:
    """Record card, machine, packages, variables; then what each framework says and how exact its products are."""
    card = card_of(trial)
    facts = card.facts() if card else {}
    trial.record("card", facts)
    trial.note(
        ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None) or "No card is found."
    )
    _nvidia_smi(trial)
    cpus = len(os.sched_getaffinity(0))
    trial.note(f"{platform.node()}, Linux {platform.release()}, Python {platform.python_version()}, {cpus} CPUs")
    trial.record("packages", {name: version for name in PACKAGES if (version := _version(name))})
    trial.record("variables", {key: value for key, value in os.environ.items() if key.startswith(VARIABLES)})
    trial.record("tools", {name: shutil.which(name) for name in TOOLS})
    commands = [
        Command(name, ("-m", "benchmarks.gpu.probes.sight", name, trial.device), python=python_of(name, trial))
        for name in FRAMEWORKS
    ]
    found: dict[str, dict[str, Any]] = {}

    def ended(command: Command, how: Ended) -> None:
        if how.code != 0:
            trial.problem(f"{command.name} could not be looked at: {how.fate}")
        found[command.name] = {}
        for values in how.found:
            found[command.name] |= values
        trial.record(command.name, found[command.name])
        _show(trial, found)

    run_all(commands, trial, width=len(commands), ended=ended)


def card_of(trial: Trial) -> Card | None:
    """The card, or a made-up one in a rehearsal; None, with a problem noted, where NVML does not answer."""
    try:
        return Card(MadeUpNvml() if trial.rehearsal else None)
    except OSError as error:
        trial.problem(f"NVML cannot be used: {error}")
        return None


def _nvidia_smi(trial: Trial) -> None:
    tool = shutil.which("nvidia-smi")
    if not tool:
        trial.note("There is no nvidia-smi on the PATH.")
        return
    with (trial.folder / "nvidia-smi.txt").open("w") as file:
        for options in ([], ["-q"]):
            try:
                subprocess.run([tool, *options], stdout=file, stderr=subprocess.STDOUT, timeout=10, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                trial.problem(f"nvidia-smi {' '.join(options)}: {error}")
    trial.note("What nvidia-smi says is in look/nvidia-smi.txt.")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _show(trial: Trial, found: dict[str, dict[str, Any]]) -> None:
    keys = list(dict.fromkeys(key for each in found.values() for key in each))
    trial.table(
        "What the frameworks say", ["", *found], [[key, *(each.get(key) for each in found.values())] for key in keys]
    )
