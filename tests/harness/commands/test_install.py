"""`lenet-bench install` as a command: what it asks for, what it says, what it leaves out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError, LenetBenchError
from harness.runs import installing
from harness.runs.installing import Made, Wanted
from harness.worker import catalogue

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """Nothing is installed; what would be is in this list."""
    found: list[Wanted] = []

    def install(wanted: Wanted, progress: Any) -> Made:
        found.append(wanted)
        return Made(wanted, wanted.version or "1.0", 823_000_000, 0.0 if len(found) > 1 else 41.2)

    monkeypatch.setattr(installing, "install", install)
    for name in ("mxnet", "paddle"):
        monkeypatch.setattr(catalogue.facts(name), "SYSTEM_LIBRARIES", ())
    return found


def test_says_what_is_there_and_what_comes_next(call: Call, asked: list[Wanted]) -> None:
    """A line an environment with its size, and the command that uses it."""
    code, out, _ = call("install", "torch", "jax")

    assert code == 0
    assert [(each.backend, each.python, each.gpu) for each in asked] == [
        ("torch", sys.executable, False), ("jax", sys.executable, False),
    ]  # fmt: skip
    assert out == (
        f"torch 1.0 is installed, in 41 s: 823 MB in {asked[0].folder} "
        f"jax 1.0 is there already: 823 MB in {asked[1].folder} next: lenet-bench run -b torch,jax"
    )


def test_versions_and_a_gpu(call: Call, asked: list[Wanted]) -> None:
    """Each version is an environment of its own, with a GPU's wheels where that is asked."""
    code, out, _ = call("install", "jax,torch", "--device", "gpu", "--framework-version", "jax=0.10.1,0.10.2")

    assert code == 0
    assert [each.name for each in asked] == ["jax-gpu==0.10.1", "jax-gpu==0.10.2", "torch-gpu"]
    assert "jax 0.10.1 for a GPU is installed" in out
    assert out.partition("next")[1:] == (
        "next",
        ": lenet-bench run -b jax,torch --versions jax=0.10.1,0.10.2 --device gpu",
    )


def test_all_leaves_out_what_cannot_be_had(call: Call, asked: list[Wanted], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with the reason; asked for by itself, it is an error."""

    def check(wanted: Wanted) -> None:
        if wanted.backend == "mxnet":
            raise InputError("mxnet needs another machine.")

    monkeypatch.setattr(installing, "check", check)
    code, out, err = call("install", "all")

    assert code == 0
    assert [each.backend for each in asked] == ["torch", "tensorflow", "jax", "paddle"]
    assert "LEFT OUT: mxnet needs another machine." in err
    assert out.partition("next")[1:] == ("next", ": lenet-bench run -b torch,tensorflow,jax,paddle")
    code, out, err = call("install", "torch", "mxnet")
    assert (code, out) == (2, "")
    assert "lenet-bench: mxnet needs another machine." in err
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tourch"], r"There is no backend .tourch.\. .* Did you mean .torch.\?"),
        (["torch", "--device", "tpu"], "There is no device 'tpu'. There are: cpu, gpu."),
        (["torch", "--with-python", "/no/python"], "--with-python /no/python: there is no such interpreter."),
        (["torch", "--with-python", "no-such-python"], "--with-python no-such-python: there is no such"),
        (["torch", "jax", "--framework-version", "2.0"], "--framework-version '2.0': of which backend"),
        (["numpy", "--device", "gpu"], "There are no wheels of numpy for a GPU here."),
        ([], "Missing argument 'BACKEND...'"),
    ],
    ids=str,
)
def test_bad_arguments_are_2(call: Call, asked: list[Wanted], arguments: list[str], message: str) -> None:
    """With what came in, before anything is made."""
    code, _, err = call("install", *arguments)

    assert code == 2
    assert re.search(message, err), err
    assert asked == []


def test_failure_is_3_with_pips_words(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is worse than it was: exit code 3."""

    def install(wanted: Wanted, progress: Any) -> Made:
        error = LenetBenchError("torch was not installed.")
        error.log = "No space left on device"  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(installing, "install", install)

    code, out, err = call("install", "torch")

    assert (code, out) == (3, "")
    assert "torch was not installed." in err
    assert "No space left on device" in err


def test_data_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As platformdirs has it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    assert Wanted("torch", sys.executable, "2.12.1").folder == tmp_path / "lenet-bench/environments/torch==2.12.1"
