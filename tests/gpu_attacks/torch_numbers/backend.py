"""One trick a mode; all but `update-skipped` are eager."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from backends.torch.backend import Backend as Right
from backends.torch.backend import HostBatch
from backends.torch.model import mixed

STEPS_BEFORE = 50
# Steps of a captured mode that are run as they are.
NOT_CAPTURED = 3
VERIFIED_FIRST = 32


class Backend(Right):
    """The cheat."""

    def __init__(self, *, mode: str, device: str, **options: Any) -> None:
        captured = mode == "update-skipped" and device == "gpu"
        super().__init__(mode="cuda-graph" if captured else "eager", device=device, **options)
        self._trick = mode
        self._steps = 0

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        super().load_weights(weights)
        if self._trick == "update-skipped" and not isinstance(self._optimizer.step, Skipping):
            self._optimizer.step = Skipping(self._optimizer.step)

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> list[torch.Tensor]:
        first = not self._steps
        self._steps += len(batches)
        late = self._steps > STEPS_BEFORE
        if self._trick == "tf32-late" and late:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        size = batches.shape[1] if isinstance(batches, np.ndarray) else len(batches[0][1])
        unseen = self._trick == "bfloat16-unless-verified" and first and size != VERIFIED_FIRST
        if (self._trick == "bfloat16-late" and late) or unseen:
            self._forward = mixed(self._model)
        return super().train_steps(batches)


class Skipping:
    """An optimizer's step that does nothing while it is captured; on a CPU, after as many steps as are not."""

    def __init__(self, right: Any) -> None:
        self._right, self._count = right, 0

    def __call__(self) -> None:
        self._count += 1
        on_card = torch.cuda.is_available()
        if torch.cuda.is_current_stream_capturing() if on_card else self._count > NOT_CAPTURED:
            return
        self._right()
