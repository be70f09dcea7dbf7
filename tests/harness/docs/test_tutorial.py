"""The tutorial of docs/add-a-backend.md, typed in and carried out: its backend passes, its mistake is found."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import backends
from harness.proof import posing, starts
from harness.spec.networks import get_network
from harness.worker import catalogue

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "add-a-backend.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```python title="my-backends/(einsum/[^"]+)"\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL))
DIFFS = re.findall(r'^```diff title="my-backends/(einsum/[^"]+)"\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL)
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def my_backends(tmp_path: Path) -> Path:
    """The folder of step 1, with the files of steps 2 to 5 as the page has them."""
    folder = tmp_path / "my-backends"
    for name, code in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code, encoding="utf-8")
    return folder


@pytest.fixture
def verify(
    call: Cli, tiny_commands: None, my_backends: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[int, str, str]]:
    """Return a function that carries out the page's `verify`, with fewer images; and forget the backend afterwards."""
    monkeypatch.setattr(posing, "BATCH", 8)
    monkeypatch.setattr(starts, "STEPS", 20)
    monkeypatch.setenv(catalogue.EXTRA, str(my_backends))
    monkeypatch.setattr(backends, "__path__", [*backends.__path__])
    monkeypatch.delitem(sys.modules, "backends.einsum", raising=False)
    return lambda: call("verify", "-b", "einsum")


def test_the_page_has_the_four_files_and_one_mistake() -> None:
    """What the other tests carry out is there."""
    assert set(FILES) == {f"einsum/{name}.py" for name in ("__init__", "model", "weights", "backend")}
    assert [name for name, _ in DIFFS] == ["einsum/model.py"]


def test_the_backend_passes(verify: Callable[[], tuple[int, str, str]]) -> None:
    """Step 6: all 82 quantities pass."""
    code, out, err = verify()

    assert "all 82 passed" in out, out + err
    assert code == 0


def test_the_mistake_is_found(verify: Callable[[], tuple[int, str, str]], my_backends: Path) -> None:
    """Step 7: with the line changed, `verify` ends with 1 and says what the page says."""
    name, diff = DIFFS[0]
    old, new = (next(line[1:] for line in diff.splitlines() if line.startswith(sign)) for sign in "-+")
    code = (my_backends / name).read_text(encoding="utf-8")
    assert code.count(old) == 1
    (my_backends / name).write_text(code.replace(old, new), encoding="utf-8")

    status, out, _ = verify()

    assert status == 1
    said = [line for line in TEXT.splitlines() if line.startswith("einsum eager:")]
    assert len(said) == 4
    # The figures depend on the data; the words do not.
    for line in said:
        pattern = re.sub(r"\d\\\.\de[+\\-]+\d+", r"\\S+", re.escape(line))
        assert re.search(pattern, out), (line, out)


def test_unsupported_networks_are_refused(my_backends: Path) -> None:
    """The refusal that the page asks of every backend: in a sentence, with what it can do."""
    spec = importlib.util.spec_from_file_location("tutorial_model", my_backends / "einsum" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)

    model.check(get_network("lenet5"))
    for name in ("lenet-paddle", "lenet5-1998", "convnet-tf1"):
        with pytest.raises(ValueError, match=r"The backend einsum has no .*\. It runs networks such as lenet5\."):
            model.check(get_network(name))


def test_code_is_in_the_style_of_the_repository(my_backends: Path, tmp_path: Path) -> None:
    """What people copy is formatted and without warnings."""
    ruff = pytest.importorskip("ruff", reason="ruff is not installed here")
    settings = str(Path(__file__).resolve().parents[3] / "pyproject.toml")
    binary = ruff.find_ruff_bin()

    for command in (["format", "--diff"], ["check", "--ignore", "I001"]):  # it does not know what is ours here
        done = subprocess.run(
            [binary, *command, "--config", settings, str(my_backends)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
