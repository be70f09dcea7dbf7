"""`lenet-bench conform` as a command: the suite in a backend's own environment, by the precisions that it has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.runs import interpreters
from harness.worker import catalogue

Call = Callable[..., tuple[int, str, str]]
BATCH = "one_batch and lenet5 and not 1998"


@pytest.fixture
def narrow(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend without float64, which fails where anybody asks for it; `call` is in an environment of its own."""
    folder = tmp_path / "mine" / "narrow"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        'DISTRIBUTIONS, MODES, DTYPES, DEVICES = ("numpy",), {"eager": "as NumPy"}, ("float32",), ("cpu",)\n'
    )
    (folder / "backend.py").write_text(
        "from backends.numpy.backend import Backend as Right\n\n\nclass Backend(Right):\n"
        "    def __init__(self, *, dtype, **options):\n        assert dtype == 'float32'\n"
        "        super().__init__(dtype=dtype, **options)\n"
    )
    monkeypatch.setattr("backends.__path__", [*sys.modules["backends"].__path__][:1])
    monkeypatch.setenv(catalogue.EXTRA, str(tmp_path / "mine"))
    return "narrow"


def test_precisions_are_those_of_the_facts(call: Call, narrow: str) -> None:
    """What the facts do not name is not asked for: formulas and networks are tested in what there is."""
    code, _, err = call("conform", "-b", narrow, "--here", "-k", f"({BATCH}) or (optimizers and nesterov) or steps")

    assert code == 0, err


def test_what_does_not_hold_is_1(call: Call) -> None:
    """A mutant fails; where nothing was tested, that is no pass."""
    code, _, err = call("conform", "-b", "average_pool", "--here", "-k", BATCH)
    assert (code, "average_pool does not do all that the protocol promises" in err) == (1, True)
    code, _, err = call("conform", "-b", "twin", "--here", "-k", "nothing_like_it")
    assert (code, "pytest ended with exit code 5" in err) == (3, True)


def test_what_is_missing_is_2(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without pytest, and a backend that there is not, with what to do."""
    monkeypatch.setattr(interpreters, "lacking", lambda path, packages=(): [each for each in packages if "t" in each])
    monkeypatch.setattr(interpreters, "OF_WORKERS", ())
    code, _, err = call("conform", "-b", "twin")
    assert (code, f"{sys.executable} -m pip install pytest" in err) == (2, True)
    assert call("conform", "-b", "tourch")[0] == 2
