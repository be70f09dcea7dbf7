"""Whether there is a GPU at all: asked of the system, before a framework takes ten seconds to find out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.errors import InputError
from harness.worker import catalogue
from harness.worker.job import Entrant

# What NVIDIA's drivers make on a server or desktop, under Windows' Linux, and on boards with the GPU on the chip.
CARDS = "dev/nvidia[0-9]*"
DEVICES = (CARDS, "dev/dxg", "dev/nvgpu*", "dev/nvhost-gpu", "proc/driver/nvidia/gpus/*")
HIDING = "CUDA_VISIBLE_DEVICES"


def check(entrants: Iterable[Entrant]) -> None:
    """Refuse entrants on a GPU where none can be seen.

    Of the five frameworks only, which take NVIDIA's: what others take is theirs to say.

    Raises:
        InputError: with what was looked for, or fewer than an entrant has replicas.
    """
    theirs = [each for each in entrants if each.device == "gpu" and each.backend in catalogue.FRAMEWORKS]
    asked, most = bool(theirs), max((each.replicas for each in theirs), default=0)
    reason = why_none() if asked else ""
    if reason:
        raise InputError(f"--device gpu: {reason} Leave --device out to run on the CPU; nvidia-smi lists the GPUs.")
    cards = count() if most > 1 else None
    if cards is not None and cards < most:
        raise InputError(f"--replicas {most} needs a GPU each, and there are {cards} (nvidia-smi -L). Give fewer.")


def count(root: Path = Path("/"), variables: Mapping[str, str] = os.environ) -> int | None:
    """How many GPUs can be used here; None where the system does not say."""
    shown = variables.get(HIDING)
    if shown is not None:
        return len([each for each in shown.split(",") if each.strip() not in ("", "-1")])
    return sum(1 for _ in root.glob(CARDS)) or None


def why_none(root: Path = Path("/"), variables: Mapping[str, str] = os.environ) -> str:
    """Why no GPU can be used here, a sentence; empty where there is one."""
    hidden = variables.get(HIDING)
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"{HIDING}={hidden!r} hides all GPUs."
    if any(True for pattern in DEVICES for _ in root.glob(pattern)):
        return ""
    return "there is no NVIDIA GPU here (no /dev/nvidia0 or the like): no driver, or a container without --gpus."
