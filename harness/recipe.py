"""What trains a network: optimizer, its constants, batch size, epochs, initialiser. Standard library only."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum on the mean cross-entropy of a batch.

    The learning rate is constant within an epoch and multiplied by `decay` after each.
    Per parameter w with gradient g of the mean loss (for the last, smaller batch too):
    v <- momentum * v + g;  w <- w - learning_rate * v;  v starts at 0.
    Source of the form: Sutskever et al. 2013 as PyTorch, Optax and Paddle write it. Keras and MXNet keep
    the learning rate inside v; their backends scale v when it changes, which makes the two forms equal.

    Attributes:
        learning_rate: of the first epoch.
        learning_rate, momentum, decay: rounded to float32, because MXNet and Paddle hold them so even where they
            compute in float64; the others, and the reference, then take the same numbers.
        initialiser: `uniform-fan-in`: weights and biases uniform in +-1/sqrt(fan in), PyTorch's default.
    """

    name: str
    learning_rate: float
    momentum: float
    decay: float
    batch_size: int
    epochs: int
    initialiser: str = "uniform-fan-in"

    def __post_init__(self) -> None:
        for name in ("learning_rate", "momentum", "decay"):
            object.__setattr__(self, name, _float32(getattr(self, name)))

    def learning_rate_of(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0; a float32 value."""
        return _float32(self.learning_rate * self.decay**epoch)

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)


def _float32(value: float) -> float:
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return rounded


LENET5 = Recipe(name="lenet5", learning_rate=0.05, momentum=0.9, decay=0.5, batch_size=64, epochs=5)
