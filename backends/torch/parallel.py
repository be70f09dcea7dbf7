"""The same with replicas: `torch.nn.parallel.DistributedDataParallel`, a process each, as PyTorch's guides teach.

Every replica has its part of the batch. DDP averages the gradients while the backward pass goes on; every process then
takes the same step of its own optimizer. See harness/spec/replicas.py for what is asked of a replica.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from backends.torch import backend as alone
from backends.torch import weights as table
from backends.torch.model import mixed
from backends.torch.steps import Pair
from harness.spec.replicas import Replica


class Backend(alone.Backend):
    """One replica of several."""

    def __init__(self, *, replica: Replica, device: str, dtype: str, **options: Any) -> None:
        self._replica = replica
        if device == "gpu":
            torch.cuda.set_device(replica.rank)
        _meet(replica, device)
        super().__init__(device=device, dtype=dtype, **options)
        # The order of bytes in the buckets is fixed by the first backward pass; buffers are constants of a network.
        ddp = DistributedDataParallel(self._model, gradient_as_bucket_view=True, forward_sync_buffers=False)
        self._train_forward = mixed(ddp) if self._mixed else ddp
        self._size = 0

    def _mean_loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self._train_forward(images)
        # The mean of nothing is no number; DDP waits for this replica all the same.
        return F.cross_entropy(logits, labels) if len(labels) else logits.sum()

    def _factor(self, images: int) -> float:
        """DDP takes the mean over replicas, and parts may be unequal."""
        return super()._factor(self._size) * self._replica.weight(self._size)

    def train_steps(  # type: ignore[override]
        self, batches: Sequence[alone.HostBatch] | np.ndarray, sizes: Sequence[int]
    ) -> list[torch.Tensor]:
        losses = []
        for size, (images, labels) in zip(sizes, self._batches(batches), strict=True):
            self._size = size
            losses.append(self._step(images, labels))
        return list(self._together(torch.stack(losses), sizes))

    def gradients(self, batch: Pair, size: int) -> dict[str, np.ndarray]:  # type: ignore[override]
        self._optimizer.zero_grad()
        (self._mean_loss(*batch) * self._replica.weight(size)).backward()
        return table.gradients(self._model)

    @torch.no_grad()
    def loss(self, batch: Pair, size: int) -> torch.Tensor:  # type: ignore[override]
        return self._together(self._mean_loss(*batch)[None], [size])[0]

    def _together(self, losses: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """Mean losses of parts -> those of the whole batches, in every replica."""
        weights = [self._replica.weight(size) / self._replica.count for size in sizes]
        losses = losses.detach() * torch.tensor(weights, dtype=losses.dtype, device=losses.device)
        dist.all_reduce(losses)
        return losses


def _meet(replica: Replica, device: str) -> None:
    """Join the others, once in a process."""
    if dist.is_initialized():
        return
    # All are on this machine. Gloo would look the machine's name up, which need not lead anywhere.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(replica.meeting, replica.count)
    dist.init_process_group(
        "nccl" if device == "gpu" else "gloo", store=store, rank=replica.rank, world_size=replica.count
    )
    # Every process begins with the same seed, and what is dropped in one replica has nothing to do with another's.
    torch.manual_seed(torch.initial_seed() + replica.rank)
