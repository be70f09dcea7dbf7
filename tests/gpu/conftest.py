"""Tests that need a GPU, in a framework's own interpreter: `pytest tests/gpu --backend torch`, or jax.

LENET_BENCH_TEST_DEVICE=cpu runs those that can also be run on a CPU, for a rehearsal.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

# Before a framework is imported: two of them would otherwise want the same card's memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.worker import catalogue

Batch = tuple[np.ndarray, np.ndarray]
DEVICE = os.environ.get("LENET_BENCH_TEST_DEVICE", "gpu")
# What differs in how steps are made; the others differ in what is compiled, for minutes, and `verify` runs them.
MODES = {"torch": ("eager", "channels-last", "cuda-graph"), "jax": ("jit", "epoch")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What frameworks warn of while they compile is not ours to mend."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def backend_name(pytestconfig: pytest.Config) -> str:
    name = pytestconfig.getoption("--backend") or "torch"
    if catalogue.installed_version(name) is None:
        pytest.skip(f"{name} is not installed here")
    return name


@pytest.fixture(scope="session")
def backend_class(backend_name: str) -> Any:
    """The class, whose framework can use the device; a test is skipped, with the reason, where it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(f"backends.{backend_name}.backend").Backend
    if DEVICE not in found.devices():
        pytest.skip(f"{backend_name} finds no GPU here: it can use {', '.join(found.devices())}")
    return found


@pytest.fixture
def card(backend_class: Any) -> None:
    """For tests that have no sense on a CPU."""
    if DEVICE != "gpu":
        pytest.skip("needs a GPU: this is a rehearsal on a CPU")


@pytest.fixture(scope="session")
def make(backend_class: Any, backend_name: str) -> Callable[..., Any]:
    """Return a function that builds the backend in its default mode; keywords override the defaults.

    It is built once for all tests, which load weights before they use it: compiling takes most of their time. A test
    that changes its methods asks for one that is `fresh`.
    """
    built: dict[str, Any] = {}

    def build(*, fresh: bool = False, **changes: Any) -> Any:
        options = {
            "network": get_network("lenet5"), "recipe": LENET5, "feed": "host", "device": DEVICE, "dtype": "float32",
            "threads": 1, "mode": next(iter(catalogue.modes(backend_name, DEVICE))),
        } | changes  # fmt: skip
        if fresh:
            return backend_class(**options)
        key = str(sorted(changes.items()))
        if key not in built:
            built[key] = backend_class(**options)
        else:
            # Precisions are switches of the process, which the last one built has set.
            backend_class(**options)
        return built[key]

    return build


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `any_mode` in those of the backend's modes that are in MODES."""
    if "any_mode" in metafunc.fixturenames:
        name = metafunc.config.getoption("--backend") or "torch"
        wanted = MODES.get(name, ()) if DEVICE == "gpu" else MODES.get(name, ())[:1]
        metafunc.parametrize("any_mode", [mode for mode in catalogue.modes(name, DEVICE) if mode in wanted])


@pytest.fixture(scope="session")
def batches() -> list[Batch]:
    """Twelve batches of 64 random images, float32, and labels, int32."""
    random = np.random.default_rng(0)
    return [
        (random.random((64, 1, 32, 32), dtype=np.float32), random.integers(0, 10, 64).astype(np.int32))
        for _ in range(12)
    ]
