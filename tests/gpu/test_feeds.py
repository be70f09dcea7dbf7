"""Both feeds train the same, in every mode; what was loaded again is as it was the first time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.spec.networks import get_network
from harness.spec.start import initial_weights

WEIGHTS = initial_weights(get_network("lenet5"), seed=0)
Batch = tuple[np.ndarray, np.ndarray]
# Of float32 over a dozen steps, in whatever order a library sums.
CLOSE = 2e-4


def train(backend: Any, batches: Any) -> dict[str, np.ndarray]:
    backend.load_weights(WEIGHTS)
    backend.train_steps(batches)
    backend.synchronize()
    return backend.dump_weights()


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Largest difference over largest value of any weight."""
    return max(float(np.abs(one[name] - other[name]).max() / np.abs(one[name]).max()) for name in one)


def test_a_resident_data_set_trains_as_batches_handed_over(
    make: Callable[..., Any], batches: list[Batch], any_mode: str
) -> None:
    """The same images by index and by hand lead to the same weights."""
    handed_over = train(make(mode=any_mode), batches)
    resident = make(mode=any_mode, feed="device")
    resident.use_dataset(
        resident.put(images=np.concatenate([b[0] for b in batches]), labels=np.concatenate([b[1] for b in batches]))
    )
    index = np.arange(len(batches) * 64).reshape(len(batches), 64)

    indexed = train(resident, index)

    assert apart(handed_over, WEIGHTS) > 10 * CLOSE
    assert apart(handed_over, indexed) < CLOSE


def test_read_back_is_what_was_handed_over(make: Callable[..., Any], batches: list[Batch]) -> None:
    """From the device, bit by bit, through either feed."""
    for feed in ("host", "device"):
        backend = make(feed=feed)
        backend.use_dataset(backend.put(images=batches[0][0], labels=batches[0][1]))

        images, labels = backend.read_back(batches[0] if feed == "host" else np.arange(64))

        np.testing.assert_array_equal(images, batches[0][0])
        np.testing.assert_array_equal(labels, batches[0][1])


def test_training_twice_from_the_same_weights_is_the_same(
    make: Callable[..., Any], batches: list[Batch], any_mode: str
) -> None:
    """Loading forgets the momentum and the learning rate, also where a step was captured before."""
    backend = make(mode=any_mode)
    first = train(backend, batches)
    backend.set_learning_rate(0.5)
    backend.train_steps(batches)

    again = train(backend, batches)

    assert apart(first, again) < CLOSE


def test_a_learning_rate_of_zero_changes_nothing(make: Callable[..., Any], batches: list[Batch], any_mode: str) -> None:
    """The rate is no constant of what was compiled or captured."""
    backend = make(mode=any_mode)
    backend.load_weights(WEIGHTS)
    backend.train_steps(batches)
    backend.synchronize()
    before = backend.dump_weights()
    backend.set_learning_rate(0.0)

    backend.train_steps(batches)

    backend.synchronize()
    assert apart(before, backend.dump_weights()) == 0.0
