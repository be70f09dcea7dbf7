"""The same weights and the same orders of images everywhere, for ever."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from harness.errors import InputError
from harness.spec.network import Network
from harness.spec.networks import get_network
from harness.spec.start import batch_indices, epoch_order, initial_weights, weights_digest

LENET = get_network("lenet5")


@pytest.mark.parametrize(
    ("seed", "digest"),
    [
        (0, "3fbe125d7b5c5dbea52025fe88e709fcdf08a62cd27e1207c287e75efc9dda38"),
        (1, "d534c471b8a0755212d4a72f18376e379c06e7e82c0abb5ac00b0c35c824f512"),
    ],
)
def test_weights_have_the_bytes_they_always_had(seed: int, digest: str) -> None:
    """The digests are those that NumPy 1.23.5 and NumPy 2.4.6 gave."""
    assert weights_digest(initial_weights(LENET, seed=seed)) == digest


@pytest.mark.parametrize(
    ("count", "seed", "epoch", "digest"),
    [
        (60_000, 0, 0, "83a5c67da2eb3dbefca5af757fe0a3b9162980a300801bd344b79c2432145d4c"),
        (60_000, 0, 1, "2a5713181ac55968a2a4ff7b5cb3642b145df65d755a28db9e16eb4d2f918e88"),
        (60_000, 1, 0, "f0fa86e5569e22d249fbd0f830fca529c07333140f83acaf4bea85aa813c3e0e"),
        (650, 0, 0, "060c6fd07ee62ec5692604f2de1d5edd2abafbdef986738e27358097f21b00bf"),
    ],
)
def test_orders_have_the_bytes_they_always_had(count: int, seed: int, epoch: int, digest: str) -> None:
    """The digests are those that NumPy 1.23.5 and NumPy 2.4.6 gave, as 64-bit integers."""
    order = epoch_order(count, seed=seed, epoch=epoch)

    assert order.dtype == np.int64
    assert hashlib.sha256(order.tobytes()).hexdigest() == digest


@pytest.mark.parametrize("count", [1, 7, 650])
def test_order_is_a_permutation(count: int) -> None:
    """An order has every image once."""
    np.testing.assert_array_equal(np.sort(epoch_order(count, seed=4, epoch=2)), np.arange(count))


def test_orders_differ() -> None:
    """Every seed and every epoch has an order of its own, and none is the order of the file."""
    orders = {epoch_order(100, seed=seed, epoch=epoch).tobytes() for seed in range(5) for epoch in range(5)}

    assert len(orders) == 25
    assert np.arange(100).tobytes() not in orders


def test_weights_differ() -> None:
    """Another seed gives other values in every parameter, and no two parameters start alike."""
    first, second = initial_weights(LENET, seed=0), initial_weights(LENET, seed=1)

    for name, value in first.items():
        assert not (value == second[name]).any(), name
    assert len({value.ravel()[:6].tobytes() for value in first.values()}) == len(first)


def test_weights_fill_their_bounds() -> None:
    """Values are float32, uniform in plus or minus one over the root of the fan in, for biases too."""
    fan_in = {"conv1": 25, "conv2": 150, "dense1": 400, "dense2": 120, "dense3": 84}
    weights = initial_weights(LENET, seed=0)

    assert list(weights) == [f"{layer}.{part}" for layer in fan_in for part in ("weight", "bias")]
    for name, value in weights.items():
        bound = 1 / math.sqrt(fan_in[name.split(".")[0]])
        assert value.dtype == np.float32
        assert value.flags.c_contiguous
        assert np.abs(value).max() <= np.float32(bound)
        if value.size > 1000:
            assert value.min() < -0.99 * bound
            assert value.max() > 0.99 * bound
            assert abs(value.mean()) < 4 * bound / math.sqrt(3 * value.size)
            assert value.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def _values(initialiser: str, name: str, network: Network = LENET) -> np.ndarray:
    return initial_weights(network, seed=0, initialiser=initialiser)[name].astype(float)


def test_xavier_fills_its_bounds() -> None:
    """Weights are uniform in plus or minus the root of 6 over fan in + fan out, biases 0."""
    for name, fans in (("conv2.weight", 6 * 25 + 16 * 25), ("dense1.weight", 400 + 120)):
        bound = math.sqrt(6 / fans)
        values = _values("xavier", name)
        assert 0.99 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not _values("xavier", "dense1.bias").any()


def test_truncated_normal_is_truncated() -> None:
    """Standard deviation 0.1 cut at two of them, which leaves 0.088; biases 0.1."""
    values = _values("truncated-normal", "dense1.weight")

    assert np.abs(values).max() <= 0.2
    assert np.abs(values).max() > 0.199
    assert values.std() == pytest.approx(0.1 * 0.87962, rel=0.01)
    assert (_values("truncated-normal", "conv1.bias") == np.float32(0.1)).all()


def test_fan_in_of_a_sparse_convolution_is_each_maps_own() -> None:
    """Maps of C3 that see three, four and six of S2 have bounds of their own; what is not connected is 0."""
    original = get_network("lenet5-1998")
    c3 = _values("uniform-fan-in", "c3.weight", original)

    for channel, seen in ((0, 3), (8, 4), (15, 6)):
        bound = 1 / math.sqrt(seen * 25)
        assert 0.9 * bound < np.abs(c3[channel]).max() <= bound * (1 + 1e-6)
    assert (c3[0, 3:] == 0).all()
    assert np.abs(_values("uniform-fan-in", "s2.weight", original)).max() <= 0.5


def test_unknown_initialiser_is_named() -> None:
    """An initialiser that does not exist is refused with the list and the nearest name."""
    with pytest.raises(InputError, match=r"uniform-fan-inn.*There are: .*uniform-fan-in.*Did you mean"):
        initial_weights(LENET, seed=0, initialiser="uniform-fan-inn")


def test_last_batch_is_smaller() -> None:
    """Batches follow the order, each image once; the last one holds what is left."""
    order = epoch_order(650, seed=0, epoch=0)

    batches = list(batch_indices(order, 64))

    assert [len(batch) for batch in batches] == [64] * 10 + [10]
    np.testing.assert_array_equal(np.concatenate(batches), order)


def test_sizes_that_divide_leave_no_empty_batch() -> None:
    """640 images in batches of 64 are ten batches."""
    assert [len(batch) for batch in batch_indices(np.arange(640), 64)] == [64] * 10


def test_digest_sees_names_shapes_dtypes_and_bits() -> None:
    """The digest of weights changes with a name, a shape, a dtype and one bit, and not with the order of names."""
    weights = initial_weights(LENET, seed=0)
    digest = weights_digest(weights)
    bias = weights["dense3.bias"]
    nudged = bias.copy()
    nudged[0] = np.nextafter(nudged[0], np.float32(1))
    others = [
        {("dense4.bias" if name == "dense3.bias" else name): value for name, value in weights.items()},
        weights | {"dense3.bias": bias.reshape(2, 5)},
        weights | {"dense3.bias": bias.astype(np.float64)},
        weights | {"dense3.bias": nudged},
    ]

    assert weights_digest(dict(reversed(weights.items()))) == digest
    assert len({digest, *map(weights_digest, others)}) == 5
