"""Builds the backend under test in this process: these tests run in that backend's environment."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.worker import catalogue

# What this process may use before it is pinned.
CPUS = os.sched_getaffinity(0)


def pytest_configure() -> None:
    """Pin this process to one CPU, as a launch with one thread is: JAX counts its threads by that."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def chosen(config: pytest.Config) -> str:
    """The backend under test: of `--backend`, or of `lenet-bench conform`."""
    return config.getoption("--backend", None) or os.environ.get("LENET_BENCH_CONFORM") or "numpy"


@pytest.fixture(scope="session")
def cpus() -> set[int]:
    """The CPUs that these tests had before they were pinned to one."""
    return CPUS


@pytest.fixture(scope="session")
def backend_name(pytestconfig: pytest.Config) -> str:
    return chosen(pytestconfig)


@pytest.fixture(scope="session")
def facts(backend_name: str) -> ModuleType:
    """What the backend says of itself; one that was named and whose framework is not installed is a failure."""
    module = catalogue.facts(backend_name)
    if catalogue.installed_version(backend_name) is None:
        wanted = " or ".join(module.DISTRIBUTIONS)
        pytest.fail(f"{wanted} is not installed here. Run: lenet-bench conform -b {backend_name}")
    return module


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What frameworks warn of while they compile is not ours to mend."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `any_mode` in every mode that the backend has on a CPU; with precision and feed, so that
    each mode meets both of each, and the default mode all four together: every combination compiles anew."""
    name = chosen(metafunc.config)
    modes, dtypes = list(catalogue.modes(name, "cpu")), catalogue.facts(name).DTYPES
    if {"any_mode", "dtype", "feed"} <= set(metafunc.fixturenames):
        cases = [("float32", "host"), ("float64", "device"), ("float32", "device"), ("float64", "host")]
        cases = [case for case in cases if case[0] in dtypes]
        found = [(mode, *case) for mode in modes for case in (cases if mode == modes[0] else cases[:2])]
        metafunc.parametrize(("any_mode", "dtype", "feed"), found)
    elif {"network", "dtype"} <= set(metafunc.fixturenames):
        found = metafunc.module.network_cases(dtypes)
        metafunc.parametrize(("network", "dtype"), found, ids=lambda value: getattr(value, "name", value))
    elif "any_mode" in metafunc.fixturenames:
        metafunc.parametrize("any_mode", modes)


@pytest.fixture(scope="session")
def make(backend_name: str, facts: ModuleType) -> Callable[..., Any]:
    """Return a function that builds the backend; keywords override the defaults."""
    with warnings.catch_warnings():
        # What frameworks warn of while they are imported (np.bool, a missing ccache) is not ours to mend.
        warnings.simplefilter("ignore")
        backend_class = catalogue.backend_class(backend_name)

    def build(**changes: Any) -> Any:
        return backend_class(**(defaults(facts) | changes))

    return build


@pytest.fixture(scope="session")
def made_once(make: Callable[..., Any], facts: ModuleType) -> Callable[..., Any]:
    """Return a function like `make` that builds each backend once, and hands it to every test that asks for the same.

    What one test had compiled is then there for the next. `load_weights` makes a backend as new, which
    `test_loading_weights_forgets_the_past` holds.
    """
    backends: dict[tuple[Any, ...], Any] = {}

    def build(**changes: Any) -> Any:
        key = tuple((defaults(facts) | changes).values())
        if key not in backends:
            backends[key] = make(**changes)
        return backends[key]

    return build


def defaults(facts: ModuleType) -> dict[str, Any]:
    """What a backend is built with where a test does not say otherwise."""
    return {
        "network": get_network("lenet5"),
        "recipe": LENET5,
        "mode": next(iter(facts.MODES)),
        "feed": "host",
        "device": "cpu",
        "dtype": "float32",
        "threads": 1,
    }
