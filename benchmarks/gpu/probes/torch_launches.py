"""`torch_launches DEVICE`: what PyTorch's profiler sees of a step, by CUPTI."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.probes.counting import of_chrome_trace
from benchmarks.gpu.probes.steps import traced


def trace(call: Callable[[], Any], device: str) -> dict[str, Any]:
    """Trace one call."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "gpu":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return of_chrome_trace(events)


if __name__ == "__main__":
    place = sys.argv[1]
    # The first trace starts CUPTI.
    trace(lambda: torch.zeros(1, device="cuda" if place == "gpu" else "cpu").sum().item(), place)
    traced("torch", place, lambda call: trace(call, place))
