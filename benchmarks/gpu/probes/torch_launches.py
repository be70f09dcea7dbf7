"""`torch_launches DEVICE FOLDER`: what PyTorch's profiler sees of a step, by CUPTI; the profiles stay in the folder."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.probes.counting import of_chrome_trace
from benchmarks.gpu.probes.steps import traced


def trace(call: Callable[[], Any], device: str, kept: Path) -> dict[str, Any]:
    """Trace one call."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "gpu":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        call()
    profile.export_chrome_trace(str(kept))
    with gzip.open(kept, "rt", encoding="utf-8") as file:
        return of_chrome_trace(json.load(file)["traceEvents"])


if __name__ == "__main__":
    place, profiles = sys.argv[1], Path(sys.argv[2])

    def traced_into(call: Callable[[], Any], name: str) -> dict[str, Any]:
        return trace(call, place, profiles / f"{name}.json.gz")

    # The first trace starts CUPTI.
    traced_into(lambda: torch.zeros(1, device="cuda" if place == "gpu" else "cpu").sum().item(), "torch-nothing")
    traced("torch", place, traced_into)
