"""What is counted of a profiler's events: kernels, copies, calls that launch, and how long the card was busy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Span = tuple[float, float]
COPIES = ("gpu_memcpy", "gpu_memset")
APIS = ("cuda_runtime", "cuda_driver")
# How calls are named that launch something; behind a graph's stands which one.
DRIVER_CALLS = ("cuLaunch", "cuGraphLaunch", "cudaLaunch", "cudaGraphLaunch")


def of_chrome_trace(events: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Of PyTorch's: `cat` says what an event is, `ts` and `dur` are microseconds."""
    kernels, copies, calls = [], [], 0
    for event in events:
        span = event.get("ts", 0.0), event.get("ts", 0.0) + event.get("dur", 0.0)
        if event.get("cat") == "kernel":
            kernels.append(span)
        elif event.get("cat") in COPIES:
            copies.append(span)
        elif event.get("cat") in APIS and "Launch" in event["name"]:
            calls += 1
    return _found(kernels, copies, calls)


def of_planes(planes: Iterable[Any]) -> dict[str, float]:
    """Of JAX's (XSpace): a plane for each device with a line for each stream, and planes of the host.

    XLA names the driver's call that launches a kernel after the kernel (xla/backends/profiler/gpu/cupti_tracer.cc), and
    gives all of the driver's calls a number by which they correlate with what the card did.
    """
    kernels, copies, names, driver = [], [], set(), []
    for plane in planes:
        for line in plane.lines:
            if plane.name.startswith("/device:GPU") and line.name.startswith("Stream"):
                for event in line.events:
                    span = event.start_ns / 1e3, (event.start_ns + event.duration_ns) / 1e3
                    copied = event.name.lower().startswith("mem")
                    (copies if copied else kernels).append(span)
                    names |= set() if copied else {event.name}
            elif plane.name.startswith("/host:"):
                driver += [event.name for event in line.events if "correlation_id" in dict(event.stats)]
    return _found(kernels, copies, sum(name in names or name.startswith(DRIVER_CALLS) for name in driver))


def union(spans: Iterable[Span]) -> float:
    """Length of what some spans (begin, end) cover together: kernels of two streams may overlap."""
    covered, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        if end > reached:
            covered += end - max(begin, reached)
            reached = end
    return covered


def _found(kernels: list[Span], copies: list[Span], calls: int) -> dict[str, float]:
    return {"kernels": len(kernels), "copies": len(copies), "calls": calls, "card_us": union(kernels + copies)}
