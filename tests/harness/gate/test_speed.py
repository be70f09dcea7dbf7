"""The speed gate: two commits in the same rounds, a test with a margin, and nothing from another machine."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.statistics import Interval, mean_of_logs
from harness.commands import cli
from harness.data.sources import Dataset
from harness.errors import InputError, WorkerFailed
from harness.gate import parts, speed, verdicts
from harness.gate.speed import Commit, SpeedTest, check_out, judge, measure, rounds_more
from harness.gate.verdicts import CANNOT_TELL, FAILED, NO_RESULT, PASSED
from harness.results.folder import RunFolder, write_table
from harness.runs import plausible, preparation
from harness.runs.machine import this_machine
from harness.worker.job import Job

ROOT = Path(__file__).parents[3]


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular; its output."""
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    answer = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This code in a repository of its own: a first commit whose NumPy backend spins in each step, and the code."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("harness", "backends"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder / name)], check=True)
    file = folder / "backends" / "numpy" / "backend.py"
    good = file.read_text()
    head, mark, rest = good.partition("    def train_steps(")
    assert mark
    slow = f"{head}{mark}{rest}".replace(
        "    def train_steps(",
        "    def train_steps(self, batches):\n        import time\n\n"
        "        end = time.monotonic() + 0.005 * len(batches)\n"
        "        while time.monotonic() < end:\n            pass\n"
        "        return self.quick_train_steps(batches)\n\n"
        "    def quick_train_steps(",
    )
    git(folder, "init", "-q", "-b", "main")
    (folder / ".gitignore").write_text("__pycache__\n")
    for text, name in ((slow, "slow"), (good, "good")):
        file.write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", name)
        git(folder, "tag", name)
    return folder


def test_a_commit_is_unpacked(repository: Path, tmp_path: Path) -> None:
    """The packages of tag, branch or commit, and nothing else; the repository's own files stay as they are."""
    commit = check_out("slow", tmp_path, repository)

    assert commit.sha == git(repository, "rev-parse", "slow")
    assert commit.variant == f"at {commit.sha[:10]}"
    assert "quick_train_steps" in (tmp_path / "backends" / "numpy" / "backend.py").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backends", "harness"]
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "worktree", "list").count("\n") == 0
    assert speed.resolve("main", repository) == git(repository, "rev-parse", "good")


@pytest.mark.parametrize("ref", ["no-such", "--help", "", "slow:backends", "a b"])
def test_no_such_commit(repository: Path, ref: str) -> None:
    """A sentence with the name, also where that looks like an option."""
    with pytest.raises(InputError, match=r"there is none called") as caught:
        speed.resolve(ref, repository)
    assert repr(ref) in str(caught.value)


def test_no_repository(tmp_path: Path) -> None:
    """Code that was installed from a wheel has no other commits."""
    with pytest.raises(InputError, match="is none"):
        speed.resolve("main", tmp_path)


def test_commit_without_packages(repository: Path, tmp_path: Path) -> None:
    """A commit from before there were backends cannot be driven."""
    tree = git(repository, "hash-object", "-t", "tree", "-w", "/dev/null")
    empty = git(repository, "commit-tree", tree, "-m", "empty")

    with pytest.raises(InputError, match=f"{empty[:10]}.* cannot be driven"):
        check_out(empty, tmp_path, repository)


def test_runs_are_refused(finished_run: Path, tmp_path: Path) -> None:
    """Another machine's run with both machines; this machine's because nothing pairs it with what is measured now."""
    with pytest.raises(InputError, match="was measured at another time"):
        speed.resolve(str(finished_run))
    launches = RunFolder(finished_run).read("launches")
    launches.loc[1, ["machine", "machine_sha256"]] = ["a VAX <b>", "c" * 64]
    write_table(tmp_path / "launches.csv", launches)

    with pytest.raises(InputError, match=r"launches\.csv, row 3, column machine_sha256: .*another machine") as caught:
        speed.resolve(str(tmp_path))
    assert "a VAX <b>" in str(caught.value)
    assert this_machine().text in str(caught.value)
    RunFolder(tmp_path).write_environment({"machine": this_machine().details})
    with pytest.raises(InputError, match="so it is the host's name that is not"):
        speed.resolve(str(tmp_path))


