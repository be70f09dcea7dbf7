"""What is numba's alone: other processors' instructions, shapes, a few images at a time, and one thread."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend as Reference
from harness.spec.network import Conv, Dense, Flatten, MaxPool, Network, Relu
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights

LENET = get_network("lenet5")
# With AVX2, and with nothing but what every x86-64 has.
PROCESSORS = {
    "avx2": {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"},
    "sse2": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
}
# In a process of its own: what numba compiles for is decided when it is imported.
STEPS = """
import numpy as np
from backends.numba.backend import Backend
from backends.numpy.backend import Backend as Reference
from harness.spec.network import Conv, Dense, Flatten, MaxPool, Network, Relu
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
network = get_network("lenet5")
options = {"network": network, "recipe": LENET5, "feed": "host", "device": "cpu", "threads": 1}
images = np.random.default_rng(5).random((19, *network.input_shape), dtype=np.float32)
labels = np.arange(19, dtype=np.int32) % 10
kinds = ((Backend, "kernels", "float32"), (Reference, "eager", "float64"))
backend, expected = (kind(mode=mode, dtype=dtype, **options) for kind, mode, dtype in kinds)
for each in (backend, expected):
    each.load_weights(initial_weights(network, seed=3))
    each.train_steps([(images, labels)] * 2)
for name, value in expected.dump_weights().items():
    assert np.abs(backend.dump_weights()[name] - value).max() < 1e-5 * np.abs(value).max(), name
print(backend.describe()["layout"])
"""


@pytest.fixture(autouse=True)
def _numba_alone(backend_name: str) -> None:
    if backend_name != "numba":
        pytest.skip("of the backend numba alone")


@pytest.mark.parametrize(("processor", "lanes"), [("avx2", 8), ("sse2", 4)])
def test_other_processors_compute_the_same(processor: str, lanes: int) -> None:
    """With fewer and shorter registers, and without FMA, two steps lead to the reference's weights."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | PROCESSORS[processor] | {"PYTHONPATH": str(root)}

    done = subprocess.run([sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"images innermost, {lanes} a vector"


@pytest.mark.parametrize("count", [1, 3, 8, 9, 16, 17, 64, 70])
def test_any_number_of_images(made_once: Callable[..., Any], count: int) -> None:
    """Blocks, images one by one, and both together give the reference's logits."""
    images = np.random.default_rng(5).random((count, *LENET.input_shape), dtype=np.float32)
    expected = Reference(
        network=LENET, recipe=LENET5, mode="eager", feed="host", device="cpu", dtype="float64", threads=1
    )
    backend = made_once()
    for each in (backend, expected):
        each.load_weights(initial_weights(LENET, seed=3))

    logits = backend.logits(images)

    np.testing.assert_allclose(logits, expected.logits(images), atol=1e-6)


def test_put_aside_registers_are_aligned(made_once: Callable[..., Any]) -> None:
    """Kernels align their stack: otherwise a launch is as fast as the stack that it was given lies well."""
    kernels = made_once()._model.forward.kernels

    code = "".join(kernel._library.get_asm_str() for kernel in kernels)

    assert "(%rsp)" in code
    assert not re.search(r"vmov(dq)?u\w+\s+%[yz]mm\d+, -?\d*\(%rsp\)", code)


def test_pooled_convolutions_of_other_shapes(make: Callable[..., Any]) -> None:
    """Where pixels are left over, where kernels have no middle or one pixel, gradients are the reference's."""
    layers = []
    for size in (4, 3, 1):
        layers += [Conv(f"conv{size}", 5, size), Relu(f"relu{size}"), MaxPool(f"pool{size}")]
    network = Network("other", (2, 17, 15), (*layers, Flatten("flatten"), Dense("dense", 10)), 10, "a test")
    expected = Reference(
        network=network, recipe=LENET5, mode="eager", feed="host", device="cpu", dtype="float64", threads=1
    )
    backend = make(network=network, dtype="float64")
    images = np.random.default_rng(5).random((9, *network.input_shape))
    batch = images, np.arange(9, dtype=np.int32)
    for each in (backend, expected):
        each.load_weights(initial_weights(network, seed=3))

    gradients = backend.gradients(batch)

    for name, value in expected.gradients(batch).items():
        np.testing.assert_allclose(gradients[name], value, atol=1e-13 * np.abs(value).max())


def test_more_threads_are_refused(make: Callable[..., Any]) -> None:
    """The sentence says what there is."""
    with pytest.raises(ValueError, match="computes with one thread, got 2"):
        make(threads=2)
