"""What trains a network: optimizer, its constants, schedule, batch size, epochs, initialiser. Standard library only.

The formulas are in docs/recipes.md; `backends/numpy/optimizer.py` is the reference.
"""

from __future__ import annotations

import math
import struct
from dataclasses import asdict, dataclass

OPTIMIZERS = ("sgd", "adam")
REDUCTIONS = ("mean", "sum", "nominal")
SCHEDULES = ("constant", "step", "cosine")
# Rounded to float32, because MXNet and Paddle hold them so even where they compute in float64; the others, and the
# reference, then take the same numbers.
_FLOAT32 = ("learning_rate", "momentum", "weight_decay", "beta1", "beta2", "epsilon", "decay")


@dataclass(frozen=True)
class Recipe:
    """Per parameter w, with g the gradient of the cross-entropy as `reduction` says, t the step counted from 1:

        g <- g + weight_decay * w          where the decay is coupled
        w <- w - lr * weight_decay * w     where it is decoupled

    sgd: v <- momentum * v + g;  w <- w - lr * v, or with nesterov w <- w - lr * (g + momentum * v);  v starts at 0.
        Sutskever et al. 2013 as PyTorch, Optax and Paddle write it: the learning rate is not in v. Keras and MXNet
        keep it there; their backends scale v when it changes, which makes the two forms equal.
    adam: m <- beta1 m + (1 - beta1) g;  s <- beta2 s + (1 - beta2) g^2;
        w <- w - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(s) + epsilon).
        Kingma and Ba 2015, the form at the end of section 2, as TensorFlow, Keras and MXNet write it: epsilon stands
        beside the root of s as it is, not beside the corrected one.

    Attributes:
        network, data_set: that it is meant for.
        learning_rate: of the first epoch.
        reduction: `mean` of the batch's losses; their `sum`; or `nominal`, the sum over `batch_size`, which is the
            mean but for the last, smaller batch.
        schedule: of the learning rate, which is constant within an epoch: `constant`; `step`, times `decay` after
            each epoch; `cosine`, from the first to 0 (Loshchilov and Hutter 2017, no restarts).
        epoch_steps: an epoch ends after so many steps, and the next goes on with the batches that follow; 0 for an
            epoch of every image once.
        initialiser: a key of `harness.spec.start.INITIALISERS`.
        source: where it comes from.
    """

    name: str
    learning_rate: float
    batch_size: int
    epochs: int
    network: str = "lenet5"
    data_set: str = "mnist"
    optimizer: str = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decoupled: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    reduction: str = "mean"
    schedule: str = "constant"
    decay: float = 1.0
    epoch_steps: int = 0
    initialiser: str = "uniform-fan-in"
    source: str = "ours"

    def __post_init__(self) -> None:
        for name in _FLOAT32:
            object.__setattr__(self, name, _float32(getattr(self, name)))
        for name, known in (("optimizer", OPTIMIZERS), ("reduction", REDUCTIONS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"A recipe's {name} is one of {', '.join(known)}, got {getattr(self, name)!r}.")

        if self.decoupled and self.optimizer != "adam":
            raise ValueError(f"Decoupled weight decay is of optimizer adam, got {self.optimizer!r}.")

    def learning_rate_of(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0; a float32 value."""
        if self.schedule == "step":
            return _float32(self.learning_rate * self.decay**epoch)
        if self.schedule == "cosine":
            return _float32(self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2)
        return self.learning_rate

    @property
    def data_set_asked(self) -> str:
        """The data set to ask for by name; empty for MNIST, in whose place drawn digits will do."""
        return "" if self.data_set == "mnist" else self.data_set

    def loss_factor(self, images: int) -> float:
        """What the mean loss of a batch of so many images is multiplied by before its gradient is taken."""
        if self.reduction == "mean":
            return 1.0
        return float(images) if self.reduction == "sum" else images / self.batch_size

    @property
    def coupled_decay(self) -> float:
        """The weight decay that belongs to the gradient; 0 where it is decoupled."""
        return 0.0 if self.decoupled else self.weight_decay

    @property
    def decoupled_decay(self) -> float:
        """The weight decay that does not go through the gradient; 0 where it is coupled."""
        return self.weight_decay if self.decoupled else 0.0

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)


def _float32(value: float) -> float:
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return rounded
