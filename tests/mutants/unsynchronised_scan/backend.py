"""Hands over k steps as one piece of work, in the same time whatever k is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from backends.unsynchronised.backend import Backend as Unsynchronised

from backends.numpy.backend import Backend as Right
from backends.numpy.backend import Pair


class Backend(Unsynchronised):
    """The mutant."""

    def train_steps(self, batches: Sequence[Pair] | np.ndarray) -> Any:
        return self._queue.submit(Right.train_steps, self, batches)
