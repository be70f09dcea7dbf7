"""Going on with a run: refused after a change, with what changed; or with entrants of their own."""

from __future__ import annotations

import json
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.analysis.summary import summarise
from harness.results.changes import parts
from harness.results.folder import RunFolder
from harness.runs import code, interpreters
from harness.runs.interpreters import Interpreter
from harness.runs.plan import Plan
from harness.runs.resume import anew_from
from harness.worker.job import Entrant
from harness.worker.packages import packages_digest

Call = Callable[..., tuple[int, str, str]]
PATCHED = pytest.MonkeyPatch


def change_version(patch: PATCHED, made_up: Any) -> None:
    patch.setattr(harness, "__version__", "99.1")


def change_code(patch: PATCHED, made_up: Any) -> None:
    before = code.digests
    patch.setattr(code, "digests", lambda backend: before(backend) | {"worker": "cafe" * 16})


def change_backend(patch: PATCHED, made_up: Any) -> None:
    before = code.digests
    patch.setattr(code, "digests", lambda name: before(name) | ({"backend": "cafe" * 16} if name == "twin" else {}))


def change_packages(patch: PATCHED, made_up: Any) -> None:
    patch.setattr(made_up, "installed", replace(made_up.installed, packages=["made-up==1.1", "more==2"]))


def change_python(patch: PATCHED, made_up: Any) -> None:
    patch.setattr(made_up, "installed", replace(made_up.installed, python="3.99.0"))


def change_framework(patch: PATCHED, made_up: Any) -> None:
    find_all = interpreters.find_all

    def find(*entrants: Any, **options: Any) -> dict[str, Interpreter]:
        return {name: replace(each, version="9.9.9") for name, each in find_all(*entrants, **options).items()}

    patch.setattr(interpreters, "find_all", find)