def interval(low: float, high: float, count: int = 6) -> Interval:
    return Interval(math.sqrt(low * high), low, high, count)


@pytest.mark.parametrize(
    ("ratio", "status"),
    [
        (interval(0.96, 1.01), PASSED),
        (interval(1.2, 1.3), PASSED),
        (interval(0.951, 0.99), PASSED),
        (interval(0.94, 0.99), CANNOT_TELL),
        (interval(0.90, 0.951), CANNOT_TELL),
        (interval(0.90, 0.949), FAILED),
        (interval(0.96, 1.01, 3), CANNOT_TELL),
        (interval(0.5, 0.6, 3), CANNOT_TELL),
        (Interval(1.0, math.nan, math.nan, 1), CANNOT_TELL),
    ],
)
def test_verdict_of_an_interval(ratio: Interval, status: str) -> None:
    """The whole interval on one side of 1 - margin decides; otherwise, and under four rounds, it cannot tell."""
    found = judge("torch", ratio, margin=0.05, against="abc")

    assert found.status == status
    assert f"speed {ratio.estimate:.3f} times that of abc (" in found.text
    assert "limit 0.950" in found.text
    assert ("round" in found.details.partition("interval.")[2]) is (status == CANNOT_TELL)


@pytest.mark.parametrize(("truth", "wrong"), [(0.95, PASSED), (0.95, FAILED), (1.0, FAILED), (0.90, PASSED)])
def test_wrong_verdicts_are_as_rare_as_stated(truth: float, wrong: str) -> None:
    """At the limit itself each side is wrong in 2.5 % of gates; away from it, in hardly any."""
    random, trials = np.random.default_rng(53), 4000
    said = [
        judge("torch", mean_of_logs(truth * np.exp(random.normal(0, 0.03, 6))), margin=0.05, against="abc").status
        for _ in range(trials)
    ]
    share = said.count(wrong) / trials

    error = 4 * math.sqrt(0.025 * 0.975 / trials)
    assert share < 0.025 + error
    assert (share > 0.025 - error) is (truth == 0.95)


def test_rounds_that_would_tell() -> None:
    """With the spread as it is, the number of rounds that is named tells, and one fewer does not."""
    for logs in ([0.02, -0.05, 0.01, -0.04, 0.03, -0.06], [-0.07, -0.12, 0.0, -0.09]):
        ratio = mean_of_logs(np.exp(logs))
        sentence = rounds_more(ratio, 0.95)
        more, wanted = [int(word) for word in sentence.split() if word.isdigit()][:2]
        assert wanted == ratio.count + more
        center, spread = float(np.mean(logs)), float(np.std(logs, ddof=1))
        for count, tells in ((wanted, True), (wanted - 1, False)):
            pattern = np.resize([1.0, -1.0], count - count % 2)
            values = np.append(pattern, [0.0] * (count % 2))
            values *= spread / values.std(ddof=1)
            status = judge("torch", mean_of_logs(np.exp(center + values)), margin=0.05, against="abc").status
            assert (status != CANNOT_TELL) is tells or count <= ratio.count
    assert "More than 1000 rounds" in rounds_more(interval(0.85, 0.95**2 / 0.85), 0.95)
    assert "3 more" in rounds_more(Interval(1.0, math.nan, math.nan, 1), 0.95)


