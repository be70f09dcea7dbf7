"""Where a mistake reaches into a framework's own arithmetic, and the operations that such mistakes are written in.

Each framework's `native.py` has a class `Hooked`, the right backend with these hooks in it, and `OPS`, the operations
below in that framework.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Tensor = Any


class Ops(Protocol):
    """Operations on the framework's tensors."""

    def log_softmax(self, x: Tensor) -> Tensor:
        """(n, classes) -> the same."""

    def exp(self, x: Tensor) -> Tensor: ...

    def log(self, x: Tensor) -> Tensor: ...

    def clip(self, x: Tensor, low: float, high: float) -> Tensor: ...

    def pick(self, x: Tensor, labels: Tensor) -> Tensor:
        """(n, classes) and (n,) -> (n,)."""

    def mean_last(self, x: Tensor) -> Tensor:
        """(n, classes) -> (n,)."""

    def through(self, x: Tensor, dtype: str) -> Tensor:
        """Rounded to `float16`, `bfloat16` or `float32`, and back."""

    def above(self, x: Tensor, limit: float) -> Tensor:
        """1 where x is larger, else 0, in x's dtype."""

    def stop(self, x: Tensor) -> Tensor:
        """x, a constant for derivatives."""


@dataclass(frozen=True)
class Hooks:
    """What is changed.

    Attributes:
        logits: of training and of inference.
        losses: (logits, labels) -> the loss of each image, (n,), of which the mean is trained on.
        dropout: (x, what the right dropout made of it) -> what this one makes of it.
        clip: `norm`, `value`: gradients, at 1, by the framework's own function.
        keeps_gradients: those of a step are added to those of the one before.
        infers_in_training: inference drops as training does.
    """

    logits: Callable[[Ops, Tensor], Tensor] | None = None
    losses: Callable[[Ops, Tensor, Tensor], Tensor] | None = None
    dropout: Callable[[Ops, Tensor, Tensor], Tensor] | None = None
    clip: str = ""
    keeps_gradients: bool = False
    infers_in_training: bool = False


class Changed:
    """A module, or another namespace, of which some names mean something else."""

    def __init__(self, original: Any, **changes: Any) -> None:
        self.__dict__.update(changes)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)
