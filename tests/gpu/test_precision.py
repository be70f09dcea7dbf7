"""Products are as exact as the precision says, by the backend's own switches: no variable helps here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend as Reference
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights

WEIGHTS = initial_weights(get_network("lenet5"), seed=0)
Batch = tuple[np.ndarray, np.ndarray]
# Largest error over largest value of the gradients: float32 comes to some 1e-6, TF32 and bfloat16 to 1e-3 and more.
EXACT, ROUNDED = 3e-5, 1e-4


@pytest.fixture(autouse=True)
def no_override() -> None:
    assert "NVIDIA_TF32_OVERRIDE" not in os.environ, "this variable would hide what the backend does by itself"


@pytest.fixture(scope="session")
def exact(batches: list[Batch]) -> dict[str, np.ndarray]:
    """Gradients in float64, on the CPU."""
    reference = Reference(
        network=get_network("lenet5"),
        recipe=LENET5,
        mode="eager",
        feed="host",
        device="cpu",
        dtype="float64",
        threads=1,
    )
    reference.load_weights(WEIGHTS)
    images, labels = batches[0]
    return reference.gradients((images.astype(float), labels))


def error(make: Callable[..., Any], exact: dict[str, np.ndarray], batch: Batch, dtype: str) -> float:
    backend = make(dtype=dtype)
    backend.load_weights(WEIGHTS)
    images, labels = batch
    found = backend.gradients(
        backend.put(images=images.astype("float64" if dtype == "float64" else "float32"), labels=labels)
    )
    return max(float(np.abs(found[name] - exact[name]).max() / np.abs(exact[name]).max()) for name in exact)


def test_float32_is_float32(make: Callable[..., Any], exact: dict[str, np.ndarray], batches: list[Batch]) -> None:
    """Neither convolutions nor dense layers are multiplied in TF32, which both frameworks would do in places."""
    assert error(make, exact, batches[0], "float32") < EXACT


def test_tf32_is_tf32(card: None, make: Callable[..., Any], exact: dict[str, np.ndarray], batches: list[Batch]) -> None:
    """What --tf32 asks for happens."""
    assert ROUNDED < error(make, exact, batches[0], "tf32") < 0.1


def test_bfloat16_is_bfloat16(make: Callable[..., Any], exact: dict[str, np.ndarray], batches: list[Batch]) -> None:
    """Mixed precision multiplies short numbers."""
    assert ROUNDED < error(make, exact, batches[0], "bfloat16") < 0.3


def test_float64_is_float64(make: Callable[..., Any], exact: dict[str, np.ndarray], batches: list[Batch]) -> None:
    """To the last bits."""
    assert error(make, exact, batches[0], "float64") < 1e-12
