"""An environment of one's own: a real venv with a made-up wheel in it, and what ends badly."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from harness.errors import InputError, LenetBenchError
from harness.files import try_lock
from harness.runs import installing, interpreters
from harness.runs.installing import Wanted, install
from harness.runs.pip_progress import Progress
from harness.tables import layout
from harness.worker import catalogue


def make_wheel(folder: Path, version: str) -> None:
    """A NumPy without anything in it."""
    info = f"numpy-{version}.dist-info"
    with zipfile.ZipFile(folder / f"numpy-{version}-py3-none-any.whl", "w") as file:
        file.writestr("numpy.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def requirements(venv_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requirements that pip finds in a folder, data folder and map of this test's own."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    for version in ("9.8", "9.9"):
        make_wheel(folder, version)
    (folder / "numpy.in").write_text(f"--no-index --find-links={folder}\nnumpy==9.9\npytest\n")
    monkeypatch.setattr(installing, "shipped", lambda kind: folder)
    monkeypatch.setattr(installing, "environments", lambda: tmp_path / "data" / "environments")
    monkeypatch.setenv(interpreters.MAP_VARIABLE, str(tmp_path / "data" / "interpreters.json"))
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    return folder


def progress() -> Progress:
    return Progress(layout.stderr())


def test_environment_is_made_found_and_kept(requirements: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made once, with a line of what is done; found by the map; made anew where its pins changed or it was cut off."""
    wanted = Wanted("numpy", sys.executable)

    made = install(wanted, progress())

    assert (made.version, wanted.folder.name) == ("9.9", "numpy")
    assert 1e6 < made.size < 1e9
    assert made.seconds > 0
    assert f"Installing numpy in {wanted.folder}" in capsys.readouterr().err
    assert interpreters.read_map() == {"numpy": str(wanted.interpreter)}
    assert interpreters.find("numpy").version == "9.9"
    (wanted.folder / "mark").touch()

    assert install(wanted, progress()).seconds == 0
    assert (wanted.folder / "mark").exists()
    assert capsys.readouterr().err == ""
    (requirements / "numpy.in").write_text(f"--no-index --find-links={requirements}\nnumpy==9.8\n")

    assert install(wanted, progress()).version == "9.8"
    assert not (wanted.folder / "mark").exists()
    (wanted.folder / installing.STAMP).unlink()

    assert install(wanted, progress()).seconds > 0


def test_what_pip_cannot_install_leaves_its_words_alone(requirements: Path) -> None:
    """Exit code 3, the end of pip's words, where the rest of them is, and no half of an environment."""
    wanted = Wanted("numpy", sys.executable, version="1.0")

    with pytest.raises(
        LenetBenchError, match=r"^numpy==1\.0 was not installed: `.* -m pip install \.\.\.` ended"
    ) as bad:
        install(wanted, progress())

    assert bad.value.exit_code == 3
    assert "No matching distribution found for numpy==1.0" in getattr(bad.value, "log", "")
    assert "No matching" in wanted.folder.with_name("numpy==1.0.log").read_text()
    assert "Can the package index be reached" in str(bad.value)
    assert not wanted.folder.exists()
    assert interpreters.read_map() == {}


def test_two_at_once_are_not_let(requirements: Path) -> None:
    """The second is told where the first is at work."""
    wanted = Wanted("numpy", sys.executable)
    installing.environments().mkdir(parents=True)
    with (installing.environments() / ".numpy.lock").open("w") as file:
        assert try_lock(file.fileno())

        with pytest.raises(InputError, match=rf"Another process is making {wanted.folder}\. Wait"):
            install(wanted, progress())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"python": "/no/such/python"}, r"/no/such/python is no Python that can be run: .* another --with-python"),
        ({"python": "/bin/false"}, r"/bin/false is no Python that can be run"),
        ({"gpu": True}, r"no wheels of numpy for a GPU here\. There are: torch, tensorflow, jax, paddle"),
        ({"version": "new"}, r"takes versions such as"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_first(requirements: Path, changes: dict[str, object], message: str) -> None:
    """Before anything is made."""
    with pytest.raises(InputError, match=message):
        installing.check(Wanted(**({"backend": "numpy", "python": sys.executable} | changes)))  # type: ignore[arg-type]
    assert not installing.environments().exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(requirements: Path, tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "data").write_text("")

    with pytest.raises(InputError, match=r"Cannot write into .*environments: .* Set XDG_DATA_HOME"):
        install(Wanted("numpy", sys.executable), progress())


def test_python_of_wheels_that_need_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This one where it will do; one on the PATH where it will not; a sentence where there is none."""
    assert installing.choose_python("torch") == sys.executable
    monkeypatch.setattr(catalogue.facts("mxnet"), "ONLY_PYTHON", "3.99")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"mxnet needs Python 3\.99, .* no python3\.99 on the PATH\. .* --with-python"):
        installing.choose_python("mxnet")
    shutil.copy("/bin/true", tmp_path / "python3.99")
    assert installing.choose_python("mxnet") == str(tmp_path / "python3.99")
