"""Where backends are: folders that are named, packages that are announced, taken names, facts that are wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import backends
from harness.errors import InputError
from harness.runs import code
from harness.worker import catalogue, places
from tests.harness import outside_package

FACTS = outside_package.FACTS


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing from outside is known, before and after."""
    monkeypatch.setattr(backends, "__path__", [*backends.__path__][:1])
    monkeypatch.delenv(places.EXTRA, raising=False)
    monkeypatch.setenv(places.PACKAGES, "{}")
    for name in [name for name in sys.modules if name.startswith("acme")]:
        monkeypatch.delitem(sys.modules, name)


def backend_in(folder: Path, name: str, facts: str | None = FACTS) -> Path:
    """A folder with code, and facts where there are some."""
    (folder / name).mkdir(parents=True)
    (folder / name / "backend.py").write_text("")
    if facts is not None:
        (folder / name / "__init__.py").write_text(facts)
    return folder


def test_several_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends of each stand behind ours; workers, which run elsewhere, are told absolute paths."""
    backend_in(tmp_path / "first", "acme_one")
    backend_in(tmp_path / "second", "acme_two")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(places.EXTRA, "first:second")

    assert places.names() == [*backends.BACKENDS, "acme_one", "acme_two"]
    assert catalogue.facts("acme_two").DEVICES == ("cpu",)
    assert os.environ[places.EXTRA] == f"{tmp_path / 'first'}:{tmp_path / 'second'}"


def test_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, the backend in place of what holds it, one without any, one without facts, taken names."""
    backend_in(tmp_path / "mine", "acme")
    backend_in(tmp_path / "taken", "torch")
    backend_in(tmp_path / "twice", "acme")
    backend_in(tmp_path / "factless", "acme", facts=None)
    backend_in(tmp_path / "odd", "Acme-2")
    (tmp_path / "empty").mkdir()
    for folders, message in (
        ("nowhere", r"LENET_BENCH_BACKENDS names .*/nowhere, and there is no such folder\."),
        ("mine/acme", r"names a backend, .*/mine/acme\. Name the folder that holds it: .*/mine$"),
        ("empty", r"names .*/empty, which holds no backend: no folder with a backend\.py in it\."),
        ("factless", r"/factless/acme has no facts\. Write .*/factless/acme/__init__\.py"),
        ("taken", r"two backends 'torch': .*/backends/torch and .*/taken/torch\. Give yours another name"),
        ("mine:twice", r"two backends 'acme': .*/mine/acme and .*/twice/acme\."),
        ("odd", r"'Acme-2' can be no backend's name\. Give it small letters, digits and _\."),
    ):
        monkeypatch.setattr(backends, "__path__", [*backends.__path__][:1])
        monkeypatch.setenv(places.EXTRA, ":".join(str(tmp_path / folder) for folder in folders.split(":")))
        with pytest.raises(InputError, match=message):
            places.names()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("del DEVICES", r"does not say DEVICES: \(\"cpu\",\) or"),
        ('DISTRIBUTIONS = ("numpy")', r"DISTRIBUTIONS must be a tuple of packages, .*; found 'numpy'\."),
        ("MODES = {}", r"MODES must be a dictionary of modes with a sentence each, .*; found \{\}"),
        ('DEVICES = ("cpu", "tpu")', r"DEVICES must be \(\"cpu\",\) or .*; found \('cpu', 'tpu'\)"),
        ('COLOUR = "red; background: url(x)"', "COLOUR must be a colour such as"),
        ('TITLE = "<script>"', "TITLE must be a name of up to 40 letters in one line"),
        ('TITLE = "Tor\\u202ech"', "TITLE must be a name of up to 40 letters in one line"),
        ("ASYNCHRONOUS = 1", "ASYNCHRONOUS must be True or False; found 1"),
        ('ENVIRONMENT = {"OMP_NUM_THREADS": "8"}', "ENVIRONMENT must be .* none of which is the harness's own"),
        ('ENVIRONMENT = {"LD_PRELOAD": "/tmp/clock.so"}', "ENVIRONMENT must be"),
        ('ENVIRONMENT = {"PYTHONPATH": "/tmp"}', "ENVIRONMENT must be"),
        ('ENVIRONMENT = {"ACME": 1}', "ENVIRONMENT must be"),
        ('SET_ASIDE = ("",)', "SET_ASIDE must be a tuple of beginnings"),
        ('SET_ASIDE = ("P",)', "SET_ASIDE must be a tuple of beginnings"),
        ('NOT_ASIDE = ("",)', "NOT_ASIDE must be a tuple of beginnings"),
        ('GPU_MODES = "eager"', r"GPU_MODES must be a tuple of modes, .*; found 'eager'"),
        (
            'BLOCKWISE = {"epoch": 0}',
            r"BLOCKWISE must be a dictionary of modes with whole numbers, .* found \{'epoch': 0\}",
        ),
        ('REFUSED = {"eager": "no"}', "REFUSED must be a dictionary of modes and precisions"),
        ('MOST_THREADS = "1"', "MOST_THREADS must be a whole number from 1; found '1'"),
        ("MOST_THREADS = True", "MOST_THREADS must be a whole number from 1; found True"),
        ('PLAIN = "<b>"', "PLAIN must be a name of up to 40 letters in one line"),
        ("ONLY_PYTHON = 3.11", 'ONLY_PYTHON must be a version of Python, "3.11" for instance; found 3.11'),
        ('COMPANIONS = "no"', "COMPANIONS must be True or False; found 'no'"),
        ("import no_such_framework", r"The facts of the backend 'acme' cannot be read \(.*\): No module named"),
    ],
)
def test_facts_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str) -> None:
    """What is missing or of another form is named with its file and the form; what decides the measurement is ours."""
    folder = backend_in(tmp_path, "acme", facts=f"{FACTS}\n{line}\n")
    monkeypatch.setenv(places.EXTRA, str(folder))
    monkeypatch.delitem(sys.modules, "backends.acme", raising=False)

    with pytest.raises(InputError, match=message):
        catalogue.facts("acme")
    sys.modules.pop("backends.acme", None)


