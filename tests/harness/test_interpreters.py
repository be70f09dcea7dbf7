"""Which Python runs which backend: the map that nox keeps, a GPU's own wheels, what to do where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from harness import interpreters
from harness.errors import InputError
from harness.interpreters import MAP_VARIABLE, find, read_map, record


@pytest.fixture(autouse=True)
def own_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map of this test's own."""
    path = tmp_path / "folder" / "interpreters.json"
    monkeypatch.setenv(MAP_VARIABLE, str(path))
    return path


def test_recorded_interpreter_is_found(own_map: Path) -> None:
    """The map is made where there is none, keeps what it had, and says where an interpreter came from."""
    record("numpy", sys.executable)
    record("torch", "/somewhere/python")

    found = find("numpy")

    assert read_map() == {"numpy": sys.executable, "torch": "/somewhere/python"}
    assert (found.path, found.source, found.version) == (sys.executable, str(own_map), np.__version__)


def test_a_gpu_has_its_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a GPU the environment with its wheels comes first, and where there is none the other."""
    monkeypatch.setattr(interpreters, "_version_in", lambda path, name: "1.0")
    record("numpy", "/cpu/python")

    assert find("numpy", device="gpu").path == "/cpu/python"
    record("numpy-gpu", "/gpu/python")
    assert find("numpy", device="gpu").path == "/gpu/python"
    assert find("numpy").path == "/cpu/python"


@pytest.mark.parametrize(
    ("device", "command"), [("cpu", "nox -s bench-paddle$"), ("gpu", "nox -s bench-paddle -- --device gpu$")]
)
def test_what_is_missing_is_a_command(device: str, command: str) -> None:
    """Where no interpreter has the framework, the sentence ends with what installs it."""
    with pytest.raises(InputError, match=r"paddlepaddle or paddlepaddle-gpu is not installed .*" + command):
        find("paddle", device=device)


def test_broken_map_is_a_sentence(own_map: Path) -> None:
    """Which file, and what to do."""
    own_map.parent.mkdir()
    own_map.write_text("[1]")

    with pytest.raises(InputError, match=r"is not a map of interpreters .* Delete it, and run nox again"):
        find("numpy")
