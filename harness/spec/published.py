"""What the source documents print of their trainings (documents.md, "Recipes and published figures")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One epoch of a document; None for what it does not print.

    Attributes:
        loss: mean over the epoch's images, nats.
        train_accuracy, test_accuracy: 0..1.
    """

    loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None


_FOLK = (
    (0.39701, 87.57), (0.10656, 96.69), (0.08275, 97.48), (0.06917, 97.87), (0.06041, 98.15), (0.05388, 98.35),
    (0.04801, 98.51), (0.04432, 98.62), (0.04174, 98.69), (0.03946, 98.75),
)  # fmt: skip

# Recipe -> epoch, counted from 1 -> what the document prints.
FIGURES: dict[str, dict[int, Published]] = {
    "folk": {
        epoch: Published(loss=loss, train_accuracy=percent / 100)
        for epoch, (loss, percent) in enumerate(_FOLK, start=1)
    },
    "gluon": {100: Published(loss=0.166341, test_accuracy=0.9112)},
    "tf1": {},
}
# The framework that a document used.
FRAMEWORKS = {"folk": "torch", "gluon": "mxnet", "tf1": "tensorflow"}


def any_train_accuracy(recipe: str) -> bool:
    """Whether the document prints accuracies on the training images."""
    return any(published.train_accuracy is not None for published in FIGURES[recipe].values())