def test_a_package_is_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that is proven is the code that is imported, whatever else has that name on the path."""
    folder = outside_package.install(tmp_path, "acme", package="acme_bench")
    (tmp_path / "other" / "acme_bench").mkdir(parents=True)
    (tmp_path / "other" / "acme_bench" / "__init__.py").write_text("raise AssertionError('a namesake')\n")
    monkeypatch.syspath_prepend(tmp_path / "other")
    places.announce({"acme": {"folder": str(folder), "package": "acme_bench 0.3", "fault": ""}})
    before = code.digests("acme")

    assert catalogue.facts("acme").TITLE == "Acme's Library"
    assert catalogue.backend_class("acme").__module__ == "acme_bench.backend"
    (folder / "inside.py").write_text("NOTHING = 'changed'\n")
    assert code.changed(before, code.digests("acme")) == ["backend"]
    for name in ("acme_bench", "acme_bench.backend", "acme_bench.inside"):
        monkeypatch.delitem(sys.modules, name)


def test_digests_are_of_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for backends before; what lies elsewhere under the reference's name is none of it."""
    reference = code.digests("numpy")
    folder = backend_in(tmp_path, "acme")
    (folder / "acme" / "backend.py").write_text("from backends.acme_kit.shared import Backend\n")
    for file in ("acme_kit/shared.py", "numpy/notes.txt"):
        (folder / file).parent.mkdir()
        (folder / file).write_text("")
    monkeypatch.setenv(places.EXTRA, str(folder))
    asked = ("acme_kit", "acme", "numpy")

    before = {name: code.digests(name) for name in asked}
    assert places.names() == [*backends.BACKENDS, "acme"]

    assert before == {name: code.digests(name) for name in asked}
    assert before["numpy"] == reference
    (folder / "acme_kit" / "shared.py").write_text("1")
    assert code.changed(before["acme"], code.digests("acme")) == ["backend"]


def test_faults_of_packages(tmp_path: Path) -> None:
    """A package that is not what it was is a sentence for whoever asks for it, and no matter to all others."""
    places.announce({"acme": {"folder": "", "package": "", "fault": "It has gone. Install it."}})

    assert "acme" not in places.names()
    with pytest.raises(InputError, match=r"^It has gone\. Install it\.$"):
        catalogue.facts("acme")
    folder = outside_package.install(tmp_path, "numpy", package="acme_bench")
    places.announce({"numpy": {"folder": str(folder), "package": "acme_bench 0.3", "fault": ""}})
    with pytest.raises(InputError, match=r"two backends 'numpy': .*acme_bench\. .* a package is uninstalled"):
        places.names()
    assert json.loads(os.environ[places.PACKAGES])["numpy"]["folder"] == str(folder)
