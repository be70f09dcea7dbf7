"""`torch_copies DEVICE`: ways to hand a batch over to PyTorch, eager and captured, in one process, in turns of a block.

`pinned` copies each batch into page-locked memory first, as a loader does on other CPUs in good time and this does on
the clock, and then lets the card fetch it while Python goes on.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from backends.torch.model import build
from backends.torch.optimizer import make_optimizer
from backends.torch.steps import make_step
from benchmarks.gpu.probes.load import images_and_labels, pin
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5

STEPS = 20
BATCHES = {"gpu": (64, 1024), "cpu": (64,)}
TURNS = {"gpu": 25, "cpu": 3}
WARMUP = 2
# One is timed against the first of its kind.
EAGER, CAPTURED = "eager", "cuda-graph"
Batch = tuple[np.ndarray, np.ndarray]
Block = Callable[[list[Batch]], None]


class Hand:
    """Takes batches to the device in one way or another."""

    def __init__(self, device: torch.device, size: int) -> None:
        self.device = device
        pin = device.type == "cuda"
        # A buffer for each step of a block: none is written again before the card has read it.
        self._images = [torch.empty(size, 1, 32, 32, pin_memory=pin) for _ in range(STEPS)]
        self._labels = [torch.empty(size, dtype=torch.int64, pin_memory=pin) for _ in range(STEPS)]
        self._next = 0

    def over(self, images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """As backends/torch does it."""
        return (
            torch.from_numpy(images).to(self.device, torch.float32),
            torch.from_numpy(labels).to(self.device, torch.int64),
        )

    def widened_there(self, images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels as they are, widened on the device."""
        return torch.from_numpy(images).to(self.device), torch.from_numpy(labels).to(self.device).long()

    def pinned(self, images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Through page-locked memory, without waiting."""
        pair = self.in_pinned(images, labels)
        return pair[0].to(self.device, non_blocking=True), pair[1].to(self.device, non_blocking=True)

    def in_pinned(self, images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Copied into page-locked memory only."""
        place = self._next = (self._next + 1) % STEPS
        self._images[place].copy_(torch.from_numpy(images))
        self._labels[place].copy_(torch.from_numpy(labels))
        return self._images[place], self._labels[place]


class Captured:
    """A step captured once, whose batch is written straight into where the captured one lay."""

    def __init__(self, device: torch.device, size: int) -> None:
        step = _step(device, CAPTURED, raw=True)
        self.images = torch.rand(size, 1, 32, 32, device=device)
        self.labels = torch.zeros(size, dtype=torch.int64, device=device)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step(self.images, self.labels)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            self.loss = step(self.images, self.labels)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, *, non_blocking: bool) -> torch.Tensor:
        """Train on one batch of the host."""
        self.images.copy_(images, non_blocking=non_blocking)
        self.labels.copy_(labels, non_blocking=non_blocking)
        self._graph.replay()
        return self.loss.clone()


def _step(device: torch.device, mode: str, *, raw: bool = False) -> Callable[..., torch.Tensor]:
    model = build(get_network("lenet5"), device=device, dtype=torch.float32)
    optimizer = make_optimizer(model, LENET5, mode=mode)
    # `raw`: a step with a captured step's optimizer that nobody has captured yet.
    return make_step(EAGER if raw else mode, lambda x, y: F.cross_entropy(model(x), y), optimizer, LENET5)


def variants(device: torch.device, size: int) -> dict[str, tuple[str, Block]]:
    """Name -> what it is compared with, and a function that trains a block."""
    hand = Hand(device, size)

    def plain(mode: str, over: Callable[..., Any], *, search: bool = False) -> Block:
        step = _step(device, mode)

        def train(batches: list[Batch]) -> None:
            # cuDNN then times its algorithms for each new shape, once.
            torch.backends.cudnn.benchmark = search
            for batch in batches:
                step(*over(*batch))
            torch.backends.cudnn.benchmark = False

        return train

    found = {
        "eager": (EAGER, plain(EAGER, hand.over)),
        "eager, labels widened there": (EAGER, plain(EAGER, hand.widened_there)),
        "eager, pinned": (EAGER, plain(EAGER, hand.pinned)),
        "eager, cuDNN searches": (EAGER, plain(EAGER, hand.over, search=True)),
    }
    if device.type == "cuda":
        direct, through = Captured(device, size), Captured(device, size)

        def straight(batches: list[Batch]) -> None:
            for images, labels in batches:
                direct(torch.from_numpy(images), torch.from_numpy(labels), non_blocking=False)

        def straight_pinned(batches: list[Batch]) -> None:
            for batch in batches:
                through(*hand.in_pinned(*batch), non_blocking=True)

        found |= {
            "cuda-graph": (CAPTURED, plain(CAPTURED, hand.over)),
            "cuda-graph, straight": (CAPTURED, straight),
            "cuda-graph, straight, pinned": (CAPTURED, straight_pinned),
            "cuda-graph, cuDNN searches": (CAPTURED, plain(CAPTURED, hand.over, search=True)),
        }
    return found


def main() -> None:
    """Time every variant of each batch size; a line of JSON for each size."""
    pin()
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    name = sys.argv[1]
    device = torch.device("cuda" if name == "gpu" else "cpu")
    for size in BATCHES[name]:
        images, labels = images_and_labels(STEPS * size)
        batches = [(images[k * size :][:size], labels[k * size :][:size]) for k in range(STEPS)]
        print(json.dumps({"batch_size": size} | _timed(variants(device, size), batches, TURNS[name])), flush=True)


def _timed(found: dict[str, tuple[str, Block]], batches: list[Batch], turns: int) -> dict[str, Any]:
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    times: dict[str, list[float]] = {name: [] for name in found}
    order = random.Random(0)
    for turn in range(turns + WARMUP):
        for name in order.sample(list(found), len(found)):
            wait()
            start = time.perf_counter()
            found[name][1](batches)
            wait()
            if turn >= WARMUP:
                times[name].append((time.perf_counter() - start) / STEPS * 1e6)
    base = {name: each[0] for name, each in found.items()}
    return {
        "step_us": {name: statistics.median(each) for name, each in times.items()},
        "base": base,
        "ratio": {
            name: statistics.median(b / o for b, o in zip(times[base[name]], each)) for name, each in times.items()
        },
    }


if __name__ == "__main__":
    main()
