"""What all tests share: `--backend` chooses whose conformance is tested, and real MNIST is found or asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", default=None, help="test this backend, in its own environment (default: numpy)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: kills and cuts off real runs (20 s); all of them: nox -s faults")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; tests that need it skip where there is none."""
    value = os.environ.get("LENET_BENCH_DATA")
    if not value:
        pytest.skip("needs real MNIST: set LENET_BENCH_DATA to a folder that holds mnist/")
    return Path(value)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A session in which every test was skipped proves nothing, so it fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    outcomes = reporter.stats if reporter else {}
    if exitstatus == 0 and outcomes.get("skipped") and not outcomes.get("passed"):
        reporter.write_line("Every test was skipped: nothing was tested, so this session fails.", red=True)
        session.exitstatus = 1
