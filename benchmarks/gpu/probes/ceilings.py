"""`ceilings DEVICE`: the card's own rates, as PyTorch reaches them: copies, products, launches, waiting."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

# A copy many times the caches; products that fill the card; a batch of 64 images.
COPY_BYTES = {"gpu": 2 << 30, "cpu": 16 << 20}
PRODUCT = {"gpu": 8192, "cpu": 384}
BATCH_SHAPE = (64, 1, 32, 32)
REPEATS = 8


def main() -> None:
    """Measure, and print a line of JSON after each."""
    device = sys.argv[1]
    place = torch.device("cuda" if device == "gpu" else "cpu")
    wait: Callable[[], Any] = torch.cuda.synchronize if device == "gpu" else lambda: None

    def seconds(call: Callable[[], Any], calls: int = 1) -> float:
        call()
        found = []
        for _ in range(REPEATS):
            wait()
            start = time.perf_counter()
            for _ in range(calls):
                call()
            wait()
            found.append((time.perf_counter() - start) / calls)
        return statistics.median(found)

    _copy(COPY_BYTES[device], place, seconds)
    _products(device, place, seconds)
    number = torch.zeros(1, device=place)
    say(launch_us=seconds(lambda: number.add_(1), 200) * 1e6, waiting_for_nothing_us=seconds(wait, 200) * 1e6)
    _hand_over(device, place, seconds)


def _copy(count: int, place: torch.device, seconds: Callable[..., float]) -> None:
    source = torch.randint(0, 255, (count,), dtype=torch.uint8, device=place)
    target = torch.empty_like(source)
    # Read once and written once.
    say(copy_gb_s=2 * count / seconds(lambda: target.copy_(source)) / 1e9)


def _products(device: str, place: torch.device, seconds: Callable[..., float]) -> None:
    size = PRODUCT[device]
    left, right = (torch.randn(size, size, device=place) for _ in range(2))
    for name, dtype, tf32 in (
        ("float32", torch.float32, False), ("tf32", torch.float32, True), ("bfloat16", torch.bfloat16, False),
    ):  # fmt: skip
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = left.to(dtype), right.to(dtype)
        say(**{f"{name}_tflop_s": 2 * size**3 / seconds(lambda: a @ b) / 1e12})  # noqa: B023


def _hand_over(device: str, place: torch.device, seconds: Callable[..., float]) -> None:
    batch = torch.rand(BATCH_SHAPE)
    there = batch.to(place)
    say(hand_over_batch_us=seconds(lambda: there.copy_(batch), 50) * 1e6)
    if device == "gpu":
        pinned = batch.pin_memory()
        say(hand_over_pinned_batch_us=seconds(lambda: there.copy_(pinned, non_blocking=True), 50) * 1e6)
    say(fetch_batch_us=seconds(there.cpu, 50) * 1e6)


def say(**values: float) -> None:
    """Print one line of JSON."""
    print(json.dumps({name: float(f"{value:.4g}") for name, value in values.items()}), flush=True)


if __name__ == "__main__":
    main()
