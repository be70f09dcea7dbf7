"""The table of real backends in docs/add-a-backend.md says what the packages in tests/examples say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from harness.worker import facts
from tests.examples import __main__ as examples

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "add-a-backend.md").read_text(encoding="utf-8")
ALL = [
    (name, backend, package) for name, folder in examples.folders().items() for backend, package in
    examples.backends(folder).items()
]  # fmt: skip


def facts_of(name: str, package: str) -> ModuleType:
    """What a backend says of itself, read without installing it."""
    file = examples.folders()[name] / package / "__init__.py"
    spec = importlib.util.spec_from_file_location(package, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_some() -> None:
    """The page and the session have something to say."""
    assert {"equinox", "keras_jax", "keras_torch", "mlx", "tinygrad"} <= {backend for _, backend, _ in ALL}


@pytest.mark.parametrize(("name", "backend", "package"), ALL, ids=[backend for _, backend, _ in ALL])
def test_the_table_has_the_backend(name: str, backend: str, package: str) -> None:
    """Its row has the pinned version, the modes and the precisions; its facts are in the right form."""
    module = facts_of(name, package)
    for fact, (needed, right, form) in facts.FORMS.items():
        assert right(getattr(module, fact)) if hasattr(module, fact) else not needed, f"{fact}: {form}"
    (framework,) = module.DISTRIBUTIONS
    pins = (examples.folders()[name] / "requirements.txt").read_text(encoding="utf-8").split()
    (version,) = [pin.partition("==")[2] for pin in pins if pin.partition("==")[0] == framework]
    asked = examples.project(examples.folders()[name])["dependencies"]

    assert any(each.partition("==")[0].partition("[")[0] == framework and each.endswith(version) for each in asked)
    code = f"../tests/examples/{name}-lenet-bench/{package}/backend.py"
    row = f"| [`{backend}`]({code}) | {framework} {version} | {', '.join(module.MODES)} | {', '.join(module.DTYPES)} |"
    assert row in PAGE


@pytest.mark.parametrize(("name", "backend", "package"), ALL, ids=[backend for _, backend, _ in ALL])
def test_a_backend_has_all_its_code_in_its_folder(name: str, backend: str, package: str) -> None:
    """A certificate is of these files: what another package holds could change behind its back."""
    for file in (examples.folders()[name] / package).glob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        taken = [line.split()[1] for line in lines if line.startswith(("from ", "import "))]
        assert not [each for each in taken if "_lenet_bench" in each], file
