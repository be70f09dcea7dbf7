"""The tutorial of docs/add-a-backend.md, typed in and carried out: its backend passes, its mistake is found."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.proof import posing, starts
from harness.runs import interpreters
from harness.spec.networks import get_network
from harness.worker import places
from tests.harness import outside_package

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "add-a-backend.md").read_text(encoding="utf-8")
PACKAGE = "einsum_lenet_bench"
FILES = dict(re.findall(rf'^```python title="{PACKAGE}/([^"]+)"\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL))
DIFFS = re.findall(rf'^```diff title="{PACKAGE}/([^"]+)"\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL)
Cli = Callable[..., tuple[int, str, str]]
Verify = Callable[[], tuple[int, str, str]]


@pytest.fixture
def package(
    call: Cli, tiny_commands: None, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """Step 1: the skeleton, installed to be edited in an environment of its own, which is recorded."""
    monkeypatch.setenv(interpreters.MAP_VARIABLE, str(tmp_path / "map.json"))
    monkeypatch.setenv(places.PACKAGES, "{}")
    code, _, err = call("new-backend", "einsum", "--like", "jax")
    assert code == 0, err
    folder = tmp_path / "einsum-lenet-bench"
    environment = tmp_path / "einsum-env"
    site = outside_package.make_environment(environment)
    (site / "einsum.pth").write_text(f"{folder}\n")
    outside_package.announce(site, "einsum", package=PACKAGE)
    # Of step 2, without which there is nothing to be found.
    (folder / PACKAGE / "__init__.py").write_text(FILES["__init__.py"])
    assert call("backend", "add", "einsum", "--python", str(environment / "bin" / "python"))[0] == 0
    return folder / PACKAGE


@pytest.fixture
def verify(call: Cli, package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Verify]:
    """Return a function that carries out the page's `verify`, with fewer images; and forget the backend afterwards."""
    monkeypatch.setattr(posing, "BATCH", 8)
    monkeypatch.setattr(starts, "STEPS", 20)
    yield lambda: call("verify", "-b", "einsum")
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def write(package: Path, *names: str) -> None:
    """Files of the page in place of the skeleton's."""
    for name in names:
        (package / name).write_text(FILES[name], encoding="utf-8")


def test_the_page_has_the_four_files_and_one_mistake() -> None:
    """What the other tests carry out is there."""
    assert set(FILES) == {"__init__.py", "model.py", "weights.py", "backend.py"}
    assert [name for name, _ in DIFFS] == ["model.py"]


def test_the_skeleton_says_what_is_next(verify: Verify, package: Path) -> None:
    """`verify` is red with an instruction at every step, and green at the end: all 82 quantities pass."""
    for file, instruction in (
        ("weights.py", r"Step 2, weights\.py: write `native`"),
        ("backend.py", r"Step 3, backend\.py: write `synchronize`"),
        ("model.py", r"Step 4, model\.py: write `conv`, of \(n, h, w, c\) by \(kh, kw, in, out\)"),
    ):
        code, out, err = verify()
        assert code != 0
        assert re.search(instruction, out + err), out + err
        write(package, file)

    code, out, err = verify()

    assert "all 82 passed" in out, out + err
    assert code == 0


@pytest.mark.parametrize("like", ["torch", "jax"])
def test_the_skeleton_is_whole(call: Cli, like: str, tmp_path: Path) -> None:
    """Nothing is left to be filled in by the tool; names that cannot be, and folders that are there, are refused."""
    assert call("new-backend", "mine_too", "--like", like, "--into", str(tmp_path / "src"))[0] == 0
    folder = tmp_path / "src" / "mine-too-lenet-bench"
    texts = {file.name: file.read_text() for file in folder.rglob("*.*")}
    assert set(texts) == {"pyproject.toml", *FILES}
    assert not re.search(r"@[A-Z]+@", "".join(texts.values()))
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    assert project["entry-points"] == {"lenet_bench.backends": {"mine_too": "mine_too_lenet_bench"}}
    for arguments, message in (
        (("mine_too", "--into", str(tmp_path / "src")), "is there already, and was left as it is"),
        (("Mine",), "'Mine' can be no backend's name. Give small letters"),
        (("class",), "'class' can be no backend's name."),
        (("torch",), "There is a backend 'torch' already"),
        (("mine", "--like", "tinygrad"), "There is no framework for --like 'tinygrad'. There are: jax, torch."),
        (("mine", "--into", "/proc/nowhere"), "Cannot write /proc/nowhere/mine-lenet-bench"),
    ):
        code, _, err = call("new-backend", *arguments)
        assert (code, message in err) == (2, True), err


def test_the_mistake_is_found(verify: Verify, package: Path) -> None:
    """Step 7: with the line changed, `verify` ends with 1 and says what the page says."""
    write(package, *FILES)
    name, diff = DIFFS[0]
    old, new = (next(line[1:] for line in diff.splitlines() if line.startswith(sign)) for sign in "-+")
    code = (package / name).read_text(encoding="utf-8")
    assert code.count(old) == 1
    (package / name).write_text(code.replace(old, new), encoding="utf-8")

    status, out, _ = verify()

    assert status == 1
    said = [line for line in TEXT.splitlines() if line.startswith("einsum eager:")]
    assert len(said) == 4
    # The figures depend on the data; the words do not.
    for line in said:
        pattern = re.sub(r"\d\\\.\de[+\\-]+\d+", r"\\S+", re.escape(line))
        assert re.search(pattern, out), (line, out)


def test_unsupported_networks_are_refused(tmp_path: Path) -> None:
    """The refusal that the page asks of every backend: in a sentence, with what it can do."""
    (tmp_path / "model.py").write_text(FILES["model.py"])
    spec = importlib.util.spec_from_file_location("tutorial_model", tmp_path / "model.py")
    assert spec is not None
    assert spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)

    model.check(get_network("lenet5"))
    for name in ("lenet-paddle", "lenet5-1998", "convnet-tf1"):
        with pytest.raises(ValueError, match=r"The backend einsum has no .*\. It runs networks such as lenet5\."):
            model.check(get_network(name))


def test_code_is_in_the_style_of_the_repository(call: Cli, tmp_path: Path) -> None:
    """What people copy, and what they fill in, is formatted and without warnings."""
    ruff = pytest.importorskip("ruff", reason="ruff is not installed here")
    settings = str(Path(__file__).resolve().parents[3] / "pyproject.toml")
    binary = ruff.find_ruff_bin()
    for like in ("torch", "jax"):
        assert call("new-backend", f"like_{like}", "--like", like)[0] == 0
    (tmp_path / PACKAGE).mkdir()
    write(tmp_path / PACKAGE, *FILES)

    for command in (["format", "--diff"], ["check", "--ignore", "I001"]):  # it does not know what is ours here
        done = subprocess.run([binary, *command, "--config", settings, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
