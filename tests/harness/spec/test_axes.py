"""A framework's axes by their letters: the same bits come back, and a network computes the same in any order."""

from __future__ import annotations

import numpy as np
import pytest

from harness.spec.axes import Axes
from harness.spec.network import Conv, Dense, Flatten, MaxPool, Network
from harness.spec.networks import NETWORKS
from harness.spec.start import initial_weights

# No two sizes of one array are equal, so an axis in the wrong place is another shape.
SMALL = Network(
    name="small", input_shape=(2, 13, 11), classes=5, source="this test",
    layers=(Conv("conv1", 3, 4), MaxPool("pool1"), Flatten("flatten"), Dense("dense1", 5)),
)  # fmt: skip
ORDERS = [Axes(), Axes("nhwc", "hwio", "io"), Axes("nhwc", "ohwi", "oi"), Axes("nwhc", "whoi", "io")]


@pytest.mark.parametrize("axes", ORDERS, ids=str)
@pytest.mark.parametrize("network", [SMALL, *NETWORKS.values()], ids=lambda network: network.name)
def test_weights_come_back(network: Network, axes: Axes) -> None:
    """There and back changes no bit, no name, no order; what lies in memory is contiguous."""
    weights = initial_weights(network, seed=3)

    native = axes.to_native(network, weights)
    back = axes.to_canonical(network, native)

    assert list(back) == list(weights)
    for name, value in weights.items():
        assert native[name].flags.c_contiguous
        assert back[name].flags.c_contiguous
        np.testing.assert_array_equal(back[name], value)


@pytest.mark.parametrize("axes", ORDERS, ids=str)
def test_the_first_dense_layer_moves_with_the_images(axes: Axes) -> None:
    """Flattened images in the framework's order, times its weights, are canonical images times canonical weights."""
    random = np.random.default_rng(0)
    weights = initial_weights(SMALL, seed=3)
    shape = next(layer.flattened for layer in SMALL.weighted() if layer.flattened)
    assert sorted(shape) == [3, 4, 5]
    images = random.random((4, *shape), dtype=np.float32)

    native = axes.to_native(SMALL, weights)["dense1.weight"]
    native = native if axes.dense == "io" else native.T
    flat = axes.images_in(images).reshape(4, -1)

    np.testing.assert_allclose(flat @ native, images.reshape(4, -1) @ weights["dense1.weight"].T, rtol=1e-5)
    np.testing.assert_array_equal(axes.output(flat, shape), images.reshape(4, -1))


def test_kernels_lie_as_their_letters_say() -> None:
    """`hwio` is (height, width, in, out), `io` is (in, out), `nhwc` is (n, height, width, channels)."""
    axes = Axes("nhwc", "hwio", "io")
    weights = initial_weights(SMALL, seed=3)
    images = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)

    native = axes.to_native(SMALL, weights)

    assert native["conv1.weight"].shape == (4, 4, 2, 3)
    assert native["conv1.weight"][1, 2, 0, 1] == weights["conv1.weight"][1, 0, 1, 2]
    assert native["dense1.weight"].shape == weights["dense1.weight"].shape[::-1]
    assert axes.images_in(images)[1, 3, 6, 2] == images[1, 2, 3, 6]
    np.testing.assert_array_equal(axes.images_out(axes.images_in(images)), images)


def test_outputs_are_told_apart() -> None:
    """Images move, what Flatten made is reordered, units stay."""
    axes = Axes("nhwc")
    units = np.arange(6.0).reshape(2, 3)

    assert axes.output(np.zeros((2, 4, 5, 3)), (3, 4, 5)).shape == (2, 3, 4, 5)
    np.testing.assert_array_equal(axes.output(units, (7,)), units)


@pytest.mark.parametrize(
    ("letters", "said"),
    [
        ({"images": "nhw"}, "images are the letters nchw"),
        ({"images": "chwn"}, "n of images comes first"),
        ({"conv": "hwoo"}, "conv are the letters oihw"),
        ({"dense": "ab"}, "dense are the letters oi"),
    ],
)
def test_other_letters_are_refused(letters: dict[str, str], said: str) -> None:
    """With what came in."""
    with pytest.raises(ValueError, match=said) as refusal:
        Axes(**letters)

    assert repr(next(iter(letters.values()))) in str(refusal.value)
