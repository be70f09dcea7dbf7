"""What backends have in common, seen in one that lays images out as N,H,W,C and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harness.spec.axes import Axes
from harness.spec.common import CommonBackend
from harness.spec.network import Dense, Flatten, MaxPool, Network

NETWORK = Network(
    name="small", input_shape=(3, 4, 6), classes=2, source="this test",
    layers=(MaxPool("pool1"), Flatten("flatten"), Dense("dense1", 2)),
)  # fmt: skip


class Lists(CommonBackend):
    """Its arrays are NumPy's; a loss is how many images a step saw."""

    axes = Axes(images="nhwc", conv="hwio", dense="io")

    def native(self, value: np.ndarray) -> np.ndarray:
        return value.copy()

    def host(self, value: np.ndarray) -> np.ndarray:
        return np.array(value)

    def step(self, images: np.ndarray, labels: np.ndarray) -> float:
        assert images.shape[1:] == (4, 6, 3)
        assert len(images) == len(labels)
        return float(len(images))

    def outputs(self, images: np.ndarray) -> Iterator[np.ndarray]:
        pooled = images[:, ::2, ::2]
        yield pooled
        yield pooled.reshape(len(images), -1)
        yield pooled.sum(axis=(1, 2))[:, :2]


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((8, 3, 4, 6), dtype=np.float32)


@pytest.mark.parametrize("feed", ["host", "device"])
def test_either_feed_reaches_the_steps_and_comes_back(feed: str, images: np.ndarray) -> None:
    """The same images, in the framework's order inside and canonical outside; batches of unlike sizes."""
    backend, labels = Lists(network=NETWORK, feed=feed, dtype="float32"), np.arange(8, dtype=np.int32)
    backend.use_dataset(backend.put(images=images, labels=labels))
    index = [np.array([1, 7, 3]), np.array([2, 2])]
    batches = index if feed == "device" else [(images[each], labels[each]) for each in index]

    losses = backend.to_numpy(backend.train_steps(batches))
    got = backend.read_back(batches[0])

    np.testing.assert_array_equal(losses, [3, 2])
    np.testing.assert_array_equal(got[0], images[index[0]])
    np.testing.assert_array_equal(got[1], labels[index[0]])


def test_outputs_are_canonical(images: np.ndarray) -> None:
    """Images as N,C,H,W, what Flatten made in C,H,W order, units as they are, by the layers' names."""
    backend = Lists(network=NETWORK, feed="host", dtype="float32")

    found = backend.activations(backend.put(images=images, labels=np.zeros(8, np.int32))[0])

    assert list(found) == ["pool1", "flatten", "dense1"]
    np.testing.assert_array_equal(found["pool1"], images[:, :, ::2, ::2])
    np.testing.assert_array_equal(found["flatten"], images[:, :, ::2, ::2].reshape(8, -1))


def test_a_layer_that_outputs_leaves_out_is_found(images: np.ndarray) -> None:
    """One output too few would give every layer behind it another's name."""

    class Short(Lists):
        def outputs(self, images: np.ndarray) -> Iterator[np.ndarray]:
            yield from list(super().outputs(images))[:-1]

    backend = Short(network=NETWORK, feed="host", dtype="float32")

    with pytest.raises(ValueError, match="shorter"):
        backend.activations(backend.put(images=images, labels=np.zeros(8, np.int32))[0])


def test_weights_are_of_the_precision_and_copies() -> None:
    """bfloat16 has float32 weights; training must not change what the harness handed over."""
    weights = {"dense1.weight": np.ones((2, 18), np.float64), "dense1.bias": np.zeros(2, np.float64)}
    backend = Lists(network=NETWORK, feed="host", dtype="bfloat16")

    native = backend.to_native(weights)
    native["dense1.bias"] += 1

    assert native["dense1.weight"].shape == (18, 2)
    assert {value.dtype.name for value in native.values()} == {"float32"}
    assert not weights["dense1.bias"].any()
    assert backend.to_canonical(native)["dense1.weight"].shape == (2, 18)


def test_a_cpu_is_all_there_is() -> None:
    """The defaults are of a backend without a GPU."""
    assert Lists.devices() == ["cpu"]
    assert Lists(network=NETWORK, feed="host", dtype="float32").memory() == (None, "cpu: see peak_rss_bytes")
