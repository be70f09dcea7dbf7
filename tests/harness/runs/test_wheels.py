"""What pip is asked for: the repository's own requirements, other versions, a GPU's wheels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.files import shipped
from harness.runs import wheels
from harness.worker import catalogue

FOLDER = shipped("requirements")


@pytest.mark.parametrize("name", [*catalogue.FRAMEWORKS, "numpy"])
def test_every_backend_is_pinned(name: str) -> None:
    """Exactly, with what a worker needs, and without what only tests do."""
    asked = wheels.pip_arguments(FOLDER, name, "", tests=False)

    assert "==" in asked[0]
    assert {"psutil", "threadpoolctl"} <= set(asked)
    assert "pytest" not in asked
    assert "pytest" in wheels.pip_arguments(FOLDER, name, "", tests=True)
    assert wheels.pins(FOLDER, name) == ["-c", str(FOLDER / f"{name}.txt")]


def test_another_version_is_not_held_to_the_pins() -> None:
    """Its companions are those that fit where they move together, and there are no constraints."""
    assert wheels.pip_arguments(FOLDER, "torch", "2.12.1", tests=False)[0] == "torch==2.12.1"
    assert "numpy==2.4.6" in wheels.pip_arguments(FOLDER, "torch", "2.12.1", tests=False)
    assert wheels.pip_arguments(FOLDER, "jax", "0.10.1", tests=False)[:4] == ["jax==0.10.1", "flax", "optax", "numpy"]
    assert wheels.pins(FOLDER, "torch==2.12.1") == []


def test_a_gpu_has_other_wheels() -> None:
    """Where a framework has them; the index that they are on comes first."""
    assert wheels.requirements_name("jax", gpu=True) == "jax-gpu"
    assert wheels.requirements_name("jax", gpu=False) == "jax"
    assert wheels.requirements_name("mxnet", gpu=True) == "mxnet"
    asked = wheels.pip_arguments(FOLDER, "paddle-gpu", "", tests=False)
    assert asked[0] == "--extra-index-url"
    assert asked[2].startswith("paddlepaddle-gpu==")


@pytest.mark.parametrize("version", ["latest", "-1", "2.0; rm -rf /", " ", "x"])
def test_what_is_no_version_is_refused(version: str) -> None:
    """Before it reaches pip."""
    with pytest.raises(InputError, match=r"takes versions such as 2\.13\.0, got"):
        wheels.pip_arguments(FOLDER, "torch", version, tests=False)


def test_backend_without_requirements_is_given_its_python() -> None:
    """One of LENET_BENCH_BACKENDS has none here."""
    with pytest.raises(InputError, match=r"no pinned requirements for mine\. .* --python mine=PATH"):
        wheels.pip_arguments(FOLDER, "mine", "", tests=False)


def test_obstacles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Python than its wheels are for; a library that the system lacks; none at all."""
    monkeypatch.setattr(catalogue.facts("paddle"), "SYSTEM_LIBRARIES", ("libno-such-thing.so.1",))

    assert wheels.obstacle("mxnet", "3.12") == (
        "mxnet needs Python 3.11, not 3.12: its NumPy has no wheel for another."
    )
    assert "needs the system library libno-such-thing.so.1: apt-get install" in str(wheels.obstacle("paddle", "3.11"))
    assert wheels.obstacle("torch", "3.12") is None


def test_digest_is_of_what_is_asked_and_of_the_pins(tmp_path: Path) -> None:
    """Another byte in either is another environment."""
    (tmp_path / "a.in").write_text("a==1")
    (tmp_path / "a.txt").write_text("a==1")
    before, version = wheels.digest(tmp_path, "a"), wheels.digest(tmp_path, "a==2")

    (tmp_path / "a.txt").write_text("a==1\nb==1")

    assert wheels.digest(tmp_path, "a") != before
    assert wheels.digest(tmp_path, "a==2") == version
