"""What nox installs for the options after --: the backends of -b, in the versions of --versions."""

from __future__ import annotations

import pytest

from tools import asked

FRAMEWORKS = ("torch", "tensorflow", "jax")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], []),
        (["-b", "torch,jax"], ["torch", "jax"]),
        (["-btorch", "--backend=jax", "--backend", "torch"], ["torch", "jax"]),
        (["-b", "all,numpy"], [*FRAMEWORKS, "numpy"]),
        (["--base", "torch", "--epochs", "0"], []),
        (["--epochs", "0", "-b"], [""]),
    ],
)
def test_backends_are_read_as_the_command_reads_them(options: list[str], wanted: list[str]) -> None:
    """However the option is written; other options that begin alike are others."""
    assert asked.backends(options, FRAMEWORKS) == wanted


def test_versions_are_read_as_the_command_reads_them() -> None:
    """The example of docs/compare-versions.md, the older name of the option, and one backend's without its name."""
    assert asked.versions(["--versions", "torch=2.12.1,2.13.0", "-b", "torch,jax"], ["torch", "jax"]) == {
        "torch": ["2.12.1", "2.13.0"]
    }
    assert asked.versions(["--framework-version=0.10.1, 0.10.2,0.10.1"], ["jax"]) == {"jax": ["0.10.1", "0.10.2"]}
    both = ["--versions", "torch=2.13.0", "--versions=jax=0.10.1"]
    assert asked.versions(both, ["torch", "jax"]) == {"torch": ["2.13.0"], "jax": ["0.10.1"]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2.12.1", "of which backend"),
        ("mxnet=1.9.0", "mxnet is not among the backends torch, jax"),
        ("torch=new", "versions such as 2.13.0, got 'new'"),
        ("torch=", "got ''"),
        ("torch=-r", "got '-r'"),
    ],
)
def test_versions_that_are_none_are_refused_before_anything_is_installed(value: str, words: str) -> None:
    """In a sentence; nothing of it reaches pip."""
    with pytest.raises(ValueError, match=words):
        asked.versions(["--versions", value], ["torch", "jax"])


@pytest.mark.parametrize("name", ["torch", "torch-gpu", "jax-gpu", "mxnet", "paddle-gpu", "tensorflow"])
def test_pinned_version_is_that_of_the_requirements(name: str) -> None:
    """Behind comments, options of pip and extras."""
    assert asked.pinned(name)[0].isdigit()
