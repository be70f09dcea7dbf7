"""Digests of code: another byte anywhere in what was verified, and they differ in the part that it is in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import backends
from harness.runs import code

ROOT = Path(__file__).parents[3]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code, with a backend `mine` that wraps `torch` by way of `between`."""
    for name in ("harness", "backends"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in (("mine", "from backends.between import x"), ("between", "import backends.torch.backend")):
        (tmp_path / "backends" / name / "deep").mkdir(parents=True)
        (tmp_path / "backends" / name / "backend.py").write_text(text)
    (tmp_path / "backends" / "mine" / "deep" / "kernel.so").write_bytes(b"1")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(backends, "__path__", [str(tmp_path / "backends")])
    return tmp_path


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("backends/mine/backend.py", "backend"),
        ("backends/mine/deep/kernel.so", "backend"),
        ("backends/mine/weights.json", "backend"),
        ("backends/between/backend.py", "backend"),
        ("backends/torch/model.py", "backend"),
        ("backends/numpy/model.py", "reference"),
        ("harness/spec/network.py", "spec"),
        ("harness/worker/stopwatch.py", "worker"),
        ("harness/proof/posing.py", "proof"),
        ("harness/data/idx.py", "data"),
        ("harness/runs/rounds.py", "runs"),
        ("harness/errors.py", "errors and files"),
    ],
)
def test_every_file_counts(house: Path, file: str, part: str) -> None:
    """Whatever its ending, however deep, in a backend, in one that it wraps, in the reference or in the harness."""
    before, whole = code.digests("mine"), code.digest("mine")

    with (house / file).open("ab") as opened:
        opened.write(b" ")

    assert code.changed(before, code.digests("mine")) == [part]
    assert code.digest("mine") != whole


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: (folder / "more.py").write_text(""),
        lambda folder: (folder / "backend.py").rename(folder / "renamed.py"),
        lambda folder: (folder / "deep" / "kernel.so").unlink(),
    ],
    ids=["added", "renamed", "removed"],
)
def test_files_that_come_and_go_count(house: Path, act: Callable[[Path], object]) -> None:
    """A file without content, another name for the same, one less."""
    before = code.digests("mine")

    act(house / "backends" / "mine")

    assert code.changed(before, code.digests("mine")) == ["backend"]


def test_what_is_compiled_on_the_way_does_not_count(house: Path) -> None:
    """Python's own caches come and go; and what one backend is, another is not."""
    before = code.digests("mine")
    (house / "backends" / "mine" / "__pycache__").mkdir()
    (house / "backends" / "mine" / "__pycache__" / "backend.pyc").write_bytes(b"1")
    (house / "backends" / "jax" / "model.py").write_text("another")

    assert code.digests("mine") == before
