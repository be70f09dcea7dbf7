"""One training step in each mode: (images, labels) -> loss, the update done."""

from __future__ import annotations

from collections.abc import Callable

import torch

Pair = tuple[torch.Tensor, torch.Tensor]
MeanLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Before a capture, kernels choose their algorithms and allocators fill: PyTorch's notes on CUDA graphs run three.
STEPS_BEFORE_CAPTURE = 3


def make_step(
    mode: str, mean_loss: MeanLoss, optimizer: torch.optim.Optimizer, factor_of: Callable[[int], float]
) -> Step:
    """Return the step of a mode.

    Args:
        mode: a key of MODES.
        mean_loss: mean cross-entropy of a batch, compiled where that is the mode.
        factor_of: what the mean loss of so many images is multiplied by before its gradient is taken.
    """

    def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = mean_loss(images, labels)
        factor = factor_of(len(labels))
        (loss if factor == 1 else loss * factor).backward()
        optimizer.step()
        return loss.detach()

    return _Captured(step) if mode == "cuda-graph" else step


class _Captured:
    """A step that is captured as a CUDA graph for each batch size, and replayed from then on.

    The first steps of a batch size run as they are, on the stream that captures later. They are steps like any other,
    so nothing is trained twice. A captured step reads its batch from where the captured one lay; its learning rate
    is a tensor, so that a new one is seen.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._stream = torch.cuda.Stream()
        self._done: dict[int, int] = {}
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Pair, torch.Tensor]] = {}

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        size = len(images)
        if self._done.get(size, 0) < STEPS_BEFORE_CAPTURE:
            self._done[size] = self._done.get(size, 0) + 1
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                loss = self._step(images, labels)
            torch.cuda.current_stream().wait_stream(self._stream)
            return loss
        if size not in self._graphs:
            graph, batch = torch.cuda.CUDAGraph(), (images.clone(), labels.clone())
            with torch.cuda.graph(graph, stream=self._stream):
                loss = self._step(*batch)
            self._graphs[size] = graph, batch, loss
        graph, batch, loss = self._graphs[size]
        batch[0].copy_(images)
        batch[1].copy_(labels)
        graph.replay()
        # The next replay writes to the same place.
        return loss.clone()
