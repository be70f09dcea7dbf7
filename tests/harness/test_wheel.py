"""What is in the wheel; `nox -s tests-wheel` installs it and uses it (tests/wheel)."""

from __future__ import annotations

import email
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import harness
from harness import files
from tests.wheel.building import ROOT, build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build(tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_wheel_has_what_commands_read(wheel: zipfile.ZipFile) -> None:
    """All code with what the report is made from, baselines and requirements byte for byte, and nothing else."""
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}

    code = {
        path.relative_to(ROOT).as_posix()
        for package in ("harness", "backends")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shipped = {
        f"harness/shipped/{kind}/{path.name}": path
        for kind, place in files.SHIPPED.items()
        for path in (ROOT / place).iterdir()
        if path.is_file()
    }
    assert held == code | set(shipped)
    assert {name for name in held if name.endswith((".j2", ".css", ".js"))}
    assert "harness/shipped/baselines/accuracy.csv" in shipped
    assert all(wheel.read(name) == path.read_bytes() for name, path in shipped.items())


def test_metadata_is_complete(metadata: Message) -> None:
    """What an index shows of it, its extras, and the command that it installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert metadata["Version"] == harness.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Summary"] == project["description"]
    assert {"LeNet", "benchmark", "PyTorch"} <= set(metadata["Keywords"].split(","))
    assert {"Programming Language :: Python :: 3.11", "Operating System :: POSIX :: Linux"} <= set(
        metadata.get_all("Classifier", [])
    )
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().lstrip().startswith("# lenet-bench")  # type: ignore[union-attr]
    workers = [each for each in metadata.get_all("Requires-Dist", []) if "extra == 'worker'" in each]
    assert [each.partition(">")[0] for each in workers] == ["psutil", "threadpoolctl"]


def test_entry_point_is_the_command_line(wheel: zipfile.ZipFile) -> None:
    """`lenet-bench` is what `python -m harness` is."""
    (name,) = (each for each in wheel.namelist() if each.endswith("entry_points.txt"))

    assert wheel.read(name).decode().split() == ["[console_scripts]", "lenet-bench", "=", "harness.__main__:main"]


def test_what_comes_with_the_code_is_found_in_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout where it stands; in a wheel, whose folder has no noxfile, beside the code."""
    assert files.in_checkout()
    assert files.shipped("requirements") == ROOT / "requirements"
    assert (files.shipped("baselines") / "accuracy.csv").exists()
    (tmp_path / "harness" / "shipped" / "baselines").mkdir(parents=True)
    monkeypatch.setattr(files, "ROOT", tmp_path)

    assert not files.in_checkout()
    assert files.shipped("baselines") == tmp_path / "harness" / "shipped" / "baselines"
