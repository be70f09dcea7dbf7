"""What `lenet-bench install` is asked for, and a real environment of a checkout and of a repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.runs import installing, interpreters, outside, sources
from harness.runs.installing import Wanted, install
from harness.runs.pip_progress import Progress
from harness.runs.sources import Asked, parse
from harness.tables import layout
from harness.worker import places, versions

# Builds a wheel without anything but itself: there is no index here.
BACKEND = '''"""A build backend of one file."""

import zipfile


def build_wheel(folder, settings=None, metadata=None):
    name = "numpy-9.9-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as file:
        file.writestr("numpy.py", "")
        file.writestr("numpy-9.9.dist-info/METADATA", "Metadata-Version: 2.1\\nName: numpy\\nVersion: 9.9\\n")
        file.writestr("numpy-9.9.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr("numpy-9.9.dist-info/RECORD", "")
    return name
'''
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "building"\nbackend-path = ["."]\n'


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(venv_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of a NumPy, requirements without an index, data folder and map of this test's own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "building.py").write_text(BACKEND)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (tmp_path / "numpy.in").write_text("--no-index\nnumpy==9.8\n")
    monkeypatch.setattr(installing, "shipped", lambda kind: tmp_path)
    monkeypatch.setattr(installing, "environments", lambda: tmp_path / "environments")
    monkeypatch.setenv(interpreters.MAP_VARIABLE, str(tmp_path / "map.json"))
    return folder


def test_a_build_has_its_commit(checkout: Path) -> None:
    """Of a checkout, changed files told; of a repository; each an environment that its version finds."""
    commit = git(checkout, "rev-parse", "HEAD")[:12]
    (asked,) = parse(f"numpy@{checkout}")
    assert (asked.source, asked.commit) == (str(checkout), commit)
    with (checkout / "building.py").open("a") as file:
        file.write("# changed\n")
    assert asked.commit == f"{commit}.dirty"

    built = install(
        Wanted("numpy", sys.executable, source=asked.source, commit=asked.commit), Progress(layout.stderr())
    )
    git(checkout, "branch", "feature/fast")
    (cloned,) = parse(f"numpy@git+file://{checkout}@feature/fast")
    fetched = install(Wanted("numpy", sys.executable, source=cloned.source), Progress(layout.stderr()))

    assert (built.version, fetched.version) == (f"9.9+g{commit}.dirty", f"9.9+g{commit}")
    first, second = str(built.wanted.interpreter), str(fetched.wanted.interpreter)
    assert interpreters.read_map() == {
        "numpy": first, f"numpy=={built.version}": first, f"numpy=={fetched.version}": second,
    }  # fmt: skip
    assert interpreters.find("numpy", version=fetched.version).path == second


def test_what_is_asked_for(tmp_path: Path) -> None:
    """Names, versions, wheels; what is none of these is named, with what there is."""
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"")
    (tmp_path / "empty").mkdir()

    assert parse("torch,jax") == [Asked("torch"), Asked("jax")]
    assert parse("torch==2.12.1") == [Asked("torch", version="2.12.1")]
    assert parse(f"torch@{wheel}") == [Asked("torch", source=str(wheel))]
    assert parse(f"torch@{wheel}")[0].commit == ""
    for argument, message in (
        ("torch==new", r"A version such as 2\.13\.0 is wanted behind torch==, got 'new'"),
        ("torch@nowhere.whl", r"torch@nowhere\.whl: there is no such wheel or checkout\. Give NAME@git\+URL"),
        (f"torch@{tmp_path}/empty", r"empty can not be installed: no pyproject\.toml or setup\.py is in it"),
        (
            f"torch@git+file://{tmp_path}/no.git",
            r"file://.*/no\.git does not answer: '.*no\.git' does not .*Is the address right",
        ),
        (f"torch@git+file://{tmp_path}/no.git@main", r"file://.*/no\.git does not answer"),
        ("torch@git+--upload-pack=touch /tmp/x", r"does not answer"),
        ("all==2.0", r"all==2\.0: a version or a build is one framework's"),
        ("all@x.whl", "a version or a build is one framework's"),
    ):
        with pytest.raises(InputError, match=message):
            parse(argument)


def test_git_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is said before anything is made."""
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="needs git, which is not on the PATH"):
        parse("torch@git+https://example.org/torch.git")


@pytest.mark.parametrize(
    ("version", "commit", "whole"),
    [
        ("2.14.0", "", "2.14.0"), ("2.14.0", "3fa9c1d2e4b5", "2.14.0+g3fa9c1d2e4b5"),
        ("2.14.0+cpu", "3fa9c1d2e4b5", "2.14.0+cpu.g3fa9c1d2e4b5"),
        ("2.14.0a0+git3fa9c1d", "3fa9c1d2e4b5", "2.14.0a0+git3fa9c1d"),
    ],
)  # fmt: skip
def test_commit_is_behind_the_version(version: str, commit: str, whole: str) -> None:
    """Unless the version has it."""
    assert versions.with_commit(version, commit) == whole
    assert sources.VERSION.fullmatch(whole)


def test_framework_of_a_backend_from_outside(monkeypatch: pytest.MonkeyPatch, mutants: Path) -> None:
    """pip is asked for the framework in that build, for what the package needs else, and for what workers need."""
    package = {"folder": "", "package": "", "fault": "", "requires": "NumPy==2.0\nacme-tools>=1"}
    monkeypatch.setattr(places, "announced", lambda: {"twin": package})
    monkeypatch.setattr(places, "_found", lambda: {"twin": mutants / "twin"})
    needed = ["acme-tools>=1", *interpreters.OF_WORKERS]

    monkeypatch.setattr(outside.catalogue, "facts", lambda name: type("Facts", (), {"DISTRIBUTIONS": ("numpy",)}))
    assert outside.pip_arguments("twin", "", "") == ["NumPy==2.0", *needed]
    assert outside.pip_arguments("twin", "1.9", "") == ["numpy==1.9", *needed]
    assert outside.pip_arguments("twin", "", "/a.whl") == ["/a.whl", *needed]
