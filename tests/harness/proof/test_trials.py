"""Trials: what they are posed on, and what they find that the first hundred steps do not show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend
from harness.data.sources import Dataset
from harness.proof import trials
from harness.proof.starts import trained
from harness.proof.trials import LARGE_GRADIENTS, LEAST_LOSS, MOST_LOSS, OWN, Trials
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.worker import trials as worker_side
from harness.worker.job import Entrant

LENET = get_network("lenet5")


@pytest.fixture(scope="module")
def posed(tiny_dataset: Dataset) -> Trials:
    entrant = Entrant("numpy", "lenet5", "eager", "device", "cpu", "float32", 1, 24, "controlled")
    return trials.pose(LENET, LENET5, tiny_dataset, entrant, trained(LENET, LENET5, tiny_dataset))


def failing(posed: Trials, tmp_path: Path, backend_class: Any = Backend, feed: str = "host") -> set[str]:
    """The trials that a backend fails, in float32."""
    posed.write(tmp_path / "trials.npz", "float32")
    backend = backend_class(
        network=LENET, recipe=LENET5, mode="eager", feed=feed, device="cpu", dtype="float32", threads=1
    )
    backend.load_weights(posed.trials[0].start)
    found = worker_side.run(backend, tmp_path / "trials.npz", feed=feed)
    return {check.quantity.partition(":")[0] for check in posed.check(found) if not check.passed}


@pytest.mark.parametrize("feed", ["host", "device"])
def test_right_backend_passes(posed: Trials, tmp_path: Path, feed: str) -> None:
    """From either feed."""
    assert failing(posed, tmp_path, feed=feed) == set()


def test_large_gradients_are_large(posed: Trials) -> None:
    """A wrong label costs ten or more, no image's more than PaddlePaddle can say; the rate is a 64th."""
    hard = next(trial for trial in posed.trials if trial.name == LARGE_GRADIENTS)
    backend = Backend(network=LENET, recipe=LENET5, mode="eager", feed="host", device="cpu", dtype="float64", threads=1)
    backend.load_weights(hard.start)
    index = hard.calls[0][0]
    logits = backend.logits(posed.images[index].astype(float))
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(index)), posed.labels[index]]
    gradients = backend.gradients((posed.images[index].astype(float), posed.labels[index]))

    assert losses.mean() > LEAST_LOSS / 2
    assert losses.max() < MOST_LOSS
    assert np.sqrt(sum((gradient**2).sum() for gradient in gradients.values())) > 10
    assert hard.rate == LENET5.learning_rate / 64


def test_own_configuration_is_a_block_as_it_is_timed(posed: Trials) -> None:
    """Its batch size, its number of steps in one call, its images here and there in the data set."""
    own = next(trial for trial in posed.trials if trial.name == OWN)

    assert [call.shape for call in own.calls] == [(8, 24)]
    assert not np.array_equal(np.sort(own.calls[0], axis=None), own.calls[0].ravel())
    assert own.rate == LENET5.learning_rate


def clipped(step: Callable[..., Any], backend: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    loss, gradients = backend._loss_and_gradients(images, labels)
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
    factor = np.float32(min(1.0, 1.0 / norm))
    backend._optimizer.update(backend._parameters, {name: value * factor for name, value in gradients.items()})
    return loss


def guarded(step: Callable[..., Any], backend: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    loss = backend.loss((images, labels))
    return step(images, labels) if loss < 5 else loss


def in_ten_steps(step: Callable[..., Any], backend: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    backend.count = getattr(backend, "count", 0) + 1
    return step(images, labels) if backend.count <= 10 else np.float32(0.5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [(clipped, LARGE_GRADIENTS), (guarded, LARGE_GRADIENTS), (in_ten_steps, OWN)],
    ids=["clipped", "guarded", "ten steps"],
)
def test_mistakes_show(posed: Trials, tmp_path: Path, change: Any, expected: str) -> None:
    """Where they act."""

    class Wrong(Backend):
        def _step(self, images: np.ndarray, labels: np.ndarray) -> Any:
            return change(super()._step, self, images, labels)

    assert expected in failing(posed, tmp_path, Wrong)


def test_an_index_too_far_shows(posed: Trials, tmp_path: Path) -> None:
    """In the resident data set alone."""

    class Wrong(Backend):
        def _batch(self, batch: Any) -> Any:
            return super()._batch((batch + 1) % len(posed.labels) if isinstance(batch, np.ndarray) else batch)

    assert failing(posed, tmp_path, Wrong, feed="device") == {LARGE_GRADIENTS, OWN}
    assert failing(posed, tmp_path, Wrong, feed="host") == set()