@pytest.fixture
def fake_commit(monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> Commit:
    """`--against` finds a commit without looking for it."""
    commit = Commit("main", "a" * 40, Path("nowhere"))
    monkeypatch.setattr(parts, "check_out", lambda ref, folder: commit)
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    return commit


@pytest.mark.parametrize(
    ("speed", "spread", "rounds", "status"),
    [(1000, 0.001, 0, PASSED), (970, 0.001, 5, PASSED), (900, 0.001, 5, FAILED), (960, 0.05, 5, CANNOT_TELL)],
)
def test_two_versions_in_the_same_rounds(
    made_up: Any, make_plan: Callable[..., Any], fake_commit: Commit, speed: float, spread: float, rounds: int,
    status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Both sides are launched in each round and take turns; the verdict is of their ratio.

    What workers of an older commit do not say is not asked of them.
    """
    looked_at: list[Any] = []
    monkeypatch.setattr(plausible, "check_beside", lambda result, **_: looked_at.append(result))
    made_up.speeds, made_up.spread = {"numpy eager": speed, f"numpy eager {fake_commit.variant}": 1000.0}, spread

    (found,) = measure(
        make_plan("numpy"), fake_commit, SpeedTest("main", rounds=rounds), results=tmp_path / "results", pythons={}
    )

    assert found.status == status
    assert (found.backend, found.kind) == ("numpy", "speed")
    launches = RunFolder(tmp_path / "results" / "numpy").read("launches")
    counts = launches.groupby("round")["variant"].apply(lambda group: sorted(group.fillna("")))
    assert all(variants == ["", fake_commit.variant] for variants in counts)
    assert len(counts) == len(looked_at) == (rounds or 5)
    assert {step for step, _ in made_up.steps} - {"move"} == {"ready", "turn"}
    assert RunFolder(tmp_path / "results" / "numpy").read_environment()["against"] == fake_commit.sha


def test_side_that_fails_is_no_result(
    made_up: Any, make_plan: Callable[..., Any], fake_commit: Commit, tmp_path: Path
) -> None:
    """Where the older code does not run, nothing is known: exit code 3, with its words."""
    made_up.failing = {f"numpy eager {fake_commit.variant}": 1}

    (found,) = measure(
        make_plan("numpy"), fake_commit, SpeedTest("main", rounds=4), results=tmp_path / "results", pythons={}
    )

    assert found.status == NO_RESULT
    assert f"numpy eager {fake_commit.variant} failed" in found.text
    with pytest.raises(WorkerFailed):
        verdicts.stop_if_bad([found])


def test_workers_of_a_commit_run_its_code(
    repository: Path, make_plan: Callable[..., Any], make_entrant: Callable[..., Any], tiny_commands: None,
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Each side's workers run its own code: those of a commit spin in each step, as its NumPy backend does."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    monkeypatch.setattr(speed, "STEADY_S", 0.1)
    commit = check_out("slow", tmp_path / "slow", repository)

    (found,) = measure(
        make_plan(make_entrant(batch_size=8)),
        commit,
        SpeedTest("main", rounds=1),
        results=tmp_path / "results",
        pythons={},
    )

    launches = RunFolder(tmp_path / "results" / "numpy").read("launches")
    assert list(launches["status"].unique()) == ["ok"]
    slow = launches[launches["variant"].notna()]["step_us_median"].min()
    # That it spins in each step. How long the other side's steps take is a matter of how busy the machine is.
    assert slow > 5000
    assert found.status == CANNOT_TELL
    assert "3 more" in found.details


def test_jobs_leave_out_what_is_as_by_default(tmp_path: Path, make_entrant: Callable[..., Any]) -> None:
    """A worker of a commit from before a field was added can read a job that makes no use of it."""
    plain = Job(kind="measure", entrant=make_entrant(), recipe={}, seed=0, data="d", weights="w")
    rich = replace(plain, epochs=3, audit_batches=True, asked={"cpus": [0]}, inference_sizes=())
    for job in (plain, rich):
        job.write(tmp_path / "job.json")
        assert Job.read(tmp_path / "job.json") == job
        written = json.loads((tmp_path / "job.json").read_text())
        assert ("audit_batches" in written) is (job is rich)
        assert "inference_sizes" in written
        assert written["entrant"].keys() == asdict(make_entrant()).keys() - {
            "variant",
            "slowdown",
            "version",
            "replicas",
        }


def test_options_of_speed_go_together(mutants: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """--speed without --against, and the other way round: exit code 2."""
    for option in (["--speed"], ["--against", "main"]):
        monkeypatch.setattr("sys.argv", ["lenet-bench", "gate", "-b", "numpy", *option])
        assert cli.command_line() == 2
        assert "--speed and --against REF go together" in capsys.readouterr().err