CHANGES: dict[str, tuple[Callable[[PATCHED, Any], None], str]] = {
    "version": (change_version, r"lenet-bench \S+ → 99\.1"),
    "code": (change_code, r"code of harness \(worker\) [0-9a-f]{8} → cafecafe"),
    "backend": (change_backend, r"code of twin [0-9a-f]{8} → cafecafe"),
    "packages": (
        change_packages,
        r"made-up 1\.0 → 1\.1 \(installed for numpy\); more none → 2 \(",
    ),
    "python": (change_python, r"Python of numpy 3\.\d+\.\d+ → 3\.99\.0; Python of twin"),
    "framework": (change_framework, r"numpy \S+ → 9\.9\.9"),
}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cut_run` is kept once one test has made it."""
    return tmp_path_factory.mktemp("once") / "cut"


@pytest.fixture
def cut_run(call: Call, made_up: Any, tmp_path: Path, made_once: Path) -> RunFolder:
    """A run of numpy and its twin that is to have six rounds, interrupted in its fourth."""
    folder = tmp_path / "results" / "cut"
    if made_once.exists():
        shutil.copytree(made_once, folder)
        return RunFolder(folder)
    made_up.interrupted = 8
    code, _, _ = call("run", "-b", "numpy,twin", "--epochs", "1", "--rounds", "6", "--name", "cut", "--base", "twin")
    assert code == 130
    made_up.interrupted = 0
    made_up.jobs = []
    shutil.copytree(folder, made_once)
    return RunFolder(folder)


@pytest.mark.parametrize("what", CHANGES)
def test_change_is_named_and_nothing_is_launched(
    cut_run: RunFolder, call: Call, made_up: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Whatever has changed since the rows were measured: old and new, exit code 2, and not a byte is written."""
    before = {file.name: file.read_bytes() for file in cut_run.path.iterdir()}
    change, message = CHANGES[what]
    change(monkeypatch, made_up)

    code, _, err = call("run", "--resume", str(cut_run.path))

    assert code == 2
    assert "was measured with something else than what is here now" in err
    assert re.search(message, err), err
    assert f"lenet-bench run --resume {cut_run.path} --anew-from-here" in err
    assert made_up.launched == []
    assert {file.name: file.read_bytes() for file in cut_run.path.iterdir()} == before


def test_entrants_of_their_own_go_on(
    cut_run: RunFolder, call: Call, made_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--anew-from-here: the old rows stay, the new ones are other entrants', and both parts' packages are kept."""
    before = cut_run.read("launches")
    change_packages(monkeypatch, made_up)

    code, _, err = call("run", "--resume", str(cut_run.path), "--anew-from-here")

    assert code == 0, err
    rows, environment = cut_run.read("launches"), cut_run.read_environment()
    assert set(rows["variant"].iloc[len(before) :]) == {"from round 5"}
    assert rows["variant"].iloc[: len(before)].isna().all()
    assert list(rows["counted"]) == [True] * len(rows)
    # Six rounds and a training, after four of the old part.
    assert sorted(set(rows["round"])) == [*range(1, 12)]
    assert [part["numpy"] for part in parts(environment, "packages")] == [["made-up==1.1", "more==2"], ["made-up==1.0"]]
    assert environment["earlier"][0]["until_round"] == 4
    assert environment["plan"]["base"] == "twin eager from round 5"
    assert "numpy eager from round 5" in str(environment["controls"])
    # The old part was interrupted before its training.
    assert sorted(set(cut_run.read_counted("epochs")["round"])) == [11]
    summary = summarise(cut_run.read_counted("launches"), base="twin eager from round 5")
    paired = dict(zip(zip(summary["backend"], summary["variant"].fillna("")), summary["paired"].fillna(True)))
    assert paired == {
        ("numpy", ""): False, ("twin", ""): False, ("numpy", "from round 5"): True, ("twin", "from round 5"): True,
    }  # fmt: skip

    made_up.jobs = []
    assert call("run", "--resume", str(cut_run.path))[0] == 0
    assert made_up.launched == []
    assert cut_run.read_environment()["earlier"] == environment["earlier"]


def test_nothing_changed_is_no_reason_to_begin_anew(cut_run: RunFolder, call: Call, made_up: Any) -> None:
    """By mistake, half of a run would be thrown away."""
    code, _, err = call("run", "--resume", str(cut_run.path), "--anew-from-here")

    assert code == 2
    assert "Nothing has changed since" in err
    assert made_up.launched == []


def test_run_without_a_row_begins_with_what_is_here(
    cut_run: RunFolder, call: Call, made_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first launch ended, a run has nothing that a change could be mixed with."""
    (cut_run.path / "launches.csv").unlink()
    change_code(monkeypatch, made_up)

    assert call("run", "--resume", str(cut_run.path))[0] == 0
    assert len(cut_run.read("launches")) == 14


def test_run_of_an_older_lenet_bench_goes_on_anew_alone(cut_run: RunFolder, call: Call, made_up: Any) -> None:
    """Its code is not known, so it may be any."""
    environment = cut_run.read_environment()
    cut_run.write_environment({name: value for name, value in environment.items() if name not in ("code", "run")})

    code, _, err = call("run", "--resume", str(cut_run.path))
    assert code == 2
    assert "code unknown (environment.json has no digests of it" in err
    assert call("run", "--resume", str(cut_run.path), "--anew-from-here")[0] == 0


def test_names_of_a_third_part_do_not_grow(make_plan: Callable[..., Plan]) -> None:
    """What goes on anew again is from the later round; a version that was asked for stays in the name."""
    entrants = [
        Entrant("jax", "lenet5", "jit", "host", "cpu", "float32", 1, 64, "controlled", variant, version=variant)
        for variant in ("", "0.10.1")
    ]
    plan = anew_from(anew_from(make_plan(*entrants, base="jax jit 0.10.1"), 4), 9)

    assert [each.variant for each in plan.entrants] == ["from round 9", "0.10.1 from round 9"]
    assert [each.version for each in plan.entrants] == ["", "0.10.1"]
    assert plan.base == "jax jit 0.10.1 from round 9"
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan


@pytest.mark.parametrize(
    "options", ["--rounds 9", "--seed 3 -b torch", "--unverified", "--name other", "--results-dir x", "--preset quick"]
)
def test_options_that_would_be_passed_over_are_refused(
    cut_run: RunFolder, call: Call, made_up: Any, options: str
) -> None:
    """The plan is the run's own: what stands beside --resume is refused by its name."""
    code, _, err = call("run", "--resume", str(cut_run.path), *options.split())

    assert code == 2
    assert f"which {'--seed, --backend' if 'seed' in options else options.split()[0]} cannot change" in err.replace(
        "--backend, --seed", "--seed, --backend"
    )
    assert made_up.launched == []


def test_options_that_may_change_are_taken(
    cut_run: RunFolder, call: Call, made_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long a launch may take is the plan's from now on; a variable of the user's is no option beside."""
    before = Plan.from_dict(cut_run.read_environment()["plan"])
    monkeypatch.setenv("LENET_BENCH_DATA", "/somewhere")

    code, _, err = call("run", "--resume", str(cut_run.path), "--launch-timeout", "77")

    assert code == 0, err
    plan = Plan.from_dict(cut_run.read_environment()["plan"])
    assert (plan.launch_timeout_s, plan.data_dir) == (77.0, before.data_dir)


def test_anew_without_a_run_is_refused(call: Call, made_up: Any) -> None:
    """There is nothing that could go on."""
    code, _, err = call("run", "-b", "numpy", "--anew-from-here")

    assert code == 2
    assert "--anew-from-here is for a run that goes on" in err


def test_gates_duel_is_not_gone_on_with(cut_run: RunFolder, call: Call, made_up: Any) -> None:
    """One of its sides is another commit's code, which is gone: this code would be timed under its name."""
    cut_run.write_environment(cut_run.read_environment() | {"against": "c0ffee"})

    code, _, err = call("run", "--resume", str(cut_run.path))

    assert code == 2
    assert "against a commit (c0ffee)" in err
    assert made_up.launched == []


def test_moved_run_goes_on_under_its_name(cut_run: RunFolder, call: Call, made_up: Any, tmp_path: Path) -> None:
    """Renamed and moved, a run has one name in all its rows, so that its entrants stay what they are."""
    moved = Path(shutil.move(cut_run.path, tmp_path / "elsewhere"))

    assert call("run", "--resume", str(moved))[0] == 0

    rows = RunFolder(moved).read("launches")
    assert set(rows["run"]) == {"cut"}
    assert len(RunFolder(moved).read("summary")) == 2
    code, _, err = call("compare", str(moved))
    assert (code, err) == (0, "")


def test_packages_that_change_under_a_run_fail_its_launch(call: Call, made_up: Any, tmp_path: Path) -> None:
    """The list in environment.json is that of all rows; what installs meanwhile is named by the launch it fails."""
    finish = made_up.launch

    def launch(job: Any, **options: Any) -> dict[str, Any]:
        result: dict[str, Any] = finish(job, **options)
        if len(made_up.launched) == 3:
            result["packages"] = ["made-up==1.5"]
        return result

    made_up.launch = launch
    code, _, _ = call("run", "-b", "numpy", "--epochs", "0", "--rounds", "4", "--name", "mixed")

    folder = RunFolder(tmp_path / "results" / "mixed")
    rows = folder.read("launches")
    assert code == 3
    assert list(rows["status"]) == ["ok", "ok", "failed"]
    assert "what is installed for numpy was changed: made-up 1.0 → 1.5." in rows["error"].iloc[2]
    assert folder.read_environment()["packages"] == {"numpy": ["made-up==1.0"]}


def test_packages_are_on_disk_before_a_row(call: Call, made_up: Any, tmp_path: Path) -> None:
    """Killed at any moment, a run has the package list of every row that it has."""
    folder = RunFolder(tmp_path / "results" / "run")
    found = []
    made_up.failing = {"twin eager": 1}
    append = RunFolder.append

    def spying(self: RunFolder, table: str, rows: list[dict[str, Any]]) -> None:
        found.append((rows[0]["backend"], rows[0].get("status"), sorted(folder.read_environment()["packages"])))
        append(self, table, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "append", spying)
        call("run", "-b", "numpy,twin", "--epochs", "0", "--rounds", "1", "--name", "run")

    assert all(backend in packages for backend, status, packages in found if status != "failed")
    assert any(status == "ok" for _, status, _ in found)


def test_interpreter_tells_what_is_installed() -> None:
    """What a resumed run is held against is what its workers would say."""
    found = interpreters.installed_at(Interpreter(sys.executable, "given", "").path)

    assert (found.sha256, found.packages) == packages_digest()
    assert found.python == platform.python_version()


def test_a_checkout_is_nothing_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install -e` leaves an egg-info in the repository, which no worker sees: certificates and runs go on."""
    for place in ("checkout", "path"):
        information = tmp_path / place / f"of_{place}.egg-info"
        information.mkdir(parents=True)
        (information / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: of-{place}\nVersion: 1\n")
    (tmp_path / "checkout" / "harness").symlink_to(Path(harness.__file__).parent, target_is_directory=True)
    monkeypatch.setattr(interpreters, "ROOT", tmp_path / "checkout")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))

    found = interpreters.installed_at(sys.executable)

    assert not [line for line in found.packages if line.startswith("of-")]
    assert found.packages
