"""Which Python runs which backend: the map that nox keeps, a GPU's own wheels, what to do where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.runs import interpreters
from harness.runs.entrants import make_entrants
from harness.runs.interpreters import MAP_VARIABLE, find, find_all, read_map, record


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
    monkeypatch.setattr(interpreters, "version_in", lambda path, name: "1.0")
    record("numpy", "/cpu/python")

    assert find("numpy", device="gpu").path == "/cpu/python"
    record("numpy-gpu", "/gpu/python")
    assert find("numpy", device="gpu").path == "/gpu/python"
    assert find("numpy").path == "/cpu/python"


def test_a_version_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version with GPU wheels is under both names together; its CPU build is not taken where that is there."""
    monkeypatch.setattr(interpreters, "version_in", lambda path, name: path.split("/")[2])
    record("torch", "/cpu/2.13.0/python")
    record("torch==2.12.1", "/cpu/2.12.1/python")
    assert find("torch", device="gpu", version="2.12.1").path == "/cpu/2.12.1/python"
    record("torch-gpu==2.12.1", "/gpu/2.12.1/python")

    assert find("torch", device="gpu", version="2.12.1").path == "/gpu/2.12.1/python"
    assert find("torch", version="2.12.1").path == "/cpu/2.12.1/python"
    assert find("torch").path == "/cpu/2.13.0/python"


@pytest.mark.parametrize(
    ("device", "command"), [("cpu", "nox -s bench-paddle$"), ("gpu", "nox -s bench-paddle -- --device gpu$")]
)
def test_what_is_missing_is_a_command(device: str, command: str) -> None:
    """Where no interpreter has the framework, the sentence ends with what installs it."""
    with pytest.raises(InputError, match=r"paddlepaddle or paddlepaddle-gpu is not installed .*" + command):
        find("paddle", device=device)


@pytest.mark.parametrize(
    ("device", "version", "command"),
    [("cpu", "", "lenet-bench install paddle"), ("gpu", "", "lenet-bench install paddle --device gpu"),
     ("cpu", "3.3.0", "lenet-bench install paddle --framework-version 3.3.0")],
)  # fmt: skip
def test_where_there_is_no_nox_the_tool_installs(
    monkeypatch: pytest.MonkeyPatch, own_map: Path, device: str, version: str, command: str
) -> None:
    """Outside a checkout nobody is sent to a noxfile: for what is missing, and for a map that is broken."""
    monkeypatch.setattr(interpreters, "in_checkout", lambda: False)

    with pytest.raises(InputError, match=rf"is not installed .* Install it with: {command}$"):
        find("paddle", device=device, version=version)
    own_map.parent.mkdir()
    own_map.write_text("[]")
    with pytest.raises(InputError, match=r"Delete the file, and install again: lenet-bench install all\.$"):
        find("paddle")


def test_an_interpreter_that_has_gone_is_said_to_have(own_map: Path) -> None:
    """One that the map names, and one that was given: neither is said to be without the framework."""
    record("paddle", "/gone/bin/python")

    with pytest.raises(InputError, match=r"interpreters\.json names /gone/bin/python, and there is no such interp"):
        find("paddle")
    with pytest.raises(InputError, match=r"--python paddle=/not/there: there is no such interpreter\. Give the path"):
        find("paddle", given={"paddle": "/not/there"})


def test_what_a_given_interpreter_lacks_is_named(tmp_path: Path) -> None:
    """The framework, or what a worker needs beside it, each with the command that installs it there."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)

    with pytest.raises(InputError, match=rf"{bare} does not have numpy\. Install it there \({bare} -m pip install num"):
        find("numpy", given={"numpy": str(bare)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreters, "version_in", lambda path, name: "1.0")
        with pytest.raises(
            InputError, match=rf"lacks numpy and psutil and threadp.*{bare} -m pip install numpy psutil"
        ):
            find("numpy", given={"numpy": str(bare)})
    assert find("numpy", given={"numpy": sys.executable}).source == "--python"


BROKEN: dict[str, tuple[bytes, str]] = {
    "list": (b"[1]", "must be an object; found \\[1\\]"),
    "number": (b'{"numpy": 3}', r"interpreters\.json\.numpy must be text; found 3"),
    "relative": (b'{"numpy": "bin/python"}', r"\.numpy must be an absolute path; found \"bin/python\""),
    "NUL": (b'{"numpy": "/bin/a\\u0000b"}', r"\.numpy must be an absolute path; found"),
    "torn": (b'{"numpy": ', "is not JSON"),
    "deep": (b"[" * 100_000, "nested too deep"),
    "binary": (b"\xff\xfe", "is not JSON"),
    "large": (b" " * (2**20 + 1), "at most 1,048,576 are read"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_map_is_a_sentence(own_map: Path, content: bytes, message: str) -> None:
    """Which file, what of it, and what to do."""
    own_map.parent.mkdir()
    own_map.write_bytes(content)

    with pytest.raises(InputError, match=rf"is not a map of interpreters: .*{message}.* Delete the file, and run nox"):
        find("numpy")


def test_version_has_its_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that was asked for is under its own name, or it is what another entry happens to have."""
    monkeypatch.setattr(interpreters, "version_in", lambda path, name: path.split("/")[1])
    record("jax", "/0.10.2/python")
    record("jax==0.10.1", "/0.10.1/python")

    assert find("jax").version == "0.10.2"
    assert find("jax", version="0.10.1").path == "/0.10.1/python"
    assert find("jax", version="0.10.2").path == "/0.10.2/python"
    with pytest.raises(InputError, match=r"jax 0\.9\.0 is not .*: nox -s bench-jax -- --framework-version 0\.9\.0$"):
        find("jax", version="0.9.0")


def test_local_versions_are_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index may add its own label to a release; 2.1 is not 2.13."""
    monkeypatch.setattr(interpreters, "version_in", lambda path, name: "2.13.0+cpu")
    record("torch", "/somewhere/python")

    assert find("torch", version="2.13.0").version == "2.13.0+cpu"
    assert find("torch", version="2.13.0+cpu").version == "2.13.0+cpu"
    for other in ("2.13", "2.1", "2.13.0+cu130"):
        with pytest.raises(InputError, match="is not installed"):
            find("torch", version=other)


def test_entrants_of_several_versions_have_an_interpreter_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions of one framework are two installations of one run."""
    monkeypatch.setattr(interpreters, "version_in", lambda path, name: path.split("/")[1])
    for version in ("0.10.1", "0.10.2"):
        record(f"jax=={version}", f"/{version}/python")
    entrants = make_entrants(
        ["jax"], versions={"jax": ("0.10.1", "0.10.2")}, device="cpu", dtype="float32", network="lenet5"
    )

    found = find_all(entrants)

    assert {name: each.version for name, each in found.items()} == {"jax==0.10.1": "0.10.1", "jax==0.10.2": "0.10.2"}


def test_map_is_the_checkouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout the map is the one that its noxfile writes, wherever in the house this module stands."""
    monkeypatch.delenv(interpreters.MAP_VARIABLE, raising=False)
    root = Path(__file__).parents[3]

    assert (root / "noxfile.py").exists()
    assert interpreters.map_path() == root / ".nox" / "interpreters.json"
