"""A backend that a package in an environment of its own brings is one like any other, in every command."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.commands import doctor
from harness.proof import posing, starts
from harness.results.folder import RunFolder
from harness.runs import interpreters
from harness.worker import places
from tests.harness import outside_package

Call = Callable[..., tuple[int, str, str]]
NAME, PACKAGE = "acme_numerical_library", "acme_lenet_bench"
GATE = ("--epochs", "1", "--data-set", "drawn-digits", "--baseline", "own.csv")
QUICK = ("--batch-size", "8", "--rounds", "1", "--steady-s", "0.1", "--inference-sizes", "none")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that has it, and what comes with it."""
    folder = tmp_path_factory.mktemp("acme")
    outside_package.install(outside_package.make_environment(folder), NAME, package=PACKAGE)
    return folder


@pytest.fixture
def python(environment: Path, tiny_commands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its Python, recorded in a map of this test's own; a proof takes few images and steps."""
    found = str(environment / "bin" / "python")
    monkeypatch.setenv(interpreters.MAP_VARIABLE, str(tmp_path / "map.json"))
    monkeypatch.setenv(places.PACKAGES, "{}")
    monkeypatch.setattr(posing, "BATCH", 8)
    monkeypatch.setattr(starts, "STEPS", 20)
    interpreters.record(NAME, found)
    yield found
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def test_it_is_in_every_command(call: Call, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the list to the gallery, by its name as people write it, with its variables and proven."""
    monkeypatch.setenv("ACME_SECRET", "1")
    monkeypatch.setattr(doctor, "examine_machine", lambda **_: [])
    code, out, err = call("verify", "-b", NAME, "--batch-size", "8")
    assert (code, bool(re.search(r"all \d+ passed", out))) == (0, True), out + err
    code, out, err = call("run", "-b", NAME, *QUICK, "--epochs", "1", "--name", "first", "--verified")
    assert code == 0, out + err
    assert "Passed verification" not in err, "what was proven is not proven again"
    assert "Set aside for controlled launches: ACME_SECRET" in err
    launches = RunFolder(tmp_path / "results" / "first").read("launches")
    assert (set(launches["status"]), set(launches["layout"])) == ({"ok"}, {"asked"})
    kept = json.loads((tmp_path / "results" / "first" / "environment.json").read_text())
    assert kept["variables_set_aside"][-1] == "1 other"
    assert kept["interpreters"] == {NAME: python}
    for arguments, expected in (
        (("list",), rf"{NAME} \S+, runs on cpu eager"),
        (("doctor", "-b", NAME), rf"{NAME} threads +1 on CPUs"),
        (("baseline", "update", "-b", NAME, "--seeds", "2", "--yes", *GATE), "own.csv"),
        (("gate", "-b", NAME, "--seeds", "1", *GATE), f"passed {NAME}"),
        (("history", "results"), NAME),
        (("report", "results/first", "--output", "first.html"), "Wrote first.html"),
        (("publish", "results", "--output", "gallery"), "Wrote gallery/index.html, with 3 reports"),
    ):
        code, out, err = call(*arguments)
        assert re.search(expected, out + err), (arguments, out, err)
        assert code == 0, (arguments, out, err)
    for page in ("first.html", "gallery/index.html"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert "Acme&#39;s Library" in text
        assert "#6a4c93" in text


def test_a_python_that_is_given_brings_it(call: Call, python: str) -> None:
    """Nothing need be recorded: without either, the name is unknown."""
    interpreters.map_path().write_text("{}")
    code, _, err = call("verify", "-b", NAME)
    assert code == 2
    assert f"There is no backend '{NAME}'" in err

    code, out, err = call("run", "-b", NAME, *QUICK, "--epochs", "0", "--python", f"{NAME}={python}")

    assert code == 0, out + err
    assert NAME in out


@pytest.mark.parametrize("gone", ["package", "interpreter"])
def test_what_has_gone_is_said(call: Call, python: str, gone: str) -> None:
    """The recorded interpreter has no such package any more, or is no more; other backends are no worse for it."""
    interpreters.record(NAME, sys.executable if gone == "package" else "/gone/bin/python")

    code, _, err = call("verify", "-b", NAME)

    assert code == 2
    said = r"none there brings it now\. .* backend add" if gone == "package" else "/gone/bin/python cannot tell which"
    assert re.search(said, err), err
    assert call("list")[0] == 0


def test_two_packages_and_wrong_ones(tmp_path: Path, call: Call, python: str) -> None:
    """Packages that bring the same backend, and entry points that are no package of a backend, are named."""
    site = outside_package.make_environment(tmp_path / "env")
    outside_package.install(site, "twice", package="acme_one")
    outside_package.install(site, "twice", package="acme_two")
    outside_package.install(site, "attribute", package="acme_three", value="acme_three:Backend")
    for name, message in (
        ("twice", r"Two packages bring the backend 'twice': acme_\w+ 0\.3 and acme_\w+ 0\.3\. Uninstall one"),
        ("attribute", r"'attribute' of acme_three 0\.3 cannot be used: its entry point is 'acme_three:Backend'"),
    ):
        interpreters.record(name, str(tmp_path / "env" / "bin" / "python"))
        code, _, err = call("verify", "-b", name)
        assert code == 2
        assert re.search(message, err), err


def test_it_is_recorded_once(call: Call, python: str) -> None:
    """By its name, and by a version, which must be the one that is there."""
    interpreters.map_path().write_text("{}")
    version = str(interpreters.find("numpy").version)

    code, out, err = call("backend", "add", NAME, "--python", python)
    assert code == 0, err
    assert f"Recorded {NAME}: version {version} in {python} next: lenet-bench verify -b {NAME}" in out
    assert call("backend", "add", f"{NAME}=={version}", "--python", python)[0] == 0

    assert interpreters.read_map() == {NAME: python, f"{NAME}=={version}": python}
    code, out, err = call("run", "-b", NAME, "--versions", version, *QUICK, "--epochs", "0")
    assert code == 0, err
    code, _, err = call("install", NAME)
    assert (code, f"{NAME} has an environment already, {python}" in err) == (2, True), err
    for name, path, message in (
        (f"{NAME}==1.0", python, rf"has version {re.escape(version)} of {NAME}, not 1\.0\."),
        (f"{NAME}==new", python, r"A version such as 2\.0 is wanted behind acme_numerical_library==, got 'new'\."),
        ("mine", python, rf"brings a backend 'mine'\. It has: {NAME}\. Install it there"),
        (NAME, "/no/python", r"there is no such interpreter\."),
        ("torch", python, r"does not have torch\. Install it there"),
    ):
        code, _, err = call("backend", "add", name, "--python", path)
        assert code == 2
        assert re.search(message, err), err
