"""A whole run of a user with a telling name, on a host with a telling name: every file that it leaves is searched."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.commands.report import write_report
from harness.report.reading import read_report
from harness.report.sharing import SHOWN, for_strangers
from harness.results.folder import RunFolder
from harness.worker.catalogue import EXTRA
from tests.harness.report_helpers import change
from tests.harness.synthetic_run import write_run

ROOT = Path(__file__).parents[3]
Cli = Callable[..., tuple[int, str, str]]
# Fails with a message as a worker's may be: with paths, the login and the host.
BACKEND = """
import os
from pathlib import Path
from backends.numpy.backend import Backend as Right

class Backend(Right):
    def synchronize(self):
        raise OSError(f"{Path.home()}/lib/libx.so of {os.environ['LOGNAME']}@heart-of-gold: cannot be loaded")
"""
TELLING = ("zaphod", "heart-of-gold", "BEEBLEBROX")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of zaphod, in which he keeps his data and a backend that fails."""
    home = tmp_path / "people" / "zaphod"
    shutil.copytree(ROOT / "tests" / "mutants" / "twin", home / "backends" / "broken")
    (home / "backends" / "broken" / "backend.py").write_text(BACKEND)
    shutil.copytree(ROOT / "tests" / "mutants" / "twin", home / "backends" / "twin")
    (home / "data").mkdir()
    (home / "site").mkdir()
    (home / "site" / "sitecustomize.py").write_text("import platform\nplatform.node = lambda: 'heart-of-gold'\n")
    return home


@pytest.fixture
def call(small_cli: Cli, home: Path) -> Cli:
    """Return a function that runs the command line as zaphod."""
    variables = {
        "HOME": str(home), "LOGNAME": "zaphod", "USER": "zaphod", "PYTHONPATH": f"{home / 'site'}:{ROOT}",
        EXTRA: str(home / "backends"), "TORCH_BEEBLEBROX": "1", "OMP_PROC_BIND": "true",
    }  # fmt: skip
    return lambda *arguments: small_cli(*arguments, **variables)


@pytest.fixture
def run(call: Cli, home: Path) -> Path:
    """The folder of his run, of a backend that works and one that does not."""
    options = (
        f"run -b twin,broken --data-set drawn-digits --data-dir {home / 'data'} --rounds 1 --epochs 0 --steady-s 0.1 "
        f"--batch-size 8 --inference-sizes none --results-dir {home / 'results'} --name mine"
    )
    code, _, err = call(*options.split())
    assert code == 3, err
    return home / "results" / "mine"


def test_no_file_names_the_user_or_the_host(run: Path, call: Cli, home: Path) -> None:
    """Neither the tables, nor environment.json, nor the pages; nor names of variables that only he has.

    docs/privacy.md has a row for every key of environment.json, and no row for one that is not there. All the same,
    `--resume` finds what lies below the home folder.
    """
    for options in ([], ["--share"]):
        code, _, err = call("report", str(run), *options)
        assert code == 0, err
    files = [path for path in run.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"launches.csv", "environment.json", "report.html", "report-shared.html"}
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = [word for word in (*TELLING, str(home)) if word in text]
        assert not found, f"{path.name}: {found}"

    environment = RunFolder(run).read_environment()
    assert environment["plan"]["data_dir"] == "~/data"
    assert environment["variables_set_aside"][-1] == "1 other"
    assert "OMP_PROC_BIND" in environment["variables_set_aside"]
    (error,) = RunFolder(run).read("launches")["error"].dropna().tolist()
    assert "OSError: ~/lib/libx.so of <user>@<host>: cannot be loaded" in error
    assert "libx.so" in (run / "report.html").read_text(encoding="utf-8")
    assert "libx.so" not in (run / "report-shared.html").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    table = text.partition("## environment.json")[2].partition("##")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*environment, "earlier"]

    # `~/data` of the plan is the folder that was given, so the run goes on; what failed is tried again.
    code, _, err = call("run", "--resume", str(run))

    assert code == 3, err
    assert sorted(RunFolder(run).read_counted("launches")["status"]) == ["failed", "ok"]


@pytest.fixture
def older_run(tmp_path: Path) -> Path:
    """A run as versions before 6 wrote them, by somebody else on another machine, with an error."""
    folder = RunFolder(write_run(tmp_path / "theirs", entrants=2, rounds=4))
    environment = folder.read_environment()
    environment["machine"]["host"] = "heart-of-gold"
    environment["plan"]["data_dir"] = "/home/zaphod/data"
    environment["data_set"] = {"name": "mnist", "source": "folder /home/zaphod/data", "sha256": "0"}
    environment["interpreters"] = {"torch": "/home/zaphod/venv/bin/python"}
    environment["packages"] = {"torch": ["torch==2.13.0", "acme-secret==1.0"]}
    environment["something new"] = "of a later version"
    folder.write_environment(environment)

    def fail(frame: object) -> None:
        frame.loc[7, ["status", "error"]] = ["failed", "ValueError: acme said no in /home/zaphod/x"]  # type: ignore[attr-defined]

    change(folder.path / "launches.csv", fail)
    return folder.path


@pytest.mark.parametrize("share", [False, True])
def test_pages_of_older_runs_name_nobody(older_run: Path, tmp_path: Path, share: bool) -> None:
    """What stands in their files does not come onto a page; a shared one has neither packages nor paths nor words."""
    target = tmp_path / "page.html"

    write_report(older_run, target=target, base="", figures=None, form="svg", share=share)

    page = target.read_text(encoding="utf-8")
    assert "heart-of-gold" not in page
    assert "/home/zaphod" not in page
    for word in ("acme", "venv/bin", "folder /home", str(older_run)):
        assert (word in page) is not share, word
    assert "something new" not in page
    assert "ValueError" in page


def test_a_shared_page_shows_what_was_thought_of_alone(older_run: Path) -> None:
    """Keys of a later version stay away; the plan keeps all but the folder; figures are the same."""
    whole = read_report(older_run)

    shared = for_strangers(whole)

    assert set(shared.environment) <= {*SHOWN, "machine"}
    assert "host" not in shared.environment["machine"]
    assert shared.environment["machine"]["processor"] == whole.environment["machine"]["processor"]
    assert shared.plan is not None
    assert shared.plan.data_dir is None
    assert shared.summary is whole.summary
    assert json.dumps(shared.environment).count("zaphod") == 0
    assert shared.launches["error"].dropna().tolist() == ["ValueError (its words are left out of a shared report)"]
